//! Whole numbers in as few bytes as they need: seven bits in each, the lowest first, as protobuf has them.
//!
//! Owned by the encoders. Refuses other spellings of the same number.

/// Most bytes of a number.
pub(crate) const LEN_MAX: usize = 10;

/// Appends a number.
pub(crate) fn push(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// How many bytes a number needs.
pub(crate) const fn len(number: u64) -> usize {
    // A zero needs a byte as well.
    (u64::BITS - (number | 1).leading_zeros()).div_ceil(7) as usize
}

/// Takes a number in its shortest form from the front; `None` if there is none.
pub(crate) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let end = bytes.iter().take(LEN_MAX).position(|byte| byte & 0x80 == 0)?;
    let (found, rest) = bytes.split_at(end + 1);
    *bytes = rest;
    let groups = found.iter().map(|byte| u64::from(byte & 0x7f));
    let number = groups.rev().fold(0_u128, |number, group| number << 7 | u128::from(group));
    u64::try_from(number).ok().filter(|&number| len(number) == found.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_longer_spelling_of_a_number_is_refused() {
        for bytes in [&[0x80, 0][..], &[0x81, 0x80, 0], &[0xff; 11], &[0x80], &[]] {
            assert_eq!(take(&mut &*bytes), None, "{bytes:?}");
        }
        let too_great = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2];
        assert_eq!(take(&mut &too_great[..]), None);
    }

    proptest! {
        #[test]
        fn every_number_is_read_back(bits in 0_u32..64, number in any::<u64>()) {
            let number = number >> bits;
            let mut out = Vec::new();
            push(&mut out, number);
            prop_assert_eq!(out.len(), len(number));
            out.push(7);
            let mut rest = &out[..];
            prop_assert_eq!(take(&mut rest), Some(number));
            prop_assert_eq!(rest, &[7]);
        }
    }
}
