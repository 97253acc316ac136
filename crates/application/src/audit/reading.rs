//! Reading the audit log.

use repartee_domain::audit::Action;

use super::{AT_ONCE, AuditService, Verification, keeper::seal_all, verifying};
use crate::{
    Actor, AppError, Page, PageRequest, Permission,
    ports::{AuditFilter, AuditKey, PortError, RecordedEntry},
};

impl AuditService {
    /// Newest first.
    pub async fn list(
        &self,
        actor: &Actor,
        filter: AuditFilter,
        page: PageRequest<AuditKey>,
    ) -> Result<Page<RecordedEntry, AuditKey>, AppError> {
        self.note_reading(actor, "list", &filter).await?;
        Ok(self.log.list(filter, page).await?)
    }

    /// The first portion of everything that the filter lets through, newest first;
    /// [`AuditService::export_on`] gives the next ones.
    pub async fn export(
        &self,
        actor: &Actor,
        filter: AuditFilter,
    ) -> Result<Page<RecordedEntry, AuditKey>, AppError> {
        self.note_reading(actor, "export", &filter).await?;
        Ok(self.log.list(filter, PageRequest { limit: AT_ONCE, after: None }).await?)
    }

    /// A further portion of an export, which was noted when it began.
    pub async fn export_on(
        &self,
        actor: &Actor,
        filter: AuditFilter,
        after: AuditKey,
    ) -> Result<Page<RecordedEntry, AuditKey>, AppError> {
        actor.may(Permission::ReadAudit)?;
        Ok(self.log.list(filter, PageRequest { limit: AT_ONCE, after: Some(after) }).await?)
    }

    /// Whether the log is as it was written, up to now.
    pub async fn verify(&self, actor: &Actor) -> Result<Verification, AppError> {
        self.note_reading(actor, "verify", &AuditFilter::default()).await?;
        match seal_all(&*self.log).await {
            // What cannot be sealed upon is what there is to be found.
            Ok(()) | Err(PortError::Corrupt(_)) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(verifying::verify(&*self.log).await?)
    }

    /// Before anything is read, so that nothing is read that is not told of.
    async fn note_reading(
        &self,
        actor: &Actor,
        what: &str,
        filter: &AuditFilter,
    ) -> Result<(), AppError> {
        actor.may(Permission::ReadAudit)?;
        let mut entry = actor.did(Action::AuditRead, self.clock.now()).with("what", what);
        if let Some(user) = filter.user {
            entry = entry.on("user", user);
        }
        if let Some(action) = filter.action {
            entry = entry.with("action", action.as_str());
        }
        Ok(self.recorder.record(entry).await?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::DateTime;
    use repartee_domain::{LoginSessionId, UserId, accounts::Role};
    use uuid::Uuid;

    use super::*;
    use crate::{
        Credential, Origin,
        audit::FaultKind,
        ports::{MockAuditLog, MockAuditRecorder, MockClock, PortError},
    };

    fn actor(role: Role) -> Actor {
        Actor {
            user: UserId::from_uuid(Uuid::from_u128(1)),
            role,
            credential: Credential::Session(LoginSessionId::from_uuid(Uuid::from_u128(2))),
            origin: Origin::default(),
        }
    }

    fn service(log: MockAuditLog, recorder: MockAuditRecorder) -> AuditService {
        let mut clock = MockClock::new();
        clock.expect_now().return_const(DateTime::UNIX_EPOCH);
        AuditService::new(Arc::new(log), Arc::new(recorder), Arc::new(clock))
    }

    const PAGE: PageRequest<AuditKey> = PageRequest { limit: 1, after: None };

    #[tokio::test]
    async fn nobody_but_an_administrator_reads_it() {
        for role in [Role::User, Role::Manager] {
            // Neither of the ports is asked.
            let service = service(MockAuditLog::new(), MockAuditRecorder::new());
            let actor = actor(role);
            let filter = AuditFilter::default;
            let key = AuditKey { at: DateTime::UNIX_EPOCH, id: 1 };
            let refused = [
                service.list(&actor, filter(), PAGE).await.unwrap_err(),
                service.export(&actor, filter()).await.unwrap_err(),
                service.export_on(&actor, filter(), key).await.unwrap_err(),
                service.verify(&actor).await.unwrap_err(),
            ];
            assert!(refused.iter().all(|error| error.classify().1 == "forbidden"));
        }
    }

    #[tokio::test]
    async fn what_cannot_be_sealed_upon_is_verified_and_an_outage_is_told() {
        let verified = async |error: fn() -> PortError| {
            let mut recorder = MockAuditRecorder::new();
            recorder.expect_record().returning(|_| Ok(()));
            let mut log = MockAuditLog::new();
            log.expect_seal().returning(move |_| Err(error()));
            log.expect_last_anchor().returning(|| Ok(None));
            log.expect_sealed().returning(|_, _| Err(PortError::Corrupt("no place".into())));
            service(log, recorder).verify(&actor(Role::Admin)).await
        };

        let found = verified(|| PortError::Corrupt("no place".into())).await.unwrap();
        assert_eq!(found.fault.unwrap().kind, FaultKind::Unreadable);
        assert!(verified(|| PortError::Unavailable("away".into())).await.is_err());
    }

    #[tokio::test]
    async fn reading_is_told_of_before_anything_is_read() {
        let filter = AuditFilter { action: Some(Action::LoggedIn), ..AuditFilter::default() };
        let mut recorder = MockAuditRecorder::new();
        recorder
            .expect_record()
            .withf(|entry| {
                entry.action == Action::AuditRead
                    && entry.details["what"] == "list"
                    && entry.details["action"] == "login"
            })
            .once()
            .returning(|_| Err(PortError::Unavailable("away".into())));

        // The log is not asked.
        let service = service(MockAuditLog::new(), recorder);
        service.list(&actor(Role::Admin), filter, PAGE).await.unwrap_err();
    }
}
