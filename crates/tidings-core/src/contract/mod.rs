//! What every engine must do, as tests that any engine can be put through.
//!
//! Owned by the core; an engine's crate calls [`engine_contract_tests!`](crate::engine_contract_tests)
//! in its own tests. Refuses to assume that a completion comes inline, and to sleep: it waits for
//! answers and announcements with a deadline. Time is what the suite passes as `now`, so an engine
//! must take it from there.

mod announcements;
mod embedded;
mod harness;
mod histories;
mod ids;
mod listings;
mod repeats;

pub use announcements::*;
pub use embedded::*;
pub use harness::{Harness, Make, Recorder};
pub use histories::*;
pub use ids::*;
pub use listings::*;
pub use repeats::*;

use tidings_protocol::Limits;

use crate::{RoomOptions, RoomRules};

/// Makes a `#[test]` of each named behaviour.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_cases {
    ($make:expr; $($name:ident,)*) => {
        $(#[test] fn $name() { $crate::contract::$name(&$make) })*
    };
}

/// Expands to one test per behaviour that every engine must show. Takes a function or closure
/// `Fn(RoomRules, Limits) -> Harness` that makes an empty engine.
#[macro_export]
macro_rules! engine_contract_tests {
    ($make:expr) => {
        $crate::contract_cases! { $make;
            ids_follow_the_clock,
            ids_increase_while_the_clock_stands_still,
            ids_increase_when_the_clock_goes_back,
            each_message_names_the_one_before_it,
            a_room_that_keeps_nothing_still_orders_its_messages,
            publishing_to_a_room_with_no_one_in_it_succeeds,
            what_was_published_comes_back_unchanged,
            a_message_over_the_limit_is_refused,
            history_has_everything_after_a_position,
            history_comes_in_pages,
            the_head_is_known_without_reading,
            a_position_from_the_future_gets_only_the_head,
            an_unknown_room_is_empty,
            history_is_bounded_by_count,
            history_is_bounded_by_bytes,
            history_is_bounded_by_age,
            rules_by_name_decide_what_a_room_keeps,
            announcements_have_the_order_of_the_log,
            only_entered_rooms_are_announced,
            a_left_room_is_announced_no_more,
            entering_tells_where_the_log_ends,
            entering_again_changes_nothing,
            a_repeated_key_is_one_message,
            a_key_counts_in_its_room_and_session_only,
            a_key_is_forgotten_after_its_window,
            simultaneous_repeats_are_one_message,
            rooms_are_listed_by_name,
            rooms_are_listed_in_pages,
            a_room_with_only_members_is_listed,
        }
    };
}

/// Expands to the tests of an engine that keeps rooms in its own memory: what it refuses and
/// forgets to stay within its limits.
#[macro_export]
macro_rules! embedded_engine_contract_tests {
    ($make:expr) => {
        $crate::contract_cases! { $make;
            too_many_rooms_are_refused,
            a_room_with_nothing_in_it_makes_space_for_another,
            a_silent_room_is_forgotten_in_time,
            a_room_with_members_is_not_forgotten,
            a_forgotten_room_never_gives_an_id_twice,
            a_forgotten_room_does_not_pass_for_a_new_one,
            who_enters_a_forgotten_room_stands_behind_its_earlier_life,
            the_end_of_a_silent_room_stays_while_others_are_forgotten,
            all_history_fits_its_limit_oldest_out_first,
            a_room_that_moved_on_is_not_taken_for_the_oldest,
            the_oldest_key_makes_space_for_a_new_one,
        }
    };
}

/// Rules under which every room has these options.
fn everywhere(options: RoomOptions) -> RoomRules {
    RoomRules::new(Vec::new(), options)
}

/// What rooms keep by default.
fn default_rules() -> RoomRules {
    everywhere(RoomOptions::from_limits(&Limits::default()))
}
