//! Sessions that several nodes have in common: each lies on one server, with the node that has it.
//!
//! Whoever has a session, and whoever may take it, is decided by scripts on that server alone, so two
//! nodes never both have it. A node that has one is asked by letter to give it up. Refuses to wait for
//! a node that does not answer: after a while it counts as not having the session.

mod keeping;
mod letters;
mod record;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::SystemTime;

use redis::{Cmd, Value};
use tidings_core::messaging::{ErrandAnswer, ErrandKey};
use tidings_core::sessions::{Away, Claim, Claimed, ELSEWHERE, Registry};
use tidings_core::{EngineError, People, Post, SlotKey, Timestamp};
use tidings_protocol::codes::ErrorCode;
use tidings_protocol::{Attempt, Limits, ServerFrame, SessionId, UserId};
use tokio::runtime::Handle;

use crate::keys::{SESSION_GROUPS, session_group};
use crate::listing::{answered, ask};
use crate::placement::Placement;
use crate::scripts::Script;
use crate::server::Server;
use crate::standing::Doubt;
use keeping::Kept;
use letters::Letter;

/// Sessions of a dead node that are looked at with one call.
const REAPED_AT_ONCE: usize = 256;

/// See the module.
pub(crate) struct SharedSessions(Arc<Desk>);

/// What the answers need as well as the calls.
pub(crate) struct Desk {
    node: String,
    servers: Vec<Arc<Server>>,
    placement: Arc<Placement>,
    limits: Arc<Limits>,
    people: OnceLock<Weak<People>>,
    open: Mutex<Open>,
    reaping: Mutex<HashSet<String>>,
    /// What is told of sessions meanwhile is waited for.
    doubt: Mutex<Weak<Doubt>>,
    runtime: Handle,
}

/// Letters that wait for an answer, and askers who wait for ours. Bounded by the connections that ask.
#[derive(Default)]
struct Open {
    tokens: u64,
    /// Written by this node.
    written: HashMap<u64, (Timestamp, Question)>,
    /// Asked of this node, by what stands for the asker in a shard's answer.
    asked: HashMap<u64, (Timestamp, Asker)>,
}

/// What this node asked another one.
enum Question {
    Claim { claim: Claim, holder: Holder },
    Errand { claim: Claim, holder: Holder, frame: Arc<str> },
}

/// A node that has a session, or had it.
#[derive(Debug, Clone, Default)]
struct Holder {
    node: String,
    /// Counts how often it was said who has the session. What is true of a holder is true of this turn only.
    turn: String,
}

/// Who asked this node.
struct Asker {
    node: String,
    token: u64,
}

impl SharedSessions {
    pub(crate) fn start(
        node: &str,
        servers: &[Arc<Server>],
        placement: &Arc<Placement>,
        limits: &Arc<Limits>,
        runtime: &Handle,
    ) -> Self {
        Self(Arc::new(Desk {
            node: node.to_owned(),
            servers: servers.to_vec(),
            placement: Arc::clone(placement),
            limits: Arc::clone(limits),
            people: OnceLock::new(),
            open: Mutex::default(),
            reaping: Mutex::default(),
            doubt: Mutex::default(),
            runtime: runtime.clone(),
        }))
    }

    pub(crate) fn desk(&self) -> &Arc<Desk> {
        &self.0
    }

    /// From now on these people's sessions are shared.
    pub(crate) fn connect(self: &Arc<Self>, people: &Arc<People>) {
        assert!(self.0.people.set(Arc::downgrade(people)).is_ok(), "the sessions are connected once");
        people.sessions.share(Arc::clone(self) as Arc<dyn Registry>);
    }
}

impl Registry for SharedSessions {
    fn keep(&self, session: SessionId, record: &Away) {
        let user = record.identity.user.as_ref().map_or("", |user| user.as_str()).to_owned();
        self.0.keep(Kept { session, record: record::write(record), user }, Holder::default());
    }

