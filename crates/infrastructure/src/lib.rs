//! Adapters: the outside world, behind the ports of `repartee-application`.

pub mod generation_log;
pub mod limits;
pub mod mail;
pub mod objects;
pub mod persistence;
pub mod providers;
pub mod redis;
pub mod security;
pub mod system;
mod within;
