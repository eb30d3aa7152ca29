//! Hellos put together for tests.

/// A ClientHello in the making: the lists are what its parts will hold.
#[derive(Clone, Debug)]
pub(crate) struct Hello {
    pub version: u16,
    pub ciphers: Vec<u16>,
    pub extensions: Vec<(u16, Vec<u8>)>,
}

impl Hello {
    /// One of a client of TLS 1.2 without extensions.
    pub fn new(ciphers: &[u16]) -> Hello {
        Hello { version: 0x0303, ciphers: ciphers.to_vec(), extensions: Vec::new() }
    }

    /// One with the extensions that most clients send.
    pub fn usual(server_name: &str) -> Hello {
        Hello::new(&[0x1301, 0xc02f, 0x009c])
            .server_name(server_name)
            .extension(10, &long(&be(&[29, 23])))
            .extension(11, &short(&[0]))
            .extension(13, &long(&be(&[0x0403, 0x0804])))
            .alpn(&["h2", "http/1.1"])
            .extension(43, &short(&be(&[0x0304, 0x0303])))
    }

    pub fn extension(mut self, number: u16, content: &[u8]) -> Hello {
        self.extensions.push((number, content.to_vec()));
        self
    }

    pub fn server_name(self, name: &str) -> Hello {
        let entry = [&[0][..], &long(name.as_bytes())].concat();
        self.extension(0, &long(&entry))
    }

    pub fn alpn(self, names: &[&str]) -> Hello {
        let list: Vec<u8> = names.iter().flat_map(|name| short(name.as_bytes())).collect();
        self.extension(16, &long(&list))
    }

    /// The body of the handshake message.
    pub fn body(&self) -> Vec<u8> {
        let start = [&self.version.to_be_bytes()[..], &[7; 32], &short(&[9; 32])].concat();
        [start, long(&be(&self.ciphers)), short(&[0]), self.extension_block()].concat()
    }

    /// The body of the handshake message of DTLS.
    pub fn dtls_body(&self, cookie: &[u8]) -> Vec<u8> {
        let mut body = self.body();
        // Behind version, random and session identifier.
        body.splice(67..67, short(cookie));
        body
    }

    /// The handshake message.
    pub fn message(&self) -> Vec<u8> {
        message(1, &self.body())
    }

    fn extension_block(&self) -> Vec<u8> {
        extension_block(&self.extensions)
    }
}

/// The body of a ServerHello.
pub(crate) fn server_hello(
    version: u16,
    random: &[u8; 32],
    cipher: u16,
    extensions: &[(u16, Vec<u8>)],
) -> Vec<u8> {
    let start = [&version.to_be_bytes()[..], random, &short(&[9; 32]), &cipher.to_be_bytes(), &[0]].concat();
    [start, extension_block(extensions)].concat()
}

fn extension_block(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let each =
        extensions.iter().map(|(number, content)| [&number.to_be_bytes()[..], &long(content)].concat());
    let block: Vec<u8> = each.flatten().collect();
    if block.is_empty() { block } else { long(&block) }
}

/// A certificate with these names, each as bytes with the tag of its kind.
pub(crate) fn certificate(
    issuer: &[(u8, &[u8])],
    subject: &[(u8, &[u8])],
    alternative: &[(u8, &[u8])],
) -> Vec<u8> {
    let name = |common: &[(u8, &[u8])]| {
        let country = attribute(&[0x55, 0x04, 0x06], 0x13, b"XX");
        let names = common.iter().map(|(kind, value)| attribute(&[0x55, 0x04, 0x03], *kind, value));
        der(0x30, &[country, names.collect::<Vec<_>>().concat()].concat())
    };
    let names: Vec<u8> = alternative.iter().flat_map(|(kind, value)| der(*kind, value)).collect();
    let basic = der(0x30, &[der(6, &[0x55, 0x1d, 0x13]), der(1, &[255]), der(4, &[0x30, 0])].concat());
    let others = der(0x30, &[der(6, &[0x55, 0x1d, 0x11]), der(4, &der(0x30, &names))].concat());
    let fields = [
        der(0xa0, &der(2, &[2])),
        der(2, &[1, 2, 3]),
        der(0x30, &der(6, &[42])),
        name(issuer),
        der(0x30, &[der(0x17, b"260101000000Z"), der(0x17, b"270101000000Z")].concat()),
        name(subject),
        der(0x30, &der(3, &[0; 65])),
        der(0xa3, &der(0x30, &[basic, others].concat())),
    ];
    der(0x30, &[der(0x30, &fields.concat()), der(0x30, &der(6, &[42])), der(3, &[0; 256])].concat())
}

fn attribute(identifier: &[u8], kind: u8, value: &[u8]) -> Vec<u8> {
    der(0x31, &der(0x30, &[der(6, identifier), der(kind, value)].concat()))
}

/// The body of a Certificate message.
pub(crate) fn certificate_list(certificates: &[Vec<u8>]) -> Vec<u8> {
    let list: Vec<u8> = certificates.iter().flat_map(|certificate| longer(certificate)).collect();
    longer(&list)
}

/// An element of DER.
pub(crate) fn der(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    match length {
        0..=0x7f => [&[kind, length as u8][..], content].concat(),
        0x80..=0xff => [&[kind, 0x81, length as u8][..], content].concat(),
        _ => [&[kind, 0x82][..], &long(content)].concat(),
    }
}

/// A handshake message.
pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &longer(body)].concat()
}

/// A record.
pub(crate) fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 3, 1][..], &long(content)].concat()
}

/// A handshake message of DTLS in fragments of so many bytes, each in a record of its own.
pub(crate) fn fragments(kind: u8, body: &[u8], fragment_bytes: usize) -> Vec<Vec<u8>> {
    let three = |number: usize| (number as u32).to_be_bytes()[1..].to_vec();
    let pieces = body.chunks(fragment_bytes).enumerate();
    let parts = pieces.map(|(place, piece)| {
        let offset = three(place * fragment_bytes);
        [&[kind][..], &three(body.len()), &[0, 0], &offset, &longer(piece)].concat()
    });
    parts.map(|part| dtls_record(22, 0, &part)).collect()
}

/// A record of DTLS 1.2.
pub(crate) fn dtls_record(kind: u8, epoch: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 1][..], &long(content)].concat()
}

/// Bytes behind 24 bits of their length.
fn longer(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[1..], bytes].concat()
}

/// Numbers of 16 bits as they are sent.
pub(crate) fn be(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// Bytes behind 8 bits of their length.
pub(crate) fn short(bytes: &[u8]) -> Vec<u8> {
    [&[bytes.len() as u8][..], bytes].concat()
}

/// Bytes behind 16 bits of their length.
pub(crate) fn long(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}
