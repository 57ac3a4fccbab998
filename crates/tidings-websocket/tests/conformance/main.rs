//! What the Autobahn suite examines, chapter by chapter, and what it does not: two independent parsers reading the same
//! bytes, any chopping of the stream, compression bombs, and the memory of an idle connection.

mod harness;

mod chapter_01_framing;
mod chapter_02_pings_and_pongs;
mod chapter_03_reserved_bits;
mod chapter_04_opcodes;
mod chapter_05_fragmentation;
mod chapter_06_utf8;
mod chapter_07_close_handling;
mod chapter_09_limits;
mod chapter_10_auto_fragmentation;
mod chapter_12_compression;
mod chapter_13_compression_parameters;
mod client_role;
mod differential;
mod encoding;
mod handshake;
mod memory;
mod streams;
