//! What the last requests told about a provider.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use repartee_application::ports::ModelStatus;

/// So many connections in a row that failed mean that nobody is there.
const UNREACHABLE: u32 = 3;

#[derive(Debug, Default)]
pub(super) struct Health {
    has_failed: AtomicBool,
    unreachable_in_a_row: AtomicU32,
}

impl Health {
    pub(super) fn status(&self) -> ModelStatus {
        if self.unreachable_in_a_row.load(Ordering::Relaxed) >= UNREACHABLE {
            ModelStatus::Unavailable
        } else if self.has_failed.load(Ordering::Relaxed) {
            ModelStatus::Degraded
        } else {
            ModelStatus::Ready
        }
    }

    pub(super) fn succeeded(&self) {
        self.has_failed.store(false, Ordering::Relaxed);
        self.unreachable_in_a_row.store(0, Ordering::Relaxed);
    }

    /// Somebody is there, and the request failed.
    pub(super) fn failed(&self) {
        self.has_failed.store(true, Ordering::Relaxed);
        self.unreachable_in_a_row.store(0, Ordering::Relaxed);
    }

    pub(super) fn was_unreachable(&self) {
        self.has_failed.store(true, Ordering::Relaxed);
        // Wrapping would take four billion failures in a row.
        self.unreachable_in_a_row.fetch_add(1, Ordering::Relaxed);
    }
}
