//! How messages reach members: announced ones in batches, missed ones from the log.

use std::sync::Arc;

use tidings_protocol::codes::CloseCode;
use tidings_protocol::{GapReason, Message, MessageId, ServerFrame};

use super::Messaging;
use crate::engine::{Completion, EngineError, Page, Position};
use crate::hub::Doubt;
use crate::mailbox::Post;
use crate::options::SlowConsumerPolicy;
use crate::outlet::Outlet;
use crate::recovery::{self, Gap};
use crate::rooms::{Batch, Member, Pace, Standing, SubscriptionKey};
use crate::slots::Slot;
use crate::telemetry::Counter;

/// One giant room may deliver to so many members before the next room has its turn.
const SLICE_MEMBERS: usize = 2_000;

/// Messages read at once for a subscription that is behind: about what an outbox holds.
const CATCH_UP_MESSAGES: usize = 128;

impl<E: Default> Messaging<E> {
    /// The engine stored a message: queues it for the room's members.
    pub(super) fn announced(&mut self, message: Arc<Message>) {
        let Some(slot) = self.rooms.find(message.room.as_str()) else { return };
        let Some(room) = self.rooms.room_mut(slot) else { return };
        if room.queue(message, self.wiring.limits.fan_out_batches_max, &mut self.idle_fan_outs) {
            self.fanning.extend(self.rooms.room_key(slot));
        }
    }

    /// Announcements may be missing: members who stand before the head, or where the log has a hole,
    /// read it. Who is beyond the hole already has nothing to read, and is told.
    pub(super) fn doubted(&mut self, doubt: &Doubt, outlet: &mut impl Outlet<Encoded = E>) {
        let Some(slot) = self.rooms.find(doubt.room.as_str()) else { return };
        let Some(room) = self.rooms.room_mut(slot) else { return };
        room.head = room.head.max(doubt.head);
        let mut beyond = Vec::new();
        for member in room.members.iter_mut().filter(|member| member.pace == Pace::Live) {
            if doubt.hole.is_some_and(|hole| hole.before < member.cursor) {
                beyond.push(member.slot);
            } else if member.cursor < doubt.head || doubt.hole.is_some_and(|hole| hole.holds(member.cursor)) {
                member.pace = Pace::Lagging;
                self.to_read.push((member.slot, slot));
            }
        }
        let Some(hole) = doubt.hole else { return };
        let before = MessageId(hole.before.0 + 1);
        let gap = Gap { after: hole.after, before, reason: GapReason::RolledBack };
        for client in beyond {
            self.tell_gap(client, slot, gap, outlet);
        }
    }

    /// Delivers queued batches, at most about `deliveries_max` of them, rooms taking turns. Says
    /// whether something is left for the next turn.
    pub fn fan_out(&mut self, deliveries_max: usize, outlet: &mut impl Outlet<Encoded = E>) -> bool {
        let mut left = deliveries_max;
        while left > 0 {
            let Some(key) = self.fanning.pop_front() else { break };
            if !self.rooms.holds(key) {
                continue;
            }
            let (visited, more) = self.fan_out_slice(key.slot, left.min(SLICE_MEMBERS), outlet);
            left = left.saturating_sub(visited);
            if more {
                self.fanning.push_back(key);
            }
        }
        self.tell_events(left.max(SLICE_MEMBERS), outlet);
        for (client, room) in std::mem::take(&mut self.to_read) {
            self.read_on(client, room, outlet);
        }
        !self.fanning.is_empty() || !self.telling.is_empty()
    }

    /// Takes a room's first batch to the next members. Gives how many were visited, and whether
    /// the room has more to do.
    fn fan_out_slice(
        &mut self,
        slot: Slot,
        members_max: usize,
        outlet: &mut impl Outlet<Encoded = E>,
    ) -> (usize, bool) {
        let Some(room) = self.rooms.room_mut(slot) else { return (0, false) };
        let Some(fan_out) = &mut room.fan_out else { return (0, false) };
        let Some(mut batch) = fan_out.batches.pop_front() else { return (0, false) };
        let begin = fan_out.next_member.min(room.members.len());
        let end = room.members.len().min(begin + members_max);
        let (policy, mut delivered, mut marked, mut behind) = (room.policy, 0, Vec::new(), Vec::new());
        fan_out.begun = true;
        fan_out.next_member = end;
        for member in &mut room.members[begin..end] {
            if member.pace != Pace::Live {
                continue;
            }
            if member.marked {
                marked.push(member.slot);
                continue;
            }
            let (taken, offered) = deliver(member, &mut batch, policy, outlet);
            delivered += taken;
            if offered != Offered::Taken {
                behind.push((member.slot, offered));
            }
        }
        for client in marked {
            let Some(member) = self.rooms.member(client, slot) else { continue };
            match batch.standing(member.cursor) {
                Standing::Beyond => {}
                Standing::Broken => behind.push((client, Offered::Broken)),
                Standing::Next(first) => {
                    let taken = self.deliver_marked(client, slot, &mut batch, first, outlet);
                    delivered += taken;
                    if first + taken < batch.messages().len() {
                        behind.push((client, Offered::Refused));
                    }
                }
            }
        }
        for (client, offered) in behind {
            self.fell_behind(client, slot, policy, offered, outlet);
        }
        let Some(room) = self.rooms.room_mut(slot) else { return (end - begin, false) };
        let Some(fan_out) = &mut room.fan_out else { return (end - begin, false) };
        fan_out.batches.push_front(batch);
        let more = end < room.members.len() || fan_out.finish_batch();
        if !more {
            room.rest(&mut self.idle_fan_outs);
        }
        self.wiring.counters.add(Counter::MessageDelivered, delivered as u64);
        (end - begin, more)
    }

