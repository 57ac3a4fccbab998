//! What a stretch of a log proves about a cursor. Nothing else in the system decides what was
//! missed.
//!
//! Pure functions; they refuse to wait, to read a clock, and to guess.

use std::collections::HashMap;
use std::sync::Arc;

use tidings_protocol::{GapReason, Message, MessageId};

use crate::engine::{Hole, Page, Timestamp};

/// Messages with ids between the two may be lost to this subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The last message the subscriber surely has.
    pub after: MessageId,
    /// The first id that is surely not missing.
    pub before: MessageId,
    /// What happened to them.
    pub reason: GapReason,
}

/// Judges whether `page`, read from `cursor` on, continues where the cursor stands. `None` is the
/// proof that it does. Position zero asks for all there is, so it stands for the origin.
pub fn gap(cursor: MessageId, page: &Page, now: Timestamp) -> Option<Gap> {
    match (break_in_chain(cursor, page, now), page.hole) {
        (Some(gap), Some(hole)) if gap.after <= hole.before && hole.after < gap.before => {
            Some(Gap { reason: GapReason::RolledBack, ..gap })
        }
        // The chain is whole because the log went on before the loss was noticed, or because the
        // subscriber had seen what was lost since.
        (None, Some(hole)) if hole.holds(cursor) || leads_over(hole, page) => Some(Gap {
            after: hole.after,
            before: MessageId(hole.before.0 + 1),
            reason: GapReason::RolledBack,
        }),
        (gap, _) => gap,
    }
}

/// Whether some message names one before the hole as the one before it.
fn leads_over(hole: Hole, page: &Page) -> bool {
    page.messages.iter().any(|message| hole.is_led_over_by(message))
}

fn break_in_chain(cursor: MessageId, page: &Page, now: Timestamp) -> Option<Gap> {
    let told = |before, reason| Some(Gap { after: cursor, before, reason });
    let cursor = if cursor == MessageId::ZERO { page.origin } else { cursor };
    match page.messages.first() {
        Some(first) if first.prev == cursor => None,
        Some(first) if first.prev > cursor => told(first.id, GapReason::Expired),
        // The log never contained the cursor: it is another log than the one that was read before.
        Some(first) => told(first.id, GapReason::RolledBack),
        None if page.head == cursor => None,
        None if page.head > cursor => told(MessageId(page.head.0 + 1), GapReason::Expired),
        // The log ends before the cursor. Ids follow the clock, so whatever was stored and lost
        // since has an id of at most now.
        None if page.head == MessageId::ZERO => told(end_of_time(cursor, now), GapReason::Expired),
        None => told(end_of_time(cursor, now), GapReason::RolledBack),
    }
}

fn end_of_time(cursor: MessageId, now: Timestamp) -> MessageId {
    MessageId(now.0.max(cursor.0) + 1)
}

