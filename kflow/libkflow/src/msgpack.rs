//! MessagePack, as much of it as DNS answers need: maps and arrays with a known number of members, texts, bytes, numbers.
//!
//! <https://github.com/msgpack/msgpack/blob/master/spec.md>. Every value has the shortest form that holds it.

/// Appends values to a message.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// So many pairs of a text and a value follow; at most 15.
    pub fn map(&mut self, pairs: u8) {
        assert!(pairs < 16, "larger maps have another form");
        self.0.push(0x80 | pairs);
    }

    /// So many values follow.
    pub fn array(&mut self, values: u32) {
        if values < 16 {
            self.0.push(0x90 | values as u8);
        } else if let Ok(values) = u16::try_from(values) {
            self.head(0xdc, &values.to_be_bytes());
        } else {
            self.head(0xdd, &values.to_be_bytes());
        }
    }

    pub fn text(&mut self, text: &str) {
        let length = length_of(text.as_bytes());
        if length < 32 {
            self.0.push(0xa0 | length as u8);
        } else if let Ok(length) = u8::try_from(length) {
            self.head(0xd9, &[length]);
        } else if let Ok(length) = u16::try_from(length) {
            self.head(0xda, &length.to_be_bytes());
        } else {
            self.head(0xdb, &length.to_be_bytes());
        }
        self.0.extend_from_slice(text.as_bytes());
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        let length = length_of(bytes);
        if let Ok(length) = u8::try_from(length) {
            self.head(0xc4, &[length]);
        } else if let Ok(length) = u16::try_from(length) {
            self.head(0xc5, &length.to_be_bytes());
        } else {
            self.head(0xc6, &length.to_be_bytes());
        }
        self.0.extend_from_slice(bytes);
    }

    pub fn number(&mut self, number: u32) {
        if number < 128 {
            self.0.push(number as u8);
        } else if let Ok(number) = u8::try_from(number) {
            self.head(0xcc, &[number]);
        } else if let Ok(number) = u16::try_from(number) {
            self.head(0xcd, &number.to_be_bytes());
        } else {
            self.head(0xce, &number.to_be_bytes());
        }
    }

    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    fn head(&mut self, kind: u8, length: &[u8]) {
        self.0.push(kind);
        self.0.extend_from_slice(length);
    }
}

fn length_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("whoever writes keeps texts below what a message may hold")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut writer = Writer::default();
        write(&mut writer);
        writer.finish()
    }

    #[test]
    fn each_value_has_its_shortest_form() {
        for (number, bytes) in [
            (0, &[0x00][..]),
            (127, &[0x7f]),
            (128, &[0xcc, 0x80]),
            (255, &[0xcc, 0xff]),
            (256, &[0xcd, 1, 0]),
            (65_535, &[0xcd, 0xff, 0xff]),
            (65_536, &[0xce, 0, 1, 0, 0]),
            (u32::MAX, &[0xce, 0xff, 0xff, 0xff, 0xff]),
        ] {
            assert_eq!(written(|writer| writer.number(number)), bytes, "{number}");
        }
        for (values, bytes) in
            [(0, &[0x90][..]), (15, &[0x9f]), (16, &[0xdc, 0, 16]), (65_536, &[0xdd, 0, 1, 0, 0])]
        {
            assert_eq!(written(|writer| writer.array(values)), bytes, "{values}");
        }
        for (length, head) in [
            (0, &[0xa0][..]),
            (31, &[0xbf]),
            (32, &[0xd9, 32]),
            (255, &[0xd9, 255]),
            (256, &[0xda, 1, 0]),
            (65_536, &[0xdb, 0, 1, 0, 0]),
        ] {
            let bytes = written(|writer| writer.text(&"x".repeat(length)));
            assert_eq!((&bytes[..head.len()], bytes.len()), (head, head.len() + length), "{length}");
        }
        for (length, head) in
            [(0, &[0xc4, 0][..]), (255, &[0xc4, 255]), (256, &[0xc5, 1, 0]), (65_536, &[0xc6, 0, 1, 0, 0])]
        {
            let bytes = written(|writer| writer.bytes(&vec![1; length]));
            assert_eq!((&bytes[..head.len()], bytes.len()), (head, head.len() + length), "{length}");
        }
        assert_eq!(written(|writer| writer.map(2)), [0x82]);
    }
}
