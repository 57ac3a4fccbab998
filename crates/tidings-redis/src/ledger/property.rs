//! Whatever gets lost, doubled, swapped or rolled back on the way: members get every message once and
//! in order, or are told what they may lack.

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use tidings_protocol::GapReason;

use super::model::{Member, World};

#[derive(Debug, Clone)]
enum Step {
    Publish,
    OtherPublishes,
    StrangerPublishes,
    OtherShows,
    Hear(usize),
    LoseOne,
    DoubleOne,
    SwapTwo,
    Work,
    Serve,
    Answer,
    Turn,
    Tick,
    Enter(usize),
    Exit(usize),
    BreakEar,
    BreakVoice,
    Trim(usize),
    RollBack(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Publish),
        4 => Just(Step::OtherPublishes),
        2 => Just(Step::StrangerPublishes),
        1 => Just(Step::OtherShows),
        6 => (1..5_usize).prop_map(Step::Hear),
        1 => Just(Step::LoseOne),
        1 => Just(Step::DoubleOne),
        1 => Just(Step::SwapTwo),
        6 => Just(Step::Work),
        6 => Just(Step::Serve),
        6 => Just(Step::Answer),
        4 => Just(Step::Turn),
        2 => Just(Step::Tick),
        4 => (0..2_usize).prop_map(Step::Enter),
        1 => (0..2_usize).prop_map(Step::Exit),
        1 => Just(Step::BreakEar),
        1 => Just(Step::BreakVoice),
        1 => (0..6_usize).prop_map(Step::Trim),
        1 => (1..6_usize).prop_map(Step::RollBack),
    ]
}

fn take(world: &mut World, step: Step) {
    // Ids follow the clock.
    world.now += 10;
    match step {
        Step::Publish => _ = world.publish(),
        Step::OtherPublishes => _ = world.other_publishes(),
        Step::StrangerPublishes => _ = world.stranger_publishes(),
        Step::OtherShows => world.other_shows(),
        Step::Hear(count) => _ = (0..count).all(|_| world.hear()),
        Step::LoseOne => drop(world.ear.pop_front()),
        Step::DoubleOne => {
            if let Some(said) = world.ear.front().cloned() {
                world.hear_of(said);
            }
        }
        Step::SwapTwo => {
            if world.ear.len() > 1 {
                world.ear.swap(0, 1);
            }
        }
        Step::Work => _ = world.work(),
        Step::Serve => _ = world.serve(),
        Step::Answer => _ = world.answer(),
        Step::Turn => world.turn(),
        Step::Tick => world.tick(),
        Step::Enter(shard) => world.enter(shard),
        Step::Exit(shard) => world.exit(shard),
        Step::BreakEar => world.break_ear(),
        Step::BreakVoice => world.break_voice(),
        // What went on before a loss was noticed is the proof of it, unless it is trimmed by then.
        Step::Trim(left) if world.lost_up_to.is_none() => world.trim(left),
        Step::Trim(_) => {}
        // One loss at a time: a server remembers the newest only.
        Step::RollBack(count) if world.lost_up_to.is_none() => world.roll_back(count),
        Step::RollBack(_) => {}
    }
}

fn check(member: &Member, has_gone: bool, world: &World) -> TestCaseResult {
    let delivered = &member.delivered;
    prop_assert!(delivered.windows(2).all(|pair| pair[0] < pair[1]), "in order, each once: {member:?}");
    prop_assert!(delivered.iter().all(|&id| id > member.start), "nothing from before: {member:?}");
    let end = member.cursor.map_or(0, |cursor| cursor.0);
    let covered = |id: u64| member.gaps.iter().any(|gap| gap.after.0 < id && id < gap.before.0);
    for (&id, &members) in world.known.range(member.start + 1..) {
        // Who went before the loss was noticed is told when it comes back.
        let is_told_later = has_gone && world.lost.contains(&id);
        prop_assert!(
            id > end || members < member.number || is_told_later || delivered.contains(&id) || covered(id),
            "{id} is missing without a word: {member:?}"
        );
    }
    let rolled_back = member.gaps.iter().filter(|gap| gap.reason == GapReason::RolledBack).count();
    prop_assert!(
        rolled_back == 0 || (world.lost_up_to.is_some() && !member.came_after_loss),
        "told of a loss that is not its own: {member:?}"
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn every_member_gets_every_message_once_and_in_order_or_is_told(
        steps in prop::collection::vec(step(), 1..120)
    ) {
        let mut world = World::new();
        for step in steps {
            take(&mut world, step);
        }
        prop_assert!(world.heal(), "the work never ends");
        for member in world.present() {
            prop_assert!(member.cursor.is_some(), "nobody answered {member:?}");
            prop_assert_eq!(member.cursor.map(|cursor| cursor.0), Some(world.store.head), "{:?}", member);
        }
        for member in world.present() {
            check(member, false, &world)?;
        }
        for member in &world.past {
            check(member, true, &world)?;
        }
    }
}