/// Keeps only the newest message of each key, in the order of their ids.
pub fn conflate(messages: &[Arc<Message>]) -> Vec<Arc<Message>> {
    let newest: HashMap<Option<&str>, MessageId> =
        messages.iter().map(|message| (message.key.as_deref(), message.id)).collect();
    messages.iter().filter(|message| newest[&message.key.as_deref()] == message.id).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidings_protocol::{Limits, Payload, RoomName};

    fn log(ids: &[u64]) -> Vec<Arc<Message>> {
        ids.windows(2).map(|pair| message(pair[1], pair[0], None)).collect()
    }

    fn message(id: u64, prev: u64, key: Option<&str>) -> Arc<Message> {
        Arc::new(Message {
            room: RoomName::new("r", &Limits::default()).unwrap(),
            id: MessageId(id),
            prev: MessageId(prev),
            user: None,
            key: key.map(Into::into),
            payload: Payload::Text("".into()),
            stored_at_ms: 0,
        })
    }

    fn judge(cursor: u64, ids: &[u64], head: u64) -> Option<(u64, u64, GapReason)> {
        judge_since(0, cursor, ids, head)
    }

    fn judge_since(origin: u64, cursor: u64, ids: &[u64], head: u64) -> Option<(u64, u64, GapReason)> {
        told(
            cursor,
            &Page { messages: log(ids), head: MessageId(head), origin: MessageId(origin), hole: None },
        )
    }

    /// For a log that lost ids 31 to 40.
    fn judge_torn(cursor: u64, ids: &[u64], head: u64) -> Option<(u64, u64, GapReason)> {
        let hole = Some(Hole { after: MessageId(30), before: MessageId(40) });
        told(cursor, &Page { messages: log(ids), head: MessageId(head), origin: MessageId(0), hole })
    }

    fn told(cursor: u64, page: &Page) -> Option<(u64, u64, GapReason)> {
        gap(MessageId(cursor), page, Timestamp(1_000)).map(|gap| (gap.after.0, gap.before.0, gap.reason))
    }

    #[test]
    fn who_saw_what_was_lost_is_told_that_the_log_has_it_no_more() {
        for cursor in [31, 35, 40] {
            assert!(
                judge_torn(cursor, &[40, 50], 50)
                    .is_some_and(|(_, _, reason)| reason == GapReason::RolledBack)
            );
        }
        assert_eq!(judge_torn(40, &[], 40), Some((30, 41, GapReason::RolledBack)));
    }

    #[test]
    fn who_never_saw_what_was_lost_is_told_as_well() {
        assert_eq!(judge_torn(30, &[40, 50], 50), Some((30, 50, GapReason::RolledBack)));
        assert_eq!(judge_torn(30, &[], 40), Some((30, 41, GapReason::RolledBack)));
        // The log went on before the loss was noticed.
        assert_eq!(judge_torn(20, &[20, 30, 50], 50), Some((30, 41, GapReason::RolledBack)));
    }

    #[test]
    fn who_came_after_a_loss_hears_nothing_of_it() {
        assert_eq!(judge_torn(50, &[50, 60], 60), None);
        assert_eq!(judge_torn(50, &[], 50), None);
        assert_eq!(judge_torn(50, &[55, 60], 60), Some((50, 60, GapReason::Expired)));
    }

    #[test]
    fn a_stretch_that_ends_before_a_loss_is_whole() {
        assert_eq!(judge_torn(10, &[10, 20, 30], 40), None);
    }

    #[test]
    fn an_unbroken_chain_proves_that_nothing_is_missing() {
        assert_eq!(judge(3, &[3, 5, 9], 9), None);
        assert_eq!(judge(0, &[0, 5], 5), None);
        assert_eq!(judge(9, &[], 9), None);
        assert_eq!(judge(0, &[], 0), None);
    }

    #[test]
    fn a_trimmed_log_is_a_gap_up_to_its_first_message() {
        assert_eq!(judge(3, &[5, 9], 9), Some((3, 9, GapReason::Expired)));
        assert_eq!(judge(3, &[], 9), Some((3, 10, GapReason::Expired)));
    }

    #[test]
    fn a_log_that_does_not_know_the_cursor_was_rolled_back() {
        assert_eq!(judge(4, &[3, 9], 9), Some((4, 9, GapReason::RolledBack)));
        assert_eq!(judge(12, &[], 9), Some((12, 1_001, GapReason::RolledBack)));
    }

    #[test]
    fn a_log_that_is_gone_may_have_lost_messages_until_now() {
        assert_eq!(judge(12, &[], 0), Some((12, 1_001, GapReason::Expired)));
        assert_eq!(judge(5_000, &[], 0), Some((5_000, 5_001, GapReason::Expired)));
    }

    #[test]
    fn a_position_from_before_the_origin_may_have_missed_what_was_lost_with_it() {
        assert_eq!(judge_since(50, 40, &[], 50), Some((40, 51, GapReason::Expired)));
        assert_eq!(judge_since(50, 40, &[50, 60], 60), Some((40, 60, GapReason::Expired)));
        assert_eq!(judge_since(50, 50, &[50, 60], 60), None);
    }

    #[test]
    fn who_asks_for_all_there_is_has_it_when_the_log_reaches_to_the_origin() {
        assert_eq!(judge_since(50, 0, &[], 50), None);
        assert_eq!(judge_since(50, 0, &[50, 60], 60), None);
        assert_eq!(judge_since(50, 0, &[60, 70], 70), Some((0, 70, GapReason::Expired)));
    }

    #[test]
    fn conflation_keeps_the_newest_of_each_key_in_order() {
        let messages = [
            message(1, 0, Some("eur")),
            message(2, 1, None),
            message(3, 2, Some("usd")),
            message(4, 3, Some("eur")),
        ];
        let ids: Vec<_> = conflate(&messages).iter().map(|message| message.id.0).collect();
        assert_eq!(ids, [2, 3, 4]);
    }
}