    fn leave(&self, session: SessionId, record: &Away) {
        self.0.leave(session, &record::write(record), self.0.limits.session_window_ms.max(1));
    }

    fn end(&self, session: SessionId) {
        self.0.leave(session, "", 0);
    }

    fn claim(&self, claim: Claim) {
        self.0.claim(Question::Claim { claim, holder: Holder::default() });
    }

    fn errand(&self, claim: Claim, frame: &Arc<str>) {
        self.0.claim(Question::Errand { claim, holder: Holder::default(), frame: Arc::clone(frame) });
    }

    fn carry(&self, post: Post) {
        match post {
            Post::Claimed { claim, result } => self.0.decided(&claim, result),
            Post::ErrandDone { errand, answer } => self.0.done(errand, answer),
            _ => {}
        }
    }

    fn is_in_doubt(&self) -> bool {
        self.0.servers.iter().any(|server| server.standing.is_in_doubt())
    }

    fn end_all_of(&self, user: &UserId) {
        for (server, group) in
            self.0.servers.iter().flat_map(|server| (0..SESSION_GROUPS).map(move |g| (server, g)))
        {
            let mut ended = redis::cmd("SET");
            ended.arg(server.keys.ended(group, user.as_str())).arg(now_ms());
            ended.arg("PX").arg(self.0.limits.session_window_ms.max(1));
            server.ask(ended, Box::new(|_| ()));
        }
        // Each node has its letters on every server; one is enough.
        let Some(server) = self.0.servers.first() else { return };
        for node in server.other_nodes() {
            server.write(&node, &Letter::Disconnect { user: user.as_str() }.encode(), || ());
        }
    }
}

impl Desk {
    /// Whose turn it is: questions that nobody answered, and sessions of dead nodes.
    pub(crate) fn tick(self: &Arc<Self>, now: Timestamp) {
        let patience_us = self.limits.redis_timeout_ms.saturating_mul(1_000);
        let is_over = |asked: Timestamp| now.0.abs_diff(asked.0) > patience_us;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let unanswered: Vec<_> = open.written.extract_if(|_, (asked, _)| is_over(*asked)).collect();
        open.asked.retain(|_, (asked, _)| !is_over(*asked));
        let holders: HashSet<_> =
            open.written.values().filter_map(|(_, question)| self.asked_for_claim(question)).collect();
        drop(open);
        for (_, (_, question)) in unanswered {
            self.give_up(question);
        }
        // A process that was killed is listening until the kernel has closed all its sockets: it was
        // written to, and will not answer. What says nothing reaches whoever is still there.
        for (server, holder) in holders {
            let (desk, node) = (Arc::clone(self), holder.clone());
            self.servers[server].write(&holder, b"", move || desk.has_gone(server, &node));
        }
        for server in &self.servers {
            for node in server.dead_nodes() {
                if self.reaping().insert(node.clone()) {
                    self.reap(server, &node);
                }
            }
        }
    }

