//! What a server makes of two fields that not all of them know.

use std::sync::atomic::{AtomicBool, Ordering};

use super::errors::Refusal;

/// How a request is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    /// Ask for the usage with `stream_options`. Older servers refuse the field.
    pub(super) asks_for_usage: bool,
    /// Call the limit `max_completion_tokens`. OpenAI's reasoning models want that name, most
    /// other servers know the older `max_tokens` alone.
    pub(super) limits_completion: bool,
}

/// What this server has been found to speak; each thing costs one refused request, once.
#[derive(Debug, Default)]
pub(super) struct KnownDialect {
    refuses_usage: AtomicBool,
    limits_completion: AtomicBool,
}

impl KnownDialect {
    pub(super) fn get(&self) -> Dialect {
        Dialect {
            asks_for_usage: !self.refuses_usage.load(Ordering::Relaxed),
            limits_completion: self.limits_completion.load(Ordering::Relaxed),
        }
    }

    /// Another way to ask, when it was the way of asking that was refused.
    pub(super) fn learn(&self, spoken: Dialect, refusal: &Refusal) -> Option<Dialect> {
        if !refusal.is_about_the_request() {
            None
        } else if spoken.asks_for_usage && refusal.mentions("stream_options") {
            self.refuses_usage.store(true, Ordering::Relaxed);
            Some(Dialect { asks_for_usage: false, ..spoken })
        } else if !spoken.limits_completion && refusal.mentions("max_completion_tokens") {
            self.limits_completion.store(true, Ordering::Relaxed);
            Some(Dialect { limits_completion: true, ..spoken })
        } else {
            None
        }
    }
}
