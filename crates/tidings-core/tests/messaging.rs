//! The rules of messaging by themselves, where the order of events matters more than a socket: a
//! way out that writes down what it is given and takes as much as the test allows.

use std::sync::Arc;

use tidings_core::memory::MemoryEngine;
use tidings_core::sessions::{Away, Claim, Claimed, Place};
use tidings_core::telemetry::Counters;
use tidings_core::{
    Batch, Collected, Completion, Doubt, Engine, Entrance, Hole, Hub, Inbox, Introduction, Mailbox,
    Messaging, Now, Outlet, People, Post, Publication, RoomOptions, RoomRules, Slot, SlotKey,
    SlowConsumerPolicy, Telling, Timestamp, Wiring,
};
use tidings_protocol::codes::CloseCode;
use tidings_protocol::{Attempt, Limits, MessageId, Payload, RoomName, ServerFrame, SessionId, UserId};

const CLIENT: SlotKey = SlotKey { slot: 0, generation: 0 };
const NOW: Now = Now { monotonic_ms: 0, wall: Timestamp(1_000) };

/// Writes down what one client is given.
struct Recorder {
    ids: Vec<u64>,
    gaps: Vec<(u64, u64)>,
    /// Messages it takes until it is allowed more.
    takes: usize,
}

impl Outlet for Recorder {
    type Encoded = ();

    fn is_there(&mut self, _client: Slot) -> bool {
        true
    }

    fn flows(&self, _to: Slot) -> bool {
        self.takes > 0
    }

    fn room(&self, _to: Slot) -> usize {
        // Nothing is restored in one frame: everything comes as messages.
        0
    }

    fn deliver(&mut self, _to: Slot, batch: &mut Batch<()>, first: usize) -> usize {
        let taken = (batch.messages().len() - first).min(self.takes);
        self.ids.extend(batch.messages()[first..first + taken].iter().map(|message| message.id.0));
        self.takes -= taken;
        taken
    }

    fn deliver_marked(&mut self, to: Slot, batch: &mut Batch<()>, index: usize, _cursor: &str) -> bool {
        self.takes > 0 && self.deliver(to, batch, index) > 0
    }

    fn mark(&mut self, _to: Slot, _cursor: &str) {}

    fn tell(&mut self, _to: Slot, _telling: &mut Telling<()>) -> bool {
        true
    }

    fn relay(&mut self, _to: Slot, _status: u16, _json: &[u8]) {}

    fn answer(&mut self, _to: Slot, frame: &ServerFrame<'_>) {
        if let ServerFrame::Gap { after, before, .. } = frame {
            self.gaps.push((after.0, before.0));
        }
    }

    fn rehearse_restart(&mut self, _to: Slot) {}

    fn close(&mut self, _to: Slot, _code: CloseCode, _reason: &'static str) {}
}

struct Fixture {
    engine: Arc<MemoryEngine>,
    mailbox: Arc<Mailbox>,
    people: Arc<People>,
    messaging: Messaging<()>,
    recorder: Recorder,
    room: RoomName,
}

impl Fixture {
    fn new(policy: SlowConsumerPolicy) -> Self {
        let limits = Arc::new(Limits::default());
        let options = RoomOptions { slow_consumer: policy, ..RoomOptions::from_limits(&limits) };
        let rules = Arc::new(RoomRules::new(Vec::new(), options));
        let hub = Arc::new(Hub::new());
        let engine = Arc::new(MemoryEngine::new(
            Arc::clone(&hub),
            Arc::clone(&rules),
            Arc::clone(&limits),
            Timestamp(0),
        ));
        let people = People::new(&hub, &limits, &rules);
        let mailbox = Arc::new(Mailbox::new(1_000, || {}));
        people.sessions.connect(vec![Arc::clone(&mailbox)]);
        hub.connect(vec![Arc::clone(&mailbox) as Arc<dyn Inbox>]);
        let room = RoomName::new("chat", &limits).unwrap();
        let mut messaging = Messaging::new(Wiring {
            shard: 0,
            node: "n1".into(),
            limits,
            rules,
            engine: Arc::clone(&engine) as Arc<dyn Engine>,
            hub,
            people: Arc::clone(&people),
            mailbox: Arc::clone(&mailbox),
            counters: Arc::new(Counters::new()),
            new_session: Box::new(|| SessionId::from_bytes([7; 16])),
        });
        messaging.begin_turn(NOW);
        let recorder = Recorder { ids: Vec::new(), gaps: Vec::new(), takes: usize::MAX };
        Self { engine, mailbox, people, messaging, recorder, room }
    }

