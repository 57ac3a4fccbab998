//! What all shards of a node share, and where they send visitors that ask for something else.

use std::sync::Arc;

use tidings_core::{Engine, Hub, People, RoomRules};
use tidings_protocol::{Limits, Origins};

use crate::capacity::{Capacity, Seat};

/// Everything a shard is given. Cheap to clone.
pub struct Context<S = std::net::TcpStream> {
    /// The node's name.
    pub node: Arc<str>,
    /// All maxima.
    pub limits: Arc<Limits>,
    /// Options of rooms by their names.
    pub rules: Arc<RoomRules>,
    /// Keeper of the logs.
    pub engine: Arc<dyn Engine>,
    /// Who has members in which room.
    pub hub: Arc<Hub>,
    /// Sessions, presence and typing.
    pub people: Arc<People>,
    /// How many clients the node holds.
    pub capacity: Arc<Capacity>,
    /// Takes connections that ask for something else.
    pub reception: Arc<dyn Reception<S>>,
    /// Whether `/echo` is served.
    pub echo: bool,
    /// Whether permessage-deflate is agreed to.
    pub compression: bool,
    /// Pages of which other sites may read answers.
    pub origins: Arc<Origins>,
}

// Derived, it would ask for sockets that can be cloned.
impl<S> Clone for Context<S> {
    fn clone(&self) -> Self {
        Self {
            node: Arc::clone(&self.node),
            limits: Arc::clone(&self.limits),
            rules: Arc::clone(&self.rules),
            engine: Arc::clone(&self.engine),
            hub: Arc::clone(&self.hub),
            people: Arc::clone(&self.people),
            capacity: Arc::clone(&self.capacity),
            reception: Arc::clone(&self.reception),
            echo: self.echo,
            compression: self.compression,
            origins: Arc::clone(&self.origins),
        }
    }
}

/// Takes connections whose requests the shard does not serve: the HTTP control plane.
pub trait Reception<S = std::net::TcpStream>: Send + Sync + 'static {
    /// Takes a visitor, or gives it back if there are too many: the shard then answers 503.
    /// Must not block.
    fn receive(&self, visitor: Visitor<S>) -> Result<(), Visitor<S>>;
}

/// A connection that is handed over, with its bytes intact.
#[derive(Debug)]
pub struct Visitor<S = std::net::TcpStream> {
    /// The socket, non-blocking, watched by nobody.
    pub socket: S,
    /// What was read from it so far: at least a request's head, or the HTTP/2 preface.
    pub prefix: Vec<u8>,
    /// Its place in the node's count.
    pub seat: Seat,
}
