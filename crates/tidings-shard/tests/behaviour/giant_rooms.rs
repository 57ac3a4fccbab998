//! Rooms that take several turns to reach: order is kept, and coming and going hurts nobody.

use tidings_protocol::Limits;

use crate::support::{ClientId, Random, Setup, World};

fn giant(members: usize, seed: u64) -> (World, Vec<ClientId>) {
    let limits = Limits {
        deliveries_per_turn: 7,
        messages_per_second_max: 0,
        fan_out_batches_max: 2,
        ..Limits::default()
    };
    let mut world = Setup { limits, seed, ..Setup::default() }.build();
    let ids = (0..members).map(|_| world.enter("/ws/giant")).collect();
    (world, ids)
}

#[test]
fn every_member_of_a_giant_room_gets_everything_in_order() {
    let (mut world, members) = giant(60, 1);
    let said: Vec<_> = (0..40).map(|number| number.to_string()).collect();
    for text in &said {
        world.send(members[0], text);
        world.turns(2);
    }
    world.pump();
    for member in members {
        assert_eq!(world.texts(member), said);
    }
}

#[test]
fn joins_and_leaves_between_slices_cost_nobody_a_message() {
    for seed in 0..40 {
        let (mut world, mut members) = giant(80, seed);
        let mut random = Random::new(seed);
        let speaker = members.remove(0);
        let mut said = Vec::new();
        for number in 0..60 {
            said.push(number.to_string());
            world.send(speaker, &number.to_string());
            for _ in 0..random.below(3) {
                let leaver = members.swap_remove(random.below(members.len()));
                match random.below(3) {
                    0 => world.client(leaver).pipe.reset(),
                    1 => world.client(leaver).close(1_000),
                    _ => world.send(leaver, r#"{"type":"leave"}"#),
                }
                let newcomer = world.dial();
                world.raw(newcomer, &crate::support::client::handshake("/ws/giant", false));
                if random.chance(50) {
                    members.push(newcomer);
                }
            }
            world.turns(random.below(4));
        }
        world.pump();
        for member in [vec![speaker], members].concat() {
            let seen = world.texts(member);
            // Who came later saw the rest.
            assert!(said.ends_with(&seen), "seed {seed}: {seen:?}");
        }
    }
}

#[test]
fn steady_leaving_does_not_hold_up_those_who_stay() {
    let (mut world, members) = giant(200, 1);
    world.send(members[0], "first");
    world.turns(1);
    world.send(members[0], "second");
    // In each turn somebody leaves whom the first message has reached. Each message needs 29 turns.
    for &leaver in &members[1..80] {
        world.client(leaver).pipe.reset();
        world.turns(1);
    }
    for &member in &members[80..] {
        world.client(member).look(usize::MAX);
        assert_eq!(world.texts(member), ["first", "second"]);
    }
}

#[test]
fn a_message_that_comes_while_somebody_leaves_reaches_the_rest() {
    for turns in 0..12 {
        // Four slices reach exactly those who stay.
        let (mut world, members) = giant(29, 1);
        world.send(members[0], "first");
        world.turns(1);
        world.client(members[1]).pipe.reset();
        world.turns(turns);
        world.send(members[0], "second");
        world.pump();
        for &member in members.iter().filter(|&&member| member != members[1]) {
            assert_eq!(world.texts(member), ["first", "second"], "after {turns} turns");
        }
    }
}

#[test]
fn a_room_that_is_spoken_to_faster_than_it_can_be_reached_stays_bounded() {
    let (mut world, members) = giant(100, 1);
    let said: Vec<_> = (0..3_000).map(|number| number.to_string()).collect();
    let mut sent = Vec::new();
    for (number, text) in said.iter().enumerate() {
        world.send(members[0], text);
        sent.push(text.clone());
        if number % 10 == 0 {
            world.turns(1);
        }
    }
    world.pump();
    for member in members {
        let seen = world.take(member);
        let gaps = seen
            .iter()
            .filter(|seen| {
                matches!(seen, crate::support::Seen::Frame(tidings_protocol::server::Received::Gap(_)))
            })
            .count();
        let last = seen.iter().rev().find_map(|seen| match seen {
            crate::support::Seen::Frame(tidings_protocol::server::Received::Message(message)) => {
                Some(crate::support::world::text(message))
            }
            _ => None,
        });
        // The log holds 100 messages, so some are told as lost, but everybody ends at the head.
        assert!(gaps <= 300);
        assert_eq!(last.as_deref(), Some("2999"));
    }
}
