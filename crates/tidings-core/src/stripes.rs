//! Stripes: a table spread over many locks by the name of what it holds, so that shards rarely
//! meet at one.
//!
//! Owned by tables that all shards share. Refuses to hold two of its locks at once.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

const STRIPES: usize = 64;

/// Pieces of work done under a lock before it is given back to those who wait for it.
const SLICE: usize = 256;

/// See the module.
pub(crate) struct Stripes<S> {
    stripes: Vec<Mutex<S>>,
    hasher: RandomState,
    /// Where the next sweep begins.
    first: AtomicUsize,
}

impl<S: Default> Stripes<S> {
    pub(crate) fn new() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            first: AtomicUsize::new(0),
        }
    }

    /// Locks the stripe that a name belongs to.
    pub(crate) fn of(&self, name: &impl Hash) -> MutexGuard<'_, S> {
        let hash = self.hasher.hash_one(name);
        self.lock(usize::try_from(hash % STRIPES as u64).expect("there are few stripes"))
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

    fn lock(&self, stripe: usize) -> MutexGuard<'_, S> {
        // Whoever panicked under the lock has lost their own change; the table serves the others.
        self.stripes[stripe].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stripe_with_endless_work_leaves_some_budget_for_the_others() {
        let stripes = Stripes::<usize>::new();
        let mut work: Vec<String> = Vec::new();
        for name in ["busy", "calm", "quiet", "silent"] {
            *stripes.of(&name) = 3 * SLICE;
            work.push(name.to_owned());
        }
        let mut step = |left: &mut usize| {
            let any = *left > 0;
            *left -= usize::from(any);
            any
        };
        let total: usize = (0..STRIPES).map(|stripe| *stripes.lock(stripe)).sum();
        let mut done = 0;
        while done < total {
            done += stripes.sweep(2 * SLICE, &mut step);
        }
        assert_eq!(stripes.sweep(2 * SLICE, &mut step), 0, "nothing is left");
    }
}
