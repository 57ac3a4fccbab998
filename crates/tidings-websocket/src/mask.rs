//! The masking of RFC 6455 §5.3: XOR with a repeated four-byte key.
//! Used by the decoder and the encoder. Knows nothing of frames; the caller says where in the payload it stands.

/// A masking key, as it stands in the frame header.
pub type Mask = [u8; 4];

/// Bytes handled per round: wide enough that the compiler uses whole vector registers.
const STRIDE: usize = 32;

/// Masks or unmasks `bytes` in place (the operation is its own inverse).
///
/// `offset` is how many payload bytes of the same frame came before `bytes`, so that a frame may be handled in pieces.
pub fn apply(bytes: &mut [u8], mask: Mask, offset: u64) {
    let phase = (offset % 4) as usize;
    let mut key = [0; STRIDE];
    for (index, byte) in key.iter_mut().enumerate() {
        *byte = mask[(index + phase) % 4];
    }
    let (strides, rest) = bytes.as_chunks_mut::<STRIDE>();
    for stride in strides {
        for (byte, key) in stride.iter_mut().zip(key) {
            *byte ^= key;
        }
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::apply;

    #[test]
    fn masking_in_any_two_pieces_equals_the_definition() {
        let mask = [0x12, 0x34, 0x56, 0x78];
        let plain: Vec<u8> = (0..150u8).collect();
        let expected: Vec<u8> = plain.iter().enumerate().map(|(i, byte)| byte ^ mask[i % 4]).collect();
        for split in 0..=plain.len() {
            let mut bytes = plain.clone();
            let (left, right) = bytes.split_at_mut(split);
            apply(left, mask, 0);
            apply(right, mask, split as u64);
            assert_eq!(bytes, expected, "split at {split}");
        }
    }
}
