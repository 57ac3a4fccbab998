//! `tidings serve`: the one place that wires everything.

use crate::exit::Failure;
use crate::settings::{Flags, Settings};

/// Serves until a signal.
pub(crate) fn run(flags: &Flags) -> Result<u8, Failure> {
    let settings = Settings::read(flags)?;
    Err(Failure::fault(format!("cannot serve {settings:?} yet")))
}
