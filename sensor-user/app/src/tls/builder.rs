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

    fn extension_block(&self) -> Vec<u8> {
        let all = self.extensions.iter();
        let block: Vec<u8> =
            all.flat_map(|(number, content)| [&number.to_be_bytes()[..], &long(content)].concat()).collect();
        if block.is_empty() { block } else { long(&block) }
    }
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
