//! What the end-to-end tests and the benchmark share: a model to talk to, and a load to put on a server.

pub mod bench;
pub mod upstream;