    fn publish(&self, count: usize) {
        (0..count).for_each(|_| self.publish_at(NOW.wall));
    }

    fn publish_at(&self, now: Timestamp) {
        let publication = Publication {
            room: self.room.clone(),
            user: None,
            key: None,
            payload: Payload::Text("x".into()),
            idempotency_key: None,
        };
        self.engine.publish(now, publication, Completion::ignore());
    }

    fn come_in(&mut self, position: Option<u64>) {
        let introduction = Introduction {
            rooms: vec![(self.room.clone(), position.map(MessageId))],
            ..Introduction::default()
        };
        self.messaging.opened(CLIENT, Entrance::Session(Box::new(introduction)), &mut self.recorder);
    }

    fn mail(&self) -> Vec<Post> {
        let mut collected = Collected::default();
        self.mailbox.collect(&mut collected);
        collected.posts
    }

    fn receive(&mut self, posts: Vec<Post>) {
        for post in posts {
            self.messaging.receive(post, &mut self.recorder);
        }
    }

    fn go_on(&mut self) {
        loop {
            let posts = self.mail();
            let quiet = posts.is_empty();
            self.receive(posts);
            if !self.messaging.fan_out(1_000, &mut self.recorder) && quiet {
                return;
            }
        }
    }
}

#[test]
fn a_reader_that_drops_is_not_taken_back_behind_what_it_has() {
    let mut fixture = Fixture::new(SlowConsumerPolicy::Drop);
    fixture.publish(10);
    fixture.come_in(Some(0));
    // The log is read up to 15 before the shard hears of what follows 10, as after an overflow.
    fixture.publish(5);
    let mut posts = fixture.mail();
    let announced = posts.split_off(1);
    fixture.receive(posts);
    fixture.recorder.takes = 12;
    let page = fixture.mail();
    fixture.receive(page);
    fixture.recorder.takes = usize::MAX;
    fixture.messaging.drained(CLIENT.slot, &mut fixture.recorder);
    fixture.receive(announced);
    fixture.go_on();
    assert!(fixture.recorder.ids.is_sorted_by(|a, b| a < b), "{:?}", fixture.recorder.ids);
    assert_eq!(fixture.recorder.ids.len(), 15);
    assert_eq!(fixture.recorder.gaps, []);
}

#[test]
fn what_is_announced_before_the_log_is_read_is_given_once() {
    for policy in [SlowConsumerPolicy::CatchUp, SlowConsumerPolicy::Close, SlowConsumerPolicy::Latest] {
        let mut fixture = Fixture::new(policy);
        fixture.publish(10);
        fixture.come_in(Some(0));
        fixture.publish(5);
        let posts = fixture.mail();
        fixture.receive(posts);
        fixture.publish(5);
        fixture.go_on();
        assert_eq!(fixture.recorder.ids.len(), 20, "{policy:?}");
        assert!(fixture.recorder.ids.is_sorted_by(|a, b| a < b));
        assert_eq!(fixture.recorder.gaps, []);
    }
}

#[test]
fn a_reader_gets_everything_however_little_it_takes_at_a_time() {
    for takes in 1..12 {
        let mut fixture = Fixture::new(SlowConsumerPolicy::CatchUp);
        fixture.come_in(None);
        fixture.go_on();
        fixture.recorder.takes = 0;
        fixture.publish(40);
        fixture.go_on();
        for _ in 0..40_usize.div_ceil(takes) {
            fixture.recorder.takes = takes;
            fixture.messaging.drained(CLIENT.slot, &mut fixture.recorder);
            fixture.go_on();
        }
        assert_eq!(fixture.recorder.ids.len(), 40, "{takes} at a time");
        assert!(fixture.recorder.ids.is_sorted_by(|a, b| a < b));
        assert_eq!(fixture.recorder.gaps, []);
    }
}

#[test]
fn a_log_that_cannot_be_read_is_read_again_later() {
    let mut fixture = Fixture::new(SlowConsumerPolicy::CatchUp);
    fixture.publish(10);
    fixture.come_in(Some(0));
    let watched = fixture.mail();
    fixture.receive(watched);
    let mut pages = fixture.mail();
    let Some(Post::PageRead { page, .. }) = pages.first_mut() else { panic!("{pages:?}") };
    *page = Err(tidings_core::EngineError::Unavailable);
    fixture.receive(pages);
    fixture.go_on();
    assert!(fixture.recorder.ids.is_empty());
    fixture.messaging.tick(&mut fixture.recorder);
    fixture.go_on();
    assert_eq!(fixture.recorder.ids.len(), 10);
}

#[test]
fn a_session_is_not_refused_to_its_user_by_an_errand_that_only_looks_for_it() {
    let mut fixture = Fixture::new(SlowConsumerPolicy::CatchUp);
    let session = SessionId::from_bytes([9; 16]);
    // Another shard has it, with carl. Here is only somebody who posts something for it.
    fixture.people.sessions.begin(session, Place { shard: 1, slot: 0 });
    let errand = Entrance::Errand { session, frame: r#"{"type":"join","room":"a"}"#.into() };
    fixture.messaging.opened(CLIENT, errand, &mut fixture.recorder);
    // A claim comes late, to a slot that the session's connection had before.
    let user = Some(UserId::new("carl", &Limits::default()).unwrap());
    let client = SlotKey { slot: 1, generation: 0 };
    let claim = Claim { session, user, attempt: Attempt::UNKNOWN, shard: 0, client };
    fixture.receive(vec![Post::Claim { holder: CLIENT.slot, claim }]);
    let answers = fixture.mail();
    assert!(
        matches!(answers[..], [Post::Claimed { result: Claimed::Left, .. }]),
        "it has to be looked for again: {answers:?}"
    );
}

fn doubt(fixture: &Fixture, head: u64, after: u64, before: u64) -> Post {
    let hole = Some(Hole { after: MessageId(after), before: MessageId(before) });
    Post::Doubted(Arc::new(Doubt { room: fixture.room.clone(), head: MessageId(head), hole }))
}

#[test]
fn who_is_beyond_a_loss_is_told_of_it_and_still_gets_what_was_not_announced() {
    let mut fixture = Fixture::new(SlowConsumerPolicy::CatchUp);
    fixture.come_in(None);
    fixture.go_on();
    fixture.publish(2);
    fixture.go_on();
    fixture.publish(1);
    // Its announcement is lost.
    fixture.mail();
    let doubt = doubt(&fixture, 1_002, 500, 600);
    fixture.receive(vec![doubt]);
    fixture.messaging.fan_out(1_000, &mut fixture.recorder);
    fixture.go_on();
    assert_eq!(
        (&fixture.recorder.ids[..], &fixture.recorder.gaps[..]),
        (&[1_000, 1_001, 1_002][..], &[(500, 601)][..])
    );
}

#[test]
fn a_page_from_before_a_loss_was_noticed_does_not_hide_it() {
    let mut fixture = Fixture::new(SlowConsumerPolicy::CatchUp);
    fixture.come_in(None);
    fixture.go_on();
    fixture.recorder.takes = 1;
    fixture.publish(1);
    fixture.go_on();
    fixture.messaging.begin_turn(Now { monotonic_ms: 0, wall: Timestamp(2_000) });
    fixture.publish_at(Timestamp(2_000));
    fixture.go_on();
    fixture.recorder.takes = usize::MAX;
    fixture.messaging.drained(CLIENT.slot, &mut fixture.recorder);
    // The page is on its way when it becomes known that ids between its messages were given out.
    let page = fixture.mail();
    let doubt = doubt(&fixture, 2_000, 1_000, 1_500);
    fixture.receive(vec![doubt]);
    fixture.receive(page);
    fixture.go_on();
    assert_eq!(
        (&fixture.recorder.ids[..], &fixture.recorder.gaps[..]),
        (&[1_000, 2_000][..], &[(1_000, 1_501)][..])
    );
}

#[test]
fn a_session_whose_connection_ends_while_it_is_asked_for_is_found_where_it_waits() {
    let mut fixture = Fixture::new(SlowConsumerPolicy::CatchUp);
    let session = SessionId::from_bytes([9; 16]);
    let old = Place { shard: 1, slot: 0 };
    fixture.people.sessions.begin(session, old);
    let introduction = Introduction { session: Some(session), ..Introduction::default() };
    let entrance = Entrance::Session(Box::new(introduction));
    fixture.messaging.opened(CLIENT, entrance, &mut fixture.recorder);
    // The other shard finds its connection gone before it finds the question.
    fixture.people.sessions.leave(NOW.wall, session, old, Away::default());
    let claim = Claim { session, user: None, attempt: Attempt::UNKNOWN, shard: 0, client: CLIENT };
    fixture.receive(vec![Post::Claimed { claim, result: Claimed::Left }]);
    assert_eq!(fixture.people.sessions.place(session), Some(Place { shard: 0, slot: CLIENT.slot }));
    assert_eq!(fixture.people.sessions.away(), 0);
}