    /// Another node wrote.
    pub(crate) fn letter(self: &Arc<Self>, server: &Arc<Server>, letter: &[u8]) {
        // Another node looks whether this one listens.
        if letter.is_empty() {
            return;
        }
        let Some(people) = self.people() else { return };
        let Some(letter) = Letter::decode(letter, &self.limits) else {
            tracing::warn!(redis = server.name, "RedisStrangeLetter");
            return;
        };
        match letter {
            Letter::Claim { token, from, session, attempt, user } => {
                let client = self.asked(from, token);
                let user = UserId::new(user, &self.limits).ok();
                let attempt = Attempt::from_number(attempt);
                let claim = Claim { session, user, attempt, shard: ELSEWHERE, client };
                match people.sessions.place(session) {
                    Some(holder) => {
                        people.sessions.post(holder.shard, Post::Claim { holder: holder.slot, claim });
                    }
                    None => self.decided(&claim, Claimed::Unknown),
                }
            }
            Letter::Errand { token, from, session, frame } => {
                let errand = ErrandKey { shard: ELSEWHERE, client: self.asked(from, token) };
                let frame: Arc<str> = frame.into();
                match people.sessions.place(session) {
                    Some(holder) => people
                        .sessions
                        .post(holder.shard, Post::Errand { holder: holder.slot, session, frame, errand }),
                    None => self.done(errand.client, ErrandAnswer::NotHere),
                }
            }
            Letter::Decided { token } => {
                // Given up or never there: either way the holder does not have it any more.
                if let Some(question) = self.answered(token) {
                    self.claim(question);
                }
            }
            Letter::Late { token } => {
                if let Some(question) = self.answered(token) {
                    people.sessions.answer(question.claim(), Claimed::Late);
                }
            }
            Letter::Done { token, status, json } => {
                if let Some(Question::Errand { claim, .. }) = self.answered(token) {
                    let answer = match status {
                        0 => ErrandAnswer::NotHere,
                        status => ErrandAnswer::Done { status, json: json.to_vec() },
                    };
                    people.sessions.post(claim.shard, Post::ErrandDone { errand: claim.client, answer });
                }
            }
            Letter::Disconnect { user } => {
                if let Ok(user) = UserId::new(user, &self.limits) {
                    people.sessions.disconnect_here(&user);
                }
            }
        }
    }

    /// Asks the session's server who has it, and goes on from there.
    fn claim(self: &Arc<Self>, question: Question) {
        let claim = question.claim();
        let (server, id) = self.place(claim.session);
        let mut command = self.call(server, Script::SessionClaim, &id, None);
        command.arg(&self.node).arg(claim.user.as_ref().map_or("", |user| user.as_str()));
        let Holder { node, turn } = question.holder();
        command.arg(&id).arg(node).arg(server.keys.ended(session_group(&id), "")).arg(turn);
        let (desk, asked) = (Arc::clone(self), Arc::clone(server));
        server.ask(command, Box::new(move |value| desk.claimed(&asked, question, value)));
    }

    fn claimed(
        self: &Arc<Self>,
        server: &Arc<Server>,
        question: Question,
        value: Result<Value, EngineError>,
    ) {
        let Some(people) = self.people() else { return };
        let Ok(Value::Array(parts)) = value else { return self.give_up(question) };
        match parts.as_slice() {
            [Value::Int(1)] => people.sessions.answer(question.claim(), Claimed::NotYours),
            [Value::Int(2), parts @ ..] => match holder(parts) {
                Some(holder) => self.claim_from(server, question.held_by(holder)),
                None => self.give_up(question),
            },
            [Value::Int(3), Value::BulkString(record)] => {
                let away = record::read(record, &self.limits).unwrap_or_default();
                people.sessions.granted(question.claim(), away);
            }
            _ => people.sessions.answer(question.claim(), Claimed::Unknown),
        }
    }

    /// Another node has the session. Nobody has to be asked who does not live; but who did not when last asked may
    /// have come back.
    fn claim_from(self: &Arc<Self>, server: &Arc<Server>, question: Question) {
        let node = question.holder().node.clone();
        if !server.may_be_dead(&node) {
            return self.ask_holder(server, question);
        }
        let (desk, asked) = (Arc::clone(self), Arc::clone(server));
        server.ask_whether_lives(&node, move |lives| match lives {
            Some(false) => desk.claim(question),
            Some(true) => desk.ask_holder(&asked, question),
            None => desk.give_up(question),
        });
    }

    /// Writes to the node that has a session.
    fn ask_holder(self: &Arc<Self>, server: &Server, question: Question) {
        let node = question.holder().node.clone();
        let Claim { session, user, attempt, .. } = question.claim().clone();
        let frame = match &question {
            Question::Claim { .. } => None,
            Question::Errand { frame, .. } => Some(Arc::clone(frame)),
        };
        let (token, from) = (self.written(question), &*self.node);
        let user = user.as_ref().map_or("", |user| user.as_str());
        let letter = match &frame {
            None => Letter::Claim { token, from, session, attempt: attempt.number(), user },
            Some(frame) => Letter::Errand { token, from, session, frame },
        };
        let desk = Arc::clone(self);
        // Who does not listen does not live any more, whatever its lease says.
        let unheard = move || {
            if let Some(question) = desk.answered(token) {
                desk.claim(question);
            }
        };
        server.write(&node, &letter.encode(), unheard);
    }

