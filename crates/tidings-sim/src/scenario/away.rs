//! How connections end before their time, and nodes.

use super::watcher::Watcher;
use super::{Scenario, Way};

/// Ids run ahead of the clock by as many microseconds as there are messages in an instant; nothing
/// starts again as fast as that.
const RESTART_MS: u64 = 10;

impl Scenario {
    /// A connection breaks, ends in good order, or falls silent while its client is elsewhere.
    pub(super) fn break_off(&mut self, number: usize) {
        self.look();
        let id = self.people[number].id;
        if !self.people[number].is_here {
            return;
        }
        let how = self.random.below(4);
        self.trace.note(|| format!("{number} goes, {}", ["broken", "broken", "ended", "silent"][how]));
        let client = self.world.client(id);
        match how {
            0 | 1 => client.pipe.reset(),
            2 => client.pipe.finish(),
            _ => (client.reads, client.rude) = (false, true),
        }
        self.world.take(id);
        // Silence on a stream or poll is for the system to find out, as the server need not hear
        // anything there.
        if how == 3 && !matches!(self.people[number].way, Way::Socket) {
            self.silent.push(id);
        }
        self.people[number].is_here = false;
        if self.random.chance(60) {
            self.come_back(number);
        }
    }

    /// The node dies with its engine. The next one begins empty.
    pub(super) fn crash(&mut self) {
        if !self.weather.nodes_die {
            return;
        }
        self.look();
        self.trace.note(|| "the node dies".to_owned());
        let now_ms = self.world.network.now_ms();
        self.world.network.set_now_ms(now_ms + RESTART_MS);
        self.world.crash();
        self.held.forget_all();
        self.errands.give_up();
        self.watcher = self.watcher.is_some().then(|| Watcher::new(&mut self.world));
        for person in &mut self.people {
            person.is_here = false;
            self.world.client(person.id).look(usize::MAX);
            self.world.take(person.id);
        }
    }
}
