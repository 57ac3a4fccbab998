//! Which of several independent servers has a room: the one that scores highest for its name.
//!
//! Rendezvous hashing: every node comes to the same answer from the same list in any order, and one
//! more server takes its share of the rooms from all others and moves no room between those.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// See the module.
pub(crate) struct Placement {
    seeds: Vec<u64>,
}

impl Placement {
    /// Over servers by their names, which must be the same on every node.
    pub(crate) fn new<'a>(servers: impl Iterator<Item = &'a str>) -> Self {
        Self { seeds: servers.map(|name| xxh3_64(name.as_bytes())).collect() }
    }

    /// The number of the server that has a room.
    pub(crate) fn of(&self, room: &str) -> usize {
        let score = |&(_, &seed): &(usize, &u64)| xxh3_64_with_seed(room.as_bytes(), seed);
        self.seeds.iter().enumerate().max_by_key(score).map_or(0, |(server, _)| server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOMS: usize = 10_000;

    fn places(servers: &[&str]) -> Vec<String> {
        let placement = Placement::new(servers.iter().copied());
        (0..ROOMS).map(|room| servers[placement.of(&format!("room {room}"))].to_owned()).collect()
    }

    #[test]
    fn rooms_are_spread_evenly() {
        let places = places(&["a:6379", "b:6379", "c:6379"]);
        for server in ["a:6379", "b:6379", "c:6379"] {
            let rooms = places.iter().filter(|place| *place == server).count();
            assert!((3_100..3_560).contains(&rooms), "{server} has {rooms} of {ROOMS}");
        }
    }

    #[test]
    fn the_order_of_the_list_does_not_matter() {
        assert_eq!(places(&["a", "b", "c"]), places(&["c", "a", "b"]));
    }

    #[test]
    fn one_more_server_takes_its_share_and_moves_nothing_else() {
        let (before, after) = (places(&["a", "b", "c"]), places(&["a", "b", "c", "d"]));
        let moved: Vec<_> = before.iter().zip(&after).filter(|(before, after)| before != after).collect();
        assert!(moved.iter().all(|(_, after)| *after == "d"));
        assert!((2_300..2_700).contains(&moved.len()), "{} of {ROOMS} moved", moved.len());
    }

    #[test]
    fn places_stay_what_they_were_in_every_version() {
        let placement = Placement::new(["10.0.0.1:6379", "10.0.0.2:6379", "10.0.0.3:6379"].into_iter());
        let places: Vec<_> = (0..12).map(|room| placement.of(&format!("room {room}"))).collect();
        assert_eq!(places, [1, 2, 0, 2, 2, 2, 2, 0, 1, 0, 2, 1]);
    }
}
