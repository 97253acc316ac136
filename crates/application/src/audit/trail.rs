//! Entries of what no commit tells of: they are recorded in the background.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use repartee_domain::audit::{Action, AuditEntry, AuditOutcome};
use tokio::sync::mpsc;

use crate::{Actor, AppError, ErrorKind, ports::Clock};

/// Entries that wait before further ones are dropped.
const MOST_WAITING: usize = 1024;

/// Takes entries without making anybody wait. Cheap to clone.
#[derive(Clone)]
pub struct AuditTrail {
    told: mpsc::Sender<AuditEntry>,
    dropped: Arc<AtomicU64>,
    clock: Arc<dyn Clock>,
}

/// The other end of an [`AuditTrail`].
pub struct Told {
    pub(super) entries: mpsc::Receiver<AuditEntry>,
    pub(super) dropped: Arc<AtomicU64>,
}

impl AuditTrail {
    pub fn new(clock: Arc<dyn Clock>) -> (Self, Told) {
        let (told, entries) = mpsc::channel(MOST_WAITING);
        let dropped = Arc::<AtomicU64>::default();
        (Self { told, dropped: dropped.clone(), clock }, Told { entries, dropped })
    }

    /// Tells of an error, where it is that somebody known was refused what they may not do.
    /// `place` is where they asked for it, like `POST /api/v1/users`.
    pub fn refused(&self, actor: &Actor, error: &AppError, place: &str) {
        let (kind, code) = error.classify();
        if kind != ErrorKind::Forbidden {
            return;
        }
        let mut entry = actor
            .did(Action::AccessDenied, self.clock.now())
            .outcome(AuditOutcome::Denied)
            .on("route", place)
            .with("code", code);
        if let Some(key) = actor.key() {
            entry = entry.with("api_key", key.id.to_string());
        }
        self.tell(entry);
    }

    fn tell(&self, entry: AuditEntry) {
        if self.told.try_send(entry).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use repartee_domain::{LoginSessionId, UserId, accounts::Role};
    use uuid::Uuid;

    use super::*;
    use crate::{Credential, Origin, ports::MockClock};

    fn trail() -> (AuditTrail, Told) {
        let mut clock = MockClock::new();
        clock.expect_now().return_const(DateTime::UNIX_EPOCH);
        AuditTrail::new(Arc::new(clock))
    }

    fn actor() -> Actor {
        Actor {
            user: UserId::from_uuid(Uuid::from_u128(1)),
            role: Role::User,
            credential: Credential::Session(LoginSessionId::from_uuid(Uuid::from_u128(2))),
            origin: Origin { request_id: Some("a-request".into()), ..Origin::default() },
        }
    }

    #[test]
    fn who_was_refused_what_is_told_and_nothing_else_is() {
        let (trail, mut told) = trail();
        for error in [AppError::Unauthenticated, AppError::CONVERSATION_NOT_FOUND] {
            trail.refused(&actor(), &error, "GET /");
        }
        trail.refused(&actor(), &AppError::Forbidden(Role::Admin), "GET /api/v1/audit-logs");

        let entry = told.entries.try_recv().unwrap();
        assert_eq!((entry.action, entry.outcome), (Action::AccessDenied, AuditOutcome::Denied));
        assert_eq!(entry.resource.unwrap().id, "GET /api/v1/audit-logs");
        assert_eq!(entry.details["code"], "forbidden");
        assert_eq!(entry.request_id.as_deref(), Some("a-request"));
        assert!(told.entries.try_recv().is_err());
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let (trail, mut told) = trail();
        for _ in 0..MOST_WAITING + 3 {
            trail.refused(&actor(), &AppError::NotForKeys, "GET /");
        }

        assert_eq!(told.dropped.load(Relaxed), 3);
        assert!(told.entries.try_recv().is_ok());
    }
}
