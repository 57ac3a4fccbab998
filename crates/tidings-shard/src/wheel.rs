//! A hashed timer wheel: one deadline per slot, a list per tick.
//!
//! Owned by a shard. Setting, moving and cancelling are O(1) and allocate nothing. Deadlines
//! beyond the horizon come up early; the owner looks at its own clock and sets them again. It
//! refuses to read a clock.

use tidings_core::Slot;

/// Coarse enough that thousands of deadlines share a wake-up.
const TICK_MS: u64 = 50;
const TICKS: usize = 1_024;
const NOWHERE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Link {
    previous: u32,
    next: u32,
    /// Which list it is in; `NOWHERE` if in none.
    list: u32,
}

const UNSET: Link = Link { previous: NOWHERE, next: NOWHERE, list: NOWHERE };

/// See the module.
#[derive(Debug)]
pub struct Wheel {
    lists: Vec<u32>,
    links: Vec<Link>,
    /// The tick up to which everything has come up.
    tick: u64,
    /// No deadline comes up before this tick, so that a turn need not look for the next one.
    empty_before: u64,
    len: usize,
}

impl Wheel {
    /// No deadlines; time begins at `now_ms`.
    pub fn new(now_ms: u64) -> Self {
        let tick = now_ms / TICK_MS;
        Self { lists: vec![NOWHERE; TICKS], links: Vec::new(), tick, empty_before: tick, len: 0 }
    }

    /// Sets a slot's deadline, in place of the one it had.
    pub fn set(&mut self, slot: Slot, deadline_ms: u64) {
        self.cancel(slot);
        if self.links.len() <= slot as usize {
            self.links.resize(slot as usize + 1, UNSET);
        }
        let horizon = self.tick + TICKS as u64 - 1;
        let tick = deadline_ms.div_ceil(TICK_MS).clamp(self.tick + 1, horizon);
        self.empty_before = self.empty_before.min(tick);
        let list = list_of(tick);
        let first = self.lists[list as usize];
        if first != NOWHERE {
            self.links[first as usize].previous = slot;
        }
        self.links[slot as usize] = Link { previous: NOWHERE, next: first, list };
        self.lists[list as usize] = slot;
        self.len += 1;
    }

    /// Forgets a slot's deadline.
    pub fn cancel(&mut self, slot: Slot) {
        let Some(link) = self.links.get(slot as usize).copied() else { return };
        if link.list == NOWHERE {
            return;
        }
        match link.previous {
            NOWHERE => self.lists[link.list as usize] = link.next,
            previous => self.links[previous as usize].next = link.next,
        }
        if link.next != NOWHERE {
            self.links[link.next as usize].previous = link.previous;
        }
        self.links[slot as usize] = UNSET;
        self.len -= 1;
    }

    /// Takes out every slot whose deadline has come.
    pub fn expire(&mut self, now_ms: u64, expired: &mut Vec<Slot>) {
        let now = now_ms / TICK_MS;
        // After a long sleep every list has come up once; going round again finds nothing.
        let ticks = now.saturating_sub(self.tick).min(TICKS as u64);
        for tick in self.tick + 1..=self.tick + ticks {
            loop {
                let first = self.lists[list_of(tick) as usize];
                if first == NOWHERE {
                    break;
                }
                self.cancel(first);
                expired.push(first);
            }
        }
        self.tick = self.tick.max(now);
    }

    /// When the next deadline may come up.
    pub fn next_ms(&mut self) -> Option<u64> {
        if self.len == 0 {
            return None;
        }
        let mut ticks = self.empty_before.max(self.tick + 1)..=self.tick + TICKS as u64;
        let next = ticks.find(|&tick| self.lists[list_of(tick) as usize] != NOWHERE)?;
        self.empty_before = next;
        Some(next * TICK_MS)
    }
}

fn list_of(tick: u64) -> u32 {
    u32::try_from(tick % TICKS as u64).expect("there are few lists")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn expired(wheel: &mut Wheel, now_ms: u64) -> Vec<Slot> {
        let mut slots = Vec::new();
        wheel.expire(now_ms, &mut slots);
        slots.sort_unstable();
        slots
    }

    #[test]
    fn a_deadline_comes_up_once_and_never_early() {
        let mut wheel = Wheel::new(1_000);
        wheel.set(7, 2_000);
        assert_eq!(wheel.next_ms(), Some(2_000));
        assert_eq!(expired(&mut wheel, 1_999), [0; 0]);
        assert_eq!(expired(&mut wheel, 2_000), [7]);
        assert_eq!(expired(&mut wheel, 9_000), [0; 0]);
        assert_eq!(wheel.next_ms(), None);
    }

    #[test]
    fn a_long_sleep_brings_up_everything() {
        let mut wheel = Wheel::new(0);
        for slot in 0..10 {
            wheel.set(slot, u64::from(slot) * 5_000);
        }
        assert_eq!(expired(&mut wheel, 10_000_000), (0..10).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn it_does_what_a_sorted_list_would(
            steps in prop::collection::vec((0_u32..20, 0_u64..40_000, 0_u8..4, 0_u64..3_000), 1..200),
        ) {
            let mut wheel = Wheel::new(0);
            let mut model: HashMap<Slot, u64> = HashMap::new();
            let mut now_ms = 0;
            for (slot, delay_ms, action, passes_ms) in steps {
                match action {
                    0 => {
                        wheel.cancel(slot);
                        model.remove(&slot);
                    }
                    1 => {
                        now_ms += passes_ms;
                        for slot in expired(&mut wheel, now_ms) {
                            let deadline_ms = model.remove(&slot);
                            prop_assert!(deadline_ms.is_some_and(|deadline_ms| deadline_ms <= now_ms));
                        }
                        prop_assert!(model.values().all(|&deadline_ms| deadline_ms + TICK_MS > now_ms));
                    }
                    _ => {
                        wheel.set(slot, now_ms + delay_ms);
                        model.insert(slot, now_ms + delay_ms);
                    }
                }
                let first_ms = model.values().min();
                prop_assert_eq!(wheel.next_ms().is_some(), first_ms.is_some());
                if let (Some(next_ms), Some(&first_ms)) = (wheel.next_ms(), first_ms) {
                    prop_assert!((first_ms..first_ms + 2 * TICK_MS).contains(&next_ms));
                }
            }
        }
    }
}
