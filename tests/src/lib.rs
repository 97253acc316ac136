//! What the end-to-end tests and the benchmark share: a model to talk to, a server to test, and a load to put on one.

pub mod bench;
pub mod s3;
pub mod server;
pub mod upstream;