    /// A member did not take a batch: it reads the log instead, or is sent away.
    fn fell_behind(
        &mut self,
        client: Slot,
        slot: Slot,
        policy: SlowConsumerPolicy,
        offered: Offered,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        let Some(member) = self.rooms.member_mut(client, slot) else { return };
        member.pace = Pace::Lagging;
        self.count(Counter::SlowConsumerFellBehind);
        if offered == Offered::Refused
            && policy == SlowConsumerPolicy::Close
            && !self.polls.contains_key(&client)
        {
            self.count(Counter::SlowConsumerClosed);
            outlet.close(client, CloseCode::TryAgainLater, "Too slow: reconnect and resume by cursor");
        } else {
            self.to_read.push((client, slot));
        }
    }

    /// Delivers a batch to a feed of several rooms, message by message: each tells where its client
    /// stands in all of them. Gives how many were taken.
    fn deliver_marked(
        &mut self,
        client: Slot,
        slot: Slot,
        batch: &mut Batch<E>,
        first: usize,
        outlet: &mut impl Outlet<Encoded = E>,
    ) -> usize {
        let all = batch.messages().len();
        for index in first..all {
            let id = batch.messages()[index].id;
            let cursor = self.cursor(client, Some((slot, id))).unwrap_or_default();
            if !outlet.deliver_marked(client, batch, index, &cursor) {
                return index - first;
            }
            if let Some(member) = self.rooms.member_mut(client, slot) {
                (member.cursor, member.delivered) = (id, true);
            }
        }
        all - first
    }

    /// A connection that had refused messages flows again.
    pub fn drained(&mut self, client: Slot, outlet: &mut impl Outlet<Encoded = E>) {
        for index in 0.. {
            let Some(subscription) = self.rooms.of(client).as_slice().get(index).copied() else { break };
            self.read_on(client, subscription.room, outlet);
        }
    }

    /// Lets a lagging subscription go on, if its connection flows and its room's policy lets it.
    pub(super) fn read_on(&mut self, client: Slot, slot: Slot, outlet: &mut impl Outlet<Encoded = E>) {
        let Some(room) = self.rooms.room(slot) else { return };
        let (policy, head) = (room.policy, room.head);
        let Some(member) = self.rooms.member_mut(client, slot) else { return };
        if member.pace != Pace::Lagging || !outlet.flows(client) {
            return;
        }
        match policy {
            SlowConsumerPolicy::Drop => {
                let after = member.cursor;
                // What was read from the log may be newer than what was announced so far.
                member.cursor = head.max(after);
                member.pace = Pace::Live;
                if head > after {
                    let gap = Gap { after, before: MessageId(head.0 + 1), reason: GapReason::Overflow };
                    self.tell_gap(client, slot, gap, outlet);
                }
            }
            SlowConsumerPolicy::CatchUp | SlowConsumerPolicy::Close => {
                self.read_log(client, slot, CATCH_UP_MESSAGES)
            }
            SlowConsumerPolicy::Latest => {
                let messages_max = self.wiring.limits.history_page_messages_max;
                self.read_log(client, slot, messages_max);
            }
        }
    }

    /// Asks the engine for what follows a subscription's cursor.
    pub(super) fn read_log(&mut self, client: Slot, slot: Slot, messages_max: usize) {
        let Some(key) = self.subscription_key(client, slot) else { return };
        let Some(member) = self.rooms.member_mut(client, slot) else { return };
        member.pace = Pace::Reading;
        let after = member.cursor;
        let Some(room) = self.rooms.room(slot) else { return };
        let mailbox = Arc::clone(&self.wiring.mailbox);
        let done =
            Completion::new(move |page| mailbox.post(Post::PageRead { subscription: key, after, page }));
        self.wiring.engine.history(self.now.wall, &room.name, Position::After(after), messages_max, done);
    }

    fn subscription_key(&self, client: Slot, room: Slot) -> Option<SubscriptionKey> {
        let client = self.clients.get(client as usize)?.key;
        Some(SubscriptionKey { client, room: self.rooms.room_key(room)? })
    }

