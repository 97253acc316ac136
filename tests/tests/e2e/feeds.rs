//! What happens to somebody, told on all their devices at the same time.

mod access;
mod cuts;
mod story;
mod telling;
