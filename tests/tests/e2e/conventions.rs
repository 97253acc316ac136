//! What holds on every route.

mod edge;
mod errors;
mod lists;
mod names;
mod operations;
mod strangers;
mod unicode;
