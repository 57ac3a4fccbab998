//! Any bytes from a peer: the decoder never panics, hears the same however the bytes are cut, and stays within its
//! limits; the negotiation of compression never panics and never agrees to what it did not understand.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use tidings_websocket::deflate::{self, Offer};
use tidings_websocket::{Config, Decoder, Error, Event, Role, Scratch};

/// What was heard, as text, which is all that a comparison needs.
type Heard = Vec<String>;

thread_local! {
    /// One for all runs, as a thread has one for all connections: what one leaves behind must not show in another.
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new());
}

fuzz_target!(|input: &[u8]| {
    let [flags, limit, cut, stream @ ..] = input else { return };
    let config = Config {
        role: if flags & 1 == 0 { Role::Server } else { Role::Client },
        message_bytes_max: if flags & 2 == 0 { 1 << 16 } else { usize::from(*limit) },
        fragments_max: if flags & 4 == 0 { 1000 } else { usize::from(*limit % 8) },
    };
    let deflate = flags & 8 == 0;
    let whole = hear(&config, deflate, stream, usize::MAX);
    assert_eq!(hear(&config, deflate, stream, usize::from(*cut) + 1), whole);
    if stream.len() < 1000 {
        assert_eq!(hear(&config, deflate, stream, 1), whole);
    }
    negotiate(stream);
});

fn hear(config: &Config, deflate: bool, stream: &[u8], read_bytes: usize) -> Heard {
    SCRATCH.with_borrow_mut(|scratch| hear_with(scratch, config, deflate, stream, read_bytes))
}

fn hear_with(
    scratch: &mut Scratch,
    config: &Config,
    deflate: bool,
    stream: &[u8],
    read_bytes: usize,
) -> Heard {
    let (mut decoder, mut heard) = (Decoder::new(deflate), Heard::new());
    for read in stream.chunks(read_bytes.min(stream.len().max(1))) {
        if let Err(error) = hear_one_read(&mut decoder, config, scratch, read, &mut heard) {
            assert!(matches!(error.close_code(), 1002 | 1007 | 1009));
            assert!(decoder.is_finished());
            heard.push(format!("{error:?}"));
        }
        // Twice what may arrive, for a buffer that doubles; an eighth for what compression may add; and the fixed parts.
        assert!(
            decoder.heap_bytes() <= 2 * (config.message_bytes_max + config.message_bytes_max / 8 + 64) + 512
        );
        assert!(!decoder.is_finished() || decoder.heap_bytes() == 0);
    }
    heard
}

fn hear_one_read(
    decoder: &mut Decoder,
    config: &Config,
    scratch: &mut Scratch,
    read: &[u8],
    heard: &mut Heard,
) -> Result<(), Error> {
    let mut read = read.to_vec();
    let mut at = 0;
    loop {
        let step = decoder.decode(config, scratch, &mut read[at..])?;
        at += step.consumed;
        let Some(event) = step.event else {
            assert_eq!(at, read.len());
            return Ok(());
        };
        match &event {
            Event::Text(text) => assert!(text.len() <= config.message_bytes_max),
            Event::Binary(payload) => assert!(payload.len() <= config.message_bytes_max),
            Event::Ping(payload) | Event::Pong(payload) => assert!(payload.len() <= 125),
            Event::Close(close) => assert!(close.is_none_or(|close| close.reason.len() <= 123)),
        }
        heard.push(format!("{event:?}"));
    }
}

fn negotiate(value: &[u8]) {
    let Ok(Some(agreed)) = deflate::negotiate([value]) else { return };
    assert!((8..=15).contains(&agreed.server_max_window_bits));
    let offer =
        Offer { server_max_window_bits: Some(agreed.server_max_window_bits), client_max_window_bits: true };
    assert_eq!(offer.check_answer([agreed.response_value().as_bytes()]), Ok(Some(agreed)));
}
