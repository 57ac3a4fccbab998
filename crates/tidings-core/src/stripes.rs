//! Stripes: a table spread over many locks by the name of what it holds, so that shards rarely
//! meet at one.
//!
//! Owned by tables that all shards share. Refuses to hold two of its locks at once.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) const STRIPES: usize = 64;

/// Pieces of work done under a lock before it is given back to those who wait for it.
const SLICE: usize = 256;

/// See the module.
pub(crate) struct Stripes<S> {
    stripes: Vec<Mutex<S>>,
    /// Where the next sweep begins.
    first: AtomicUsize,
}

impl<S: Default> Stripes<S> {
    pub(crate) fn new() -> Self {
        Self { stripes: (0..STRIPES).map(|_| Mutex::default()).collect(), first: AtomicUsize::new(0) }
    }

    /// Locks the stripe that a name belongs to: the same in every process, since stripes are swept in
    /// their order and a simulation must tell the same story again. Names chosen to meet in one stripe
    /// wait for each other and do no more: the tables behind the locks hash with keys of their own.
    pub(crate) fn of(&self, name: &impl Hash) -> MutexGuard<'_, S> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        self.lock(usize::try_from(hasher.finish() % STRIPES as u64).expect("there are few stripes"))
    }

    /// Does at most `budget` pieces of work, stripe by stripe; `step` does one piece, or says that
    /// its stripe has none. Begins where the last sweep ran out, so that no stripe is always last.
    /// Returns how many pieces were done.
    pub(crate) fn sweep(&self, budget: usize, mut step: impl FnMut(&mut S) -> bool) -> usize {
        let mut left = budget;
        let first = self.first.load(Ordering::Relaxed);
        for stripe in (first..first + STRIPES).map(|stripe| stripe % STRIPES) {
            loop {
                let slice = SLICE.min(left);
                let mut locked = self.lock(stripe);
                let done = (0..slice).take_while(|_| step(&mut locked)).count();
                drop(locked);
                left -= done;
                if left == 0 {
                    self.first.store((stripe + 1) % STRIPES, Ordering::Relaxed);
                    return budget;
                }
                if done < slice {
                    break;
                }
            }
        }
        budget - left
    }

    #[cfg(test)]
    pub(crate) fn sum(&self, of: impl Fn(&S) -> usize) -> usize {
        (0..STRIPES).map(|stripe| of(&self.lock(stripe))).sum()
    }

    /// Locks one of the stripes, by its number below [`STRIPES`].
    pub(crate) fn lock(&self, stripe: usize) -> MutexGuard<'_, S> {
        // Whoever panicked under the lock has lost their own change; the table serves the others.
        self.stripes[stripe].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes one off, if there is one.
    fn step(work: &mut usize) -> bool {
        let any = *work > 0;
        *work -= usize::from(any);
        any
    }

    #[test]
    fn a_stripe_with_endless_work_does_not_keep_the_others_waiting() {
        let stripes = Stripes::<usize>::new();
        for stripe in 0..STRIPES {
            *stripes.lock(stripe) = 1;
        }
        *stripes.lock(0) = usize::MAX;
        assert_eq!(stripes.sweep(2 * SLICE, step), 2 * SLICE, "all of it went to the first");
        assert_eq!(stripes.sweep(2 * SLICE, step), 2 * SLICE);
        assert!((1..STRIPES).all(|stripe| *stripes.lock(stripe) == 0));
    }

    #[test]
    fn a_sweep_ends_when_nothing_is_left() {
        let stripes = Stripes::<usize>::new();
        *stripes.lock(0) = 2 * SLICE;
        *stripes.lock(STRIPES - 1) = 1;
        assert_eq!(stripes.sweep(10 * SLICE, step), 2 * SLICE + 1);
        assert_eq!(stripes.sweep(10 * SLICE, step), 0);
    }
}
