//! Adapters: the outside world, behind the ports of `repartee-application`.

pub mod generation_log;
pub mod persistence;
pub mod providers;
pub mod security;
pub mod system;
