//! What a client sees of the control plane: real sockets, a real engine, one node per test.

mod bodies;
mod connections;
mod node;
mod operations;
mod people;
mod publishing;
mod rooms;
mod upgrades;
mod wire;
