//! What a client sees of the control plane: real sockets, a real engine, one node per test.

mod bodies;
mod connections;
mod http2;
mod node;
mod operations;
mod origins;
mod passages;
mod people;
mod publishing;
mod rooms;
mod streams;
mod upgrades;
mod wire;
