//! The audit log: keeping it, reading it, and showing that nobody tampered with it.

mod chain;
mod keeper;
mod reading;
mod trail;
mod verifying;

use std::sync::Arc;

use crate::ports::{AuditLog, AuditRecorder, Clock};

pub use self::{
    chain::{ChainHash, Head, SealedEntry, StoredEntry},
    keeper::AuditKeeper,
    trail::AuditTrail,
    verifying::{Fault, FaultKind, Verification},
};

/// Entries that are sealed, read or verified at once.
const AT_ONCE: u32 = 100;

/// What an administrator may do with the audit log. Each use is an entry in it.
pub struct AuditService {
    log: Arc<dyn AuditLog>,
    recorder: Arc<dyn AuditRecorder>,
    clock: Arc<dyn Clock>,
}

impl AuditService {
    pub fn new(
        log: Arc<dyn AuditLog>,
        recorder: Arc<dyn AuditRecorder>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { log, recorder, clock }
    }
}
