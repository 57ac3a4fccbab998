//! In which of a Cluster's slots a key or a channel lies (Redis Cluster specification, "Key distribution
//! model").
//!
//! Refuses to know who has a slot.

/// Slots of a Cluster.
pub(crate) const SLOTS: usize = 16_384;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot(u16);

impl Slot {
    /// Where a key lies: by what stands between its first `{` and the next `}`, if that is anything.
    pub(crate) fn of(key: &[u8]) -> Self {
        let tag = key.iter().position(|&byte| byte == b'{').and_then(|open| {
            let rest = &key[open + 1..];
            let close = rest.iter().position(|&byte| byte == b'}')?;
            (close > 0).then(|| &rest[..close])
        });
        Self(crc16(tag.unwrap_or(key)) % SLOTS as u16)
    }

    /// The slot of a number below [`SLOTS`].
    pub(crate) fn new(number: u16) -> Option<Self> {
        (usize::from(number) < SLOTS).then_some(Self(number))
    }

    /// Below [`SLOTS`].
    pub(crate) const fn number(self) -> u16 {
        self.0
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// CRC16 of XMODEM: polynomial 0x1021, beginning at zero.
fn crc16(bytes: &[u8]) -> u16 {
    let mut crc = 0u16;
    for &byte in bytes {
        crc = (crc << 8) ^ TABLE[usize::from((crc >> 8) as u8 ^ byte)];
    }
    crc
}

const TABLE: [u16; 256] = {
    let mut table = [0u16; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = (index as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 != 0 { (crc << 1) ^ 0x1021 } else { crc << 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_specifications() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
    }

    #[test]
    fn a_key_lies_where_its_tag_says() {
        // As `CLUSTER KEYSLOT` answers.
        assert_eq!(Slot::of(b"foo").number(), 12_182);
        for (key, tag) in [
            ("{user1000}.following", "user1000"),
            ("foo{{bar}}zap", "{bar"),
            ("foo{bar}{zap}", "bar"),
            ("foo{}{bar}", "foo{}{bar}"),
            ("foo{bar", "foo{bar"),
        ] {
            assert_eq!(Slot::of(key.as_bytes()).number(), crc16(tag.as_bytes()) % 16_384, "{key}");
        }
    }
}
