//! Slots: numbered places that are taken, given back and taken again.
//!
//! Shard and core number connections by slot, so that a member of a room is four bytes. A
//! [`SlotKey`] adds the generation, so that an answer which arrives late finds nobody instead of
//! the slot's next tenant.

/// Number of a place.
pub type Slot = u32;

/// A place and which of its tenants is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SlotKey {
    /// The place.
    pub slot: Slot,
    /// Counts the place's tenants.
    pub generation: u32,
}

/// Records in chunks: growing never copies, and the last chunk is all that is not yet needed.
#[derive(Debug)]
pub struct Slots<T> {
    chunks: Vec<Box<[Entry<T>]>>,
    free: Option<Slot>,
    occupied: usize,
    issued: Slot,
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    content: Content<T>,
}

#[derive(Debug)]
enum Content<T> {
    Vacant { next: Option<Slot> },
    Occupied(T),
}

const CHUNK: usize = 256;

impl<T> Slots<T> {
    /// No slots yet.
    pub const fn new() -> Self {
        Self { chunks: Vec::new(), free: None, occupied: 0, issued: 0 }
    }

    /// Takes a place.
    pub fn insert(&mut self, value: T) -> SlotKey {
        let slot = self.free.unwrap_or(self.issued);
        if slot == self.issued {
            if self.issued as usize == self.chunks.len() * CHUNK {
                self.chunks.push(
                    (0..CHUNK)
                        .map(|_| Entry { generation: 0, content: Content::Vacant { next: None } })
                        .collect(),
                );
            }
            self.issued += 1;
        }
        let entry = &mut self.chunks[slot as usize / CHUNK][slot as usize % CHUNK];
        if let Content::Vacant { next } = entry.content {
            self.free = next;
        }
        entry.content = Content::Occupied(value);
        self.occupied += 1;
        SlotKey { slot, generation: entry.generation }
    }

    /// Gives a place back.
    pub fn remove(&mut self, slot: Slot) -> Option<T> {
        let free = self.free;
        let entry = self.entry_mut(slot)?;
        if let Content::Vacant { .. } = entry.content {
            return None;
        }
        entry.generation = entry.generation.wrapping_add(1);
        let content = std::mem::replace(&mut entry.content, Content::Vacant { next: free });
        self.free = Some(slot);
        self.occupied -= 1;
        match content {
            Content::Occupied(value) => Some(value),
            Content::Vacant { .. } => None,
        }
    }

    /// Who is in a place.
    pub fn get(&self, slot: Slot) -> Option<&T> {
        match &self.chunks.get(slot as usize / CHUNK)?[slot as usize % CHUNK].content {
            Content::Occupied(value) => Some(value),
            Content::Vacant { .. } => None,
        }
    }

    /// Who is in a place, to change it.
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        match &mut self.entry_mut(slot)?.content {
            Content::Occupied(value) => Some(value),
            Content::Vacant { .. } => None,
        }
    }

    /// The key of a place's present tenant.
    pub fn key(&self, slot: Slot) -> Option<SlotKey> {
        let entry = &self.chunks.get(slot as usize / CHUNK)?[slot as usize % CHUNK];
        match entry.content {
            Content::Occupied(_) => Some(SlotKey { slot, generation: entry.generation }),
            Content::Vacant { .. } => None,
        }
    }

    /// Whether the tenant a key was given to is still there.
    pub fn holds(&self, key: SlotKey) -> bool {
        self.key(key.slot) == Some(key)
    }

    /// How many places are taken.
    pub const fn len(&self) -> usize {
        self.occupied
    }

    /// Whether no place is taken.
    pub const fn is_empty(&self) -> bool {
        self.occupied == 0
    }

    /// One more than the highest place ever taken.
    pub const fn issued(&self) -> Slot {
        self.issued
    }

    /// Every taken place, lowest first.
    pub fn taken(&self) -> impl Iterator<Item = Slot> + '_ {
        (0..self.issued).filter(|&slot| self.get(slot).is_some())
    }

    fn entry_mut(&mut self, slot: Slot) -> Option<&mut Entry<T>> {
        Some(&mut self.chunks.get_mut(slot as usize / CHUNK)?[slot as usize % CHUNK])
    }
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_does_not_find_the_next_tenant_of_its_place() {
        let mut slots = Slots::new();
        let first = slots.insert("ana");
        assert_eq!(slots.remove(first.slot), Some("ana"));
        let second = slots.insert("ben");
        assert_eq!(second.slot, first.slot);
        assert!(!slots.holds(first));
        assert!(slots.holds(second));
        assert_eq!(slots.remove(first.slot), Some("ben"));
        assert_eq!(slots.remove(first.slot), None);
        assert!(slots.is_empty());
    }

    #[test]
    fn places_given_back_are_taken_first() {
        let mut slots = Slots::new();
        let keys: Vec<_> = (0..1_000).map(|n| slots.insert(n)).collect();
        for key in &keys[100..200] {
            slots.remove(key.slot);
        }
        for n in 0..100 {
            assert!((100..200).contains(&slots.insert(n).slot));
        }
        assert_eq!(slots.insert(0).slot, 1_000);
        assert_eq!(slots.len(), 1_001);
        assert_eq!(slots.taken().count(), 1_001);
    }
}
