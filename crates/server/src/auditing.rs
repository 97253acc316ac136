//! The audit log, put together.

use std::sync::Arc;

use repartee_application::{
    audit::{AuditKeeper, AuditService, AuditTrail},
    ports::{AuditRecorder, Clock, PortError},
};
use repartee_domain::audit::{Action, AuditActor, AuditEntry};
use repartee_infrastructure::persistence::{SeaAuditLog, SeaAuditRecorder};
use tokio_util::sync::CancellationToken;

use crate::ground::Ground;

pub(crate) struct Auditing {
    pub(crate) service: AuditService,
    pub(crate) trail: AuditTrail,
    pub(crate) diary: Diary,
}

/// What the server records of itself.
pub(crate) struct Diary {
    recorder: Arc<dyn AuditRecorder>,
    clock: Arc<dyn Clock>,
}

/// With what keeps the log until the server stops.
pub(crate) fn auditing(ground: &Ground, stop: &CancellationToken) -> Auditing {
    let Ground { database, clock, .. } = ground;
    let recorder: Arc<dyn AuditRecorder> = Arc::new(SeaAuditRecorder::new(database.clone()));
    let log = Arc::new(SeaAuditLog::new(database.clone()));
    let (trail, told) = AuditTrail::new(clock.clone());
    AuditKeeper::new(log.clone(), recorder.clone(), clock.clone(), told)
        .start(&ground.spawner, stop.clone());
    let service = AuditService::new(log, recorder.clone(), clock.clone());
    Auditing { service, trail, diary: Diary { recorder, clock: clock.clone() } }
}

impl Diary {
    pub(crate) async fn record(&self, action: Action) -> Result<(), PortError> {
        let entry = AuditEntry::new(AuditActor::System, action, self.clock.now())
            .with("version", env!("CARGO_PKG_VERSION"));
        self.recorder.record(entry).await
    }
}
