//! Says once that Redis is away, and once that it is back: not for each event.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use redis::RedisError;

use super::Redis;

#[derive(Debug)]
pub(super) struct Outage {
    /// Host and port.
    address: String,
    /// What it means.
    consequence: &'static str,
    is_told: AtomicBool,
}

impl Outage {
    pub(super) fn new(redis: &Redis, consequence: &'static str) -> Self {
        let address = redis.address.to_string();
        Self { address, consequence, is_told: AtomicBool::new(false) }
    }

    pub(super) fn began(&self, error: &RedisError) {
        if !self.is_told.swap(true, Relaxed) {
            tracing::warn!(
                redis = self.address,
                error = error as &dyn std::error::Error,
                "Redis does not do its work: {}",
                self.consequence
            );
        }
    }

    pub(super) fn ended(&self) {
        if self.is_told.swap(false, Relaxed) {
            tracing::info!(redis = self.address, "Redis does its work again");
        }
    }
}
