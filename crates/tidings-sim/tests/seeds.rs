//! The scenarios that every run of the tests goes through, and proof that their weather is bad.

use tidings_core::telemetry::Counter;
use tidings_sim::Scenario;

const SEEDS: u64 = 500;

#[test]
fn nothing_is_lost_twice_told_or_out_of_order_in_bad_weather() {
    let mut weather = [
        Counter::SlowConsumerFellBehind,
        Counter::SlowConsumerCaughtUp,
        Counter::SlowConsumerClosed,
        Counter::MessageConflated,
        Counter::InboxOverflowed,
        Counter::GapTold,
        Counter::MessageDelivered,
        Counter::EventDelivered,
        Counter::FeedOpened,
        Counter::PollOpened,
        Counter::SessionResumed,
        Counter::SessionTakenOver,
        Counter::PongMissed,
    ]
    .map(|counter| (counter, 0));
    for seed in 0..SEEDS {
        let mut scenario = Scenario::new(seed);
        scenario.run();
        for (counter, count) in &mut weather {
            *count += scenario.counted(*counter);
        }
    }
    // Weather that troubles nobody would prove nothing.
    for (counter, count) in weather {
        assert!(count > 50, "{counter:?}: {count}");
    }
}

#[test]
fn a_seed_always_tells_the_same_story() {
    for seed in 0..50 {
        let story = || {
            let mut scenario = Scenario::new(seed).attentive();
            scenario.run();
            scenario.fingerprint()
        };
        assert_eq!(story(), story(), "seed {seed}");
    }
}
