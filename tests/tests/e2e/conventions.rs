//! What holds on every route.

mod conditions;
mod edge;
mod errors;
mod hostile;
mod lists;
mod matrix;
mod names;
mod operations;
mod strangers;
mod unicode;