    /// A stretch of the log arrived for a subscription that was behind, or that has just begun.
    pub(super) fn page_read(
        &mut self,
        key: SubscriptionKey,
        after: MessageId,
        page: Result<Page, EngineError>,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        if !self.is_present(key.client) || !self.rooms.holds(key.room) {
            return;
        }
        let (client, slot) = (key.client.slot, key.room.slot);
        let Some(member) = self.rooms.member_mut(client, slot) else { return };
        // A connection that left and came back meanwhile has another cursor, and another page on
        // its way.
        if member.pace != Pace::Reading || member.cursor != after {
            return;
        }
        member.pace = Pace::Lagging;
        let Ok(page) = page else {
            self.to_retry.push((client, slot));
            return;
        };
        let gap = recovery::gap(member.cursor, &page, self.now.wall);
        // What lies before the page cannot be had; from here on the chain holds.
        member.cursor = page.messages.first().map_or(page.head, |first| first.prev);
        match self.requests.remove(&(client, slot)) {
            Some(request) => self.recovered(client, slot, request, &page, gap, outlet),
            None => self.caught_up_by(client, slot, page, gap, outlet),
        }
    }

    fn caught_up_by(
        &mut self,
        client: Slot,
        slot: Slot,
        page: Page,
        gap: Option<Gap>,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        let policy = self.rooms.room(slot).map(|room| room.policy);
        if policy == Some(SlowConsumerPolicy::Latest) {
            self.deliver_newest(client, slot, &page, gap, outlet);
        } else {
            if let Some(gap) = gap {
                self.tell_gap(client, slot, gap, outlet);
            }
            self.deliver_log(client, slot, page.messages, outlet);
        }
    }

    /// Delivers messages read from the log, and goes live once the cursor has reached the head.
    pub(super) fn deliver_log(
        &mut self,
        client: Slot,
        slot: Slot,
        messages: Vec<Arc<Message>>,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        let mut batch = Batch::from_log(messages);
        let all = batch.messages().len();
        let marked = self.rooms.member(client, slot).is_some_and(|member| member.marked);
        let taken = match all {
            0 => 0,
            _ if marked => self.deliver_marked(client, slot, &mut batch, 0, outlet),
            _ => outlet.deliver(client, &mut batch, 0),
        };
        self.wiring.counters.add(Counter::MessageDelivered, taken as u64);
        let Some(head) = self.rooms.room(slot).map(|room| room.head) else { return };
        let Some(member) = self.rooms.member_mut(client, slot) else { return };
        if let Some(index) = taken.checked_sub(1) {
            (member.cursor, member.delivered) = (batch.messages()[index].id, true);
        }
        if taken == all && member.cursor >= head {
            member.pace = Pace::Live;
            self.count(Counter::SlowConsumerCaughtUp);
        } else {
            self.read_on(client, slot, outlet);
        }
    }

    /// Under `latest` only the newest message of each key is worth a slow reader's time. Those that
    /// do not fit are read again, or newer ones instead, when the connection flows.
    fn deliver_newest(
        &mut self,
        client: Slot,
        slot: Slot,
        page: &Page,
        gap: Option<Gap>,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        let newest = recovery::conflate(&page.messages);
        let conflated = page.messages.len() - newest.len();
        self.wiring.counters.add(Counter::MessageConflated, conflated as u64);
        // What the log has lost may have been the last message of some key.
        if let Some(gap) = gap {
            self.tell_gap(client, slot, gap, outlet);
        }
        self.deliver_log(client, slot, newest, outlet);
    }

    /// Tells a subscriber what it may have lost.
    pub(super) fn tell_gap(&self, client: Slot, slot: Slot, gap: Gap, outlet: &mut impl Outlet<Encoded = E>) {
        let Some(room) = self.rooms.room(slot) else { return };
        self.count(Counter::GapTold);
        let Gap { after, before, reason } = gap;
        outlet.answer(client, &ServerFrame::Gap { room: &room.name, after, before, reason });
        self.mark(client, outlet);
    }
}

/// What became of a batch that a live member was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offered {
    /// Its cursor is at the batch's end.
    Taken,
    /// The batch does not continue where its cursor stands.
    Broken,
    /// Its connection does not take everything.
    Refused,
}

/// Offers a batch to a member who is live. Gives how many messages it took, and what became of
/// the batch.
fn deliver<O: Outlet>(
    member: &mut Member,
    batch: &mut Batch<O::Encoded>,
    policy: SlowConsumerPolicy,
    outlet: &mut O,
) -> (usize, Offered) {
    let first = match batch.standing(member.cursor) {
        Standing::Next(first) => first,
        Standing::Beyond => return (0, Offered::Taken),
        Standing::Broken => return (0, Offered::Broken),
    };
    // A ticker's reader who does not keep up wants the newest price, not a full outbox of old ones.
    if policy == SlowConsumerPolicy::Latest && !outlet.flows(member.slot) {
        return (0, Offered::Refused);
    }
    let taken = outlet.deliver(member.slot, batch, first);
    if let Some(index) = (first + taken).checked_sub(1).filter(|_| taken > 0) {
        (member.cursor, member.delivered) = (batch.messages()[index].id, true);
    }
    let all = first + taken == batch.messages().len();
    (taken, if all { Offered::Taken } else { Offered::Refused })
}
