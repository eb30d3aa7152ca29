//! Bytes of a message, part by part.

/// What has been written of a message. Numbers have their most significant byte first, if they do not say otherwise.
#[derive(Clone, Debug, Default)]
pub struct Bytes(Vec<u8>);

impl Bytes {
    pub fn new() -> Bytes {
        Bytes::default()
    }

    pub fn done(self) -> Vec<u8> {
        self.0
    }

    #[must_use]
    pub fn put(mut self, part: impl AsRef<[u8]>) -> Bytes {
        self.0.extend_from_slice(part.as_ref());
        self
    }

    #[must_use]
    pub fn u8(self, number: u8) -> Bytes {
        self.put([number])
    }

    #[must_use]
    pub fn u16(self, number: u16) -> Bytes {
        self.put(number.to_be_bytes())
    }

    #[must_use]
    pub fn u24(self, number: u32) -> Bytes {
        self.put(&number.to_be_bytes()[1..])
    }

    #[must_use]
    pub fn u32(self, number: u32) -> Bytes {
        self.put(number.to_be_bytes())
    }

    #[must_use]
    pub fn u16_le(self, number: u16) -> Bytes {
        self.put(number.to_le_bytes())
    }

    #[must_use]
    pub fn u32_le(self, number: u32) -> Bytes {
        self.put(number.to_le_bytes())
    }

    #[must_use]
    pub fn zeros(mut self, count: usize) -> Bytes {
        self.0.resize(self.0.len() + count, 0);
        self
    }

    /// A part behind its length in one byte.
    #[must_use]
    pub fn sized8(self, part: impl AsRef<[u8]>) -> Bytes {
        let length = u8::try_from(part.as_ref().len()).expect("the part is short");
        self.u8(length).put(part)
    }

    /// A part behind its length in two bytes.
    #[must_use]
    pub fn sized16(self, part: impl AsRef<[u8]>) -> Bytes {
        let length = u16::try_from(part.as_ref().len()).expect("the part fits its length");
        self.u16(length).put(part)
    }

    /// A part behind its length in three bytes.
    #[must_use]
    pub fn sized24(self, part: impl AsRef<[u8]>) -> Bytes {
        let length = u32::try_from(part.as_ref().len()).expect("the part fits its length");
        assert!(length < 1 << 24, "the part fits its length");
        self.u24(length).put(part)
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