    /// The server over which a node was asked for a claim, and the node.
    fn asked_for_claim(&self, question: &Question) -> Option<(usize, String)> {
        match question {
            Question::Claim { claim, holder } => {
                Some((self.placement.of(&claim.session.to_string()), holder.node.clone()))
            }
            // It may have been done: whoever does not hear so must ask again by its reference.
            Question::Errand { .. } => None,
        }
    }

    /// A node that was asked for sessions does not listen any more.
    fn has_gone(self: &Arc<Self>, server: usize, node: &str) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let is_its = |question: &Question| {
            self.asked_for_claim(question).is_some_and(|(at, of)| at == server && of == node)
        };
        let unanswered: Vec<_> = open.written.extract_if(|_, (_, question)| is_its(question)).collect();
        drop(open);
        for (_, (_, question)) in unanswered {
            self.claim(question);
        }
    }

    /// No answer is to be had.
    fn give_up(&self, question: Question) {
        let Some(people) = self.people() else { return };
        match question {
            Question::Claim { claim, .. } => people.sessions.answer(&claim, Claimed::Unknown),
            Question::Errand { claim, .. } => {
                let code = ErrorCode::Unavailable;
                let message = &format!("{} What to do: {}.", code.meaning(), code.remedy());
                let mut json = Vec::new();
                ServerFrame::Error { code, message, reference: None }.encode(&mut json);
                let answer = ErrandAnswer::Done { status: code.http_status(), json };
                people.sessions.post(claim.shard, Post::ErrandDone { errand: claim.client, answer });
            }
        }
    }

    /// A shard of this node decided about another node's claim.
    fn decided(self: &Arc<Self>, claim: &Claim, result: Claimed) {
        if let (Claimed::Left | Claimed::Unknown, Some(people)) = (&result, self.people())
            && let Some(holder) = people.sessions.place(claim.session)
        {
            // It went to another connection of this node meanwhile.
            let (holder, shard) = (holder.slot, holder.shard);
            return people.sessions.post(shard, Post::Claim { holder, claim: claim.clone() });
        }
        let asker = self.asker(claim.client);
        let (server, id) = self.place(claim.session);
        match (result, asker) {
            (Claimed::Yours(away), Some(asker)) => {
                let mut command = self.call(server, Script::SessionGive, &id, Some(&asker.node));
                command.arg(&self.node).arg(&asker.node).arg(record::write(&away)).arg(&id);
                // The letter follows the script on the same way.
                server.ask(command, Box::new(|_| ()));
                server.write(&asker.node, &Letter::Decided { token: asker.token }.encode(), || ());
            }
            // The asker waits no more, so the session waits for its client.
            (Claimed::Yours(away), None) => {
                self.leave(claim.session, &record::write(&away), self.limits.session_window_ms.max(1));
            }
            (Claimed::Late, Some(asker)) => {
                server.write(&asker.node, &Letter::Late { token: asker.token }.encode(), || ());
            }
            (_, Some(asker)) => {
                server.write(&asker.node, &Letter::Decided { token: asker.token }.encode(), || ());
            }
            (_, None) => {}
        }
    }

    /// A shard of this node did another node's errand.
    fn done(&self, errand: SlotKey, answer: ErrandAnswer) {
        let (Some(asker), Some(server)) = (self.asker(errand), self.servers.first()) else { return };
        let (status, json) = match answer {
            ErrandAnswer::NotHere => (0, Vec::new()),
            ErrandAnswer::Done { status, json } => (status, json),
        };
        server.write(&asker.node, &Letter::Done { token: asker.token, status, json: &json }.encode(), || ());
    }

    fn leave(&self, session: SessionId, record: &str, window_ms: u64) {
        let (server, id) = self.place(session);
        let mut command = self.call(server, Script::SessionLeave, &id, None);
        command.arg(&self.node).arg(record).arg(&id).arg(window_ms);
        server.ask(command, Box::new(|_| ()));
    }

    /// A dead node's sessions wait for their clients.
    fn reap(self: &Arc<Self>, server: &Arc<Server>, node: &str) {
        let mut answers = Vec::new();
        for group in 0..SESSION_GROUPS {
            let mut command = Script::SessionReap.call(&[server.keys.sessions_of(group, node)]);
            command.arg(node).arg(self.limits.session_window_ms.max(1));
            command.arg(server.keys.session(group, "")).arg(REAPED_AT_ONCE);
            answers.push(ask(server, command));
        }
        let (desk, node) = (Arc::clone(self), node.to_owned());
        self.runtime.spawn(async move {
            for answer in answers {
                let _ = answered(answer).await;
            }
            desk.reaping().remove(&node);
        });
    }

    /// Nodes whose sessions are just being looked at.
    fn reaping(&self) -> MutexGuard<'_, HashSet<String>> {
        self.reaping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call on a session; another node's sessions are concerned where one is given.
    fn call(&self, server: &Server, script: Script, id: &str, other: Option<&str>) -> Cmd {
        let (keys, group) = (&server.keys, session_group(id));
        let mut names = vec![keys.session(group, id), keys.sessions_of(group, &self.node)];
        names.extend(other.map(|other| keys.sessions_of(group, other)));
        script.call(&names)
    }

    fn people(&self) -> Option<Arc<People>> {
        self.people.get().and_then(Weak::upgrade)
    }

    /// Where a session lies, and its id as text.
    fn place(&self, session: SessionId) -> (&Arc<Server>, String) {
        let id = session.to_string();
        (&self.servers[self.placement.of(&id)], id)
    }

    fn written(&self, question: Question) -> u64 {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.tokens += 1;
        let token = open.tokens;
        open.written.insert(token, (SystemTime::now().into(), question));
        token
    }

    fn answered(&self, token: u64) -> Option<Question> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.written.remove(&token).map(|(_, question)| question)
    }

    /// Notes who asked. What stands for the asker in a shard's answer is a token in halves.
    fn asked(&self, node: &str, token: u64) -> SlotKey {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.tokens += 1;
        let own = open.tokens;
        open.asked.insert(own, (SystemTime::now().into(), Asker { node: node.to_owned(), token }));
        SlotKey { slot: (own >> 32) as u32, generation: own as u32 }
    }

    fn asker(&self, client: SlotKey) -> Option<Asker> {
        let own = u64::from(client.slot) << 32 | u64::from(client.generation);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.asked.remove(&own).map(|(_, asker)| asker)
    }
}

impl Question {
    const fn claim(&self) -> &Claim {
        match self {
            Self::Claim { claim, .. } | Self::Errand { claim, .. } => claim,
        }
    }

    /// The node that was asked, which does not have the session any more once it has answered.
    const fn holder(&self) -> &Holder {
        match self {
            Self::Claim { holder, .. } | Self::Errand { holder, .. } => holder,
        }
    }

    fn held_by(mut self, by: Holder) -> Self {
        match &mut self {
            Self::Claim { holder, .. } | Self::Errand { holder, .. } => *holder = by,
        }
        self
    }
}

/// Reads who has a session from a script's answer.
fn holder(parts: &[Value]) -> Option<Holder> {
    let [Value::BulkString(node), Value::BulkString(turn)] = parts else { return None };
    let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).ok();
    Some(Holder { node: text(node)?, turn: text(turn)? })
}

/// Milliseconds since 1970, for what other nodes read.
fn now_ms() -> u64 {
    Timestamp::from(SystemTime::now()).as_ms()
}
