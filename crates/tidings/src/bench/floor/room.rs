//! A room of the floor server: who is in it, and for long polls the last answers. Owned by the floor's loop. Refuses to
//! keep more than a client needs who polls again.

use std::collections::VecDeque;

use crate::bench::plan::Transport;

/// Answers kept for polls that were not there in time.
const ANSWERS_MAX: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Room {
    members: [Vec<usize>; 3],
    answers: VecDeque<Vec<u8>>,
    published: usize,
}

impl Room {
    /// Members who listen over `transport`.
    pub(super) fn members(&self, transport: Transport) -> &[usize] {
        &self.members[transport as usize]
    }

    pub(super) fn enter(&mut self, transport: Transport, client: usize) {
        self.members[transport as usize].push(client);
    }

    pub(super) fn leave(&mut self, transport: Transport, client: usize) {
        let members = &mut self.members[transport as usize];
        if let Some(place) = members.iter().position(|member| *member == client) {
            members.swap_remove(place);
        }
    }

    /// How many answers there were.
    pub(super) fn published(&self) -> usize {
        self.published
    }

    pub(super) fn keep(&mut self, answer: Vec<u8>) {
        self.published += 1;
        self.answers.truncate(ANSWERS_MAX - 1);
        self.answers.push_front(answer);
    }

    /// The answer of this place, if it was given and is still kept.
    pub(super) fn answer(&self, place: usize) -> Option<&[u8]> {
        let back = self.published.checked_sub(place + 1)?;
        self.answers.get(back).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_polls_late_finds_each_answer_in_its_place() {
        let mut room = Room::default();
        (0..ANSWERS_MAX + 2).for_each(|place| room.keep(place.to_be_bytes().to_vec()));
        assert_eq!(room.answer(0), None);
        assert_eq!(room.answer(2), Some(2_usize.to_be_bytes().as_slice()));
        assert_eq!(room.answer(ANSWERS_MAX + 1), Some((ANSWERS_MAX + 1).to_be_bytes().as_slice()));
        assert_eq!(room.answer(room.published()), None);
    }
}
