//! What this node tells a server of the sessions that it has, and what it learns by that: who else has one.
//!
//! While the node is in doubt whether others have taken sessions, everything told here is waited for. Refuses to judge by
//! an old census.

use std::any::Any;
use std::sync::{Arc, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use redis::Value;
use tidings_core::Post;
use tidings_protocol::SessionId;
use tokio::time::sleep;

use super::{Desk, Holder, holder, now_ms};
use crate::scripts::Script;
use crate::server::Server;
use crate::standing::Doubt;

/// What is written down of a session that this node has.
pub(super) struct Kept {
    pub(super) session: SessionId,
    pub(super) record: String,
    pub(super) user: String,
}

impl Desk {
    /// Writes down that this node has a session. `dead`: a node that had it and does not live.
    pub(super) fn keep(self: &Arc<Self>, kept: Kept, dead: Holder) {
        let (server, id) = self.place(kept.session);
        let mut command = self.call(server, Script::SessionKeep, &id, None);
        command.arg(&self.node).arg(&kept.record).arg(&kept.user).arg(&id).arg(now_ms());
        command.arg(dead.node).arg(dead.turn);
        let (desk, asked, doubt) = (Arc::clone(self), Arc::clone(server), self.doubt().upgrade());
        server.ask(
            command,
            Box::new(move |value| match value {
                Ok(Value::Array(parts)) => {
                    if let Some(owner) = holder(&parts) {
                        desk.has_another_owner(&asked, kept, owner, doubt);
                    }
                }
                Ok(_) => {}
                Err(_) => desk.keep_again(kept, doubt),
            }),
        );
    }

    /// Whether the node lives that has a session of this one's must not be judged by what was known before this node
    /// was cut off.
    fn has_another_owner(
        self: &Arc<Self>,
        server: &Arc<Server>,
        kept: Kept,
        owner: Holder,
        doubt: Option<Arc<Doubt>>,
    ) {
        let desk = Arc::clone(self);
        server.ask_whether_lives(&owner.node.clone(), move |lives| match lives {
            Some(true) => {
                if let Some(people) = desk.people() {
                    people.sessions.supersede(kept.session);
                }
                // Not before it is decided.
                drop(doubt);
            }
            Some(false) => desk.keep(kept, owner),
            None => desk.keep_again(kept, doubt),
        });
    }

    /// The server did not say who has a session. While this node is in doubt it has to know.
    fn keep_again(self: &Arc<Self>, kept: Kept, doubt: Option<Arc<Doubt>>) {
        let Some(doubt) = doubt.filter(|doubt| doubt.lasts()) else { return };
        let (desk, pause) = (Arc::clone(self), Duration::from_millis(self.limits.redis_again_ms));
        self.runtime.spawn(async move {
            sleep(pause).await;
            desk.keep(kept, Holder::default());
            drop(doubt);
        });
    }

    /// A server may have lost what it knew of this node: it is told again.
    /// A doubt lasts until all of them have been told and answered for.
    pub(crate) fn returned(&self, doubt: Option<Doubt>) {
        let doubt = doubt.map(Arc::new);
        if let Some(doubt) = &doubt {
            *self.doubt() = Arc::downgrade(doubt);
        }
        let until_done = || doubt.clone().map(|doubt| doubt as Arc<dyn Any + Send + Sync>);
        if let Some(people) = self.people() {
            people.sessions.post_to_all(|| Post::Recall { from: 0, until_done: until_done() });
        }
    }

    fn doubt(&self) -> MutexGuard<'_, Weak<Doubt>> {
        self.doubt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
