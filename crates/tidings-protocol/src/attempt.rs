//! Which of a client's connections is the newest, as the client says.
//!
//! What a client said by a connection that it gave up may arrive after its next one, by another way
//! through a proxy. The server cannot tell; the client can.

/// A number that grows with each connection of a client. Only its low 32 bits count, and an attempt is
/// older than those up to 2^31 beyond it: a clock in milliseconds may be sent as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attempt(u32);

impl Attempt {
    /// Of a client that does not count: neither older nor newer than any.
    pub const UNKNOWN: Self = Self(0);

    /// The attempt with this number.
    pub const fn new(number: u64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "differences come out right")]
        let low = number as u32;
        // The numbers before and behind stay before and behind.
        Self(if low == 0 { 1 } else { low })
    }

    /// Whether the other is known to be newer.
    pub const fn is_before(self, other: Self) -> bool {
        self.0 != 0 && other.0 != 0 && other.0.wrapping_sub(self.0).cast_signed() > 0
    }

    /// The newer one of both, or the one that is known.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        if self.0 == 0 || self.is_before(other) { other } else { self }
    }

    /// What is written down; 0 stands for an unknown one.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// What was written down.
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_attempts_are_told_from_newer_ones() {
        let clock = 1_795_539_532_395;
        for (old, new) in [(1, 2), (5, 1_000_000), (clock, clock + 1), (u64::from(u32::MAX), 1 << 32)] {
            let (old, new) = (Attempt::new(old), Attempt::new(new));
            assert!(old.is_before(new) && !new.is_before(old), "{old:?} {new:?}");
            assert_eq!((old.or(new), new.or(old)), (new, new));
        }
    }

    #[test]
    fn who_does_not_count_is_never_late() {
        let (unknown, known) = (Attempt::UNKNOWN, Attempt::new(7));
        assert!(!unknown.is_before(known) && !known.is_before(unknown) && !known.is_before(known));
        assert_eq!((unknown.or(known), known.or(unknown)), (known, known));
    }
}
