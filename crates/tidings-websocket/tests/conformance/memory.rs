//! What a connection costs: nothing while idle, no more than arrived while something is in progress, and never more than
//! the limits allow, whatever the peer announces or compresses.

use crate::harness::{Heard, MASK, SERVER, Stream, hear_piece};
use flate2::{Compress, Compression, FlushCompress};
use tidings_websocket::frame::{FrameHeader, Opcode};
use tidings_websocket::{Config, Decoder, Error, Scratch};

fn header(rsv1: bool, opcode: Opcode) -> FrameHeader {
    FrameHeader { fin: true, rsv1, opcode, mask: Some(MASK) }
}

#[test]
fn a_decoder_fits_in_sixteen_bytes() {
    assert!(size_of::<Decoder>() <= 16, "{} bytes", size_of::<Decoder>());
}

#[test]
fn a_decoder_holds_no_heap_whenever_nothing_is_in_progress() {
    let (mut decoder, mut scratch) = (Decoder::new(true), Scratch::new());
    let frames = [
        Stream::new().frame(Opcode::Text, "text"),
        Stream::new().fragments(Opcode::Binary, &[7; 5000], 100),
        Stream::new().frame(Opcode::Ping, "ping"),
        Stream::new().deflated(Opcode::Text, &[b'a'; 5000], 15, 3),
        Stream::new().close(1000, "bye"),
    ];
    assert_eq!((decoder.is_idle(), decoder.heap_bytes()), (true, 0));
    for frame in frames {
        let mut heard = Vec::new();
        for (index, byte) in frame.0.iter().enumerate() {
            hear_piece(&mut decoder, &SERVER, &mut scratch, &mut [*byte], &mut heard).unwrap();
            let over = index + 1 == frame.0.len();
            assert_eq!(decoder.is_idle(), over);
            assert_eq!(decoder.heap_bytes() == 0, over);
        }
        assert_eq!(heard.len(), 1);
    }
    assert!(decoder.is_finished());
}

#[test]
fn a_failed_decoder_holds_no_heap() {
    let (mut decoder, mut scratch, mut heard) = (Decoder::new(false), Scratch::new(), Vec::new());
    let mut bytes = Stream::new().fragment(false, Opcode::Text, [b'a'; 1000]).frame(Opcode::Text, "b").0;
    let error = hear_piece(&mut decoder, &SERVER, &mut scratch, &mut bytes, &mut heard).unwrap_err();
    assert_eq!(error, Error::MessageInterrupted);
    assert_eq!((decoder.is_finished(), decoder.heap_bytes()), (true, 0));
}

#[test]
fn an_announced_length_costs_nothing_until_it_arrives() {
    let (mut decoder, mut scratch, mut heard) = (Decoder::new(false), Scratch::new(), Vec::new());
    let mut bytes = header(false, Opcode::Binary).bytes(16 << 20).to_vec();
    bytes.extend_from_slice(&[7; 10]);
    hear_piece(&mut decoder, &SERVER, &mut scratch, &mut bytes, &mut heard).unwrap();
    assert!(decoder.heap_bytes() < 256, "{} bytes for 10", decoder.heap_bytes());
    for arrived in (1010..100_000usize).step_by(1000) {
        hear_piece(&mut decoder, &SERVER, &mut scratch, &mut [7; 1000], &mut heard).unwrap();
        assert!(decoder.heap_bytes() < 2 * arrived + 256, "{} bytes for {arrived}", decoder.heap_bytes());
    }
    assert_eq!(heard, []);
}

#[test]
fn the_last_message_is_given_back_with_the_next_call() {
    let (mut decoder, mut scratch, mut heard) = (Decoder::new(false), Scratch::new(), Vec::new());
    let mut bytes = Stream::new().fragments(Opcode::Binary, &[7; 100_000], 1000).0;
    hear_piece(&mut decoder, &SERVER, &mut scratch, &mut bytes, &mut heard).unwrap();
    assert_eq!(heard, [Heard::Binary(vec![7; 100_000])]);
    assert_eq!(scratch.buffer_bytes(), 0);
}

/// A whole message that inflates to `message_bytes` of zeros, as small as DEFLATE can say it.
fn bomb(message_bytes: usize) -> Vec<u8> {
    let mut compress = Compress::new(Compression::best(), false);
    let mut deflated = Vec::with_capacity(message_bytes / 500 + 100);
    let zeros = vec![0; message_bytes];
    compress.compress_vec(&zeros, &mut deflated, FlushCompress::Sync).unwrap();
    assert_eq!(compress.total_in() as usize, message_bytes);
    deflated.truncate(deflated.len() - 4);
    deflated
}

#[test]
fn a_compression_bomb_costs_at_most_the_limit() {
    let deflated = bomb(64 << 20);
    let config = Config { message_bytes_max: 1 << 20, ..SERVER };
    assert!(
        deflated.len() < config.message_bytes_max,
        "it passes as a small message: {} bytes",
        deflated.len()
    );
    let whole = Stream::new().with(header(true, Opcode::Binary), &deflated).0;
    for piece in [whole.len(), 100] {
        let (mut decoder, mut scratch, mut heard) = (Decoder::new(true), Scratch::new(), Vec::new());
        let error = whole
            .chunks(piece)
            .find_map(|piece| {
                hear_piece(&mut decoder, &config, &mut scratch, &mut piece.to_vec(), &mut heard).err()
            })
            .expect("the bomb is refused");
        assert_eq!(error, Error::MessageTooBig { limit_bytes: 1 << 20 });
        assert_eq!(heard, []);
        assert!(scratch.buffer_bytes() <= (1 << 20) + 1, "{} bytes", scratch.buffer_bytes());
        assert_eq!(decoder.heap_bytes(), 0);
    }
}

#[test]
fn the_limit_holds_for_the_thread_whatever_other_limits_it_was_used_with() {
    // The inflater's buffer may have grown under a larger limit before.
    let mut scratch = Scratch::new();
    let small = Config { message_bytes_max: 100, ..SERVER };
    let message = Stream::new().deflated(Opcode::Binary, &[0; 5000], 15, usize::MAX).0;
    for (config, expected) in [(&SERVER, Ok(())), (&small, Err(Error::MessageTooBig { limit_bytes: 100 }))] {
        let mut decoder = Decoder::new(true);
        let heard = hear_piece(&mut decoder, config, &mut scratch, &mut message.clone(), &mut Vec::new());
        assert_eq!(heard, expected);
    }
}
