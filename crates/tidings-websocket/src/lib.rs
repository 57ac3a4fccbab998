#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod close;
pub mod decoder;
pub mod deflate;
pub mod encoder;
pub mod error;
pub mod frame;
pub mod handshake;
pub mod mask;
pub mod utf8;

pub use decoder::{Config, Decoder, Event, Role, Scratch, Step};
pub use error::Error;
