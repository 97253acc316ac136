//! Whether the server can do its work.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    models::ModelCatalogue,
    ports::{Clock, DatabaseProbe, ModelStatus},
};

pub struct HealthService {
    database: Arc<dyn DatabaseProbe>,
    models: Arc<ModelCatalogue>,
    clock: Arc<dyn Clock>,
    started_at: DateTime<Utc>,
    is_draining: AtomicBool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    pub is_database_reachable: bool,
    pub model: ModelStatus,
    pub uptime: TimeDelta,
}

impl HealthService {
    pub fn new(
        database: Arc<dyn DatabaseProbe>,
        models: Arc<ModelCatalogue>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let started_at = clock.now();
        Self { database, models, clock, started_at, is_draining: AtomicBool::new(false) }
    }

    pub async fn check(&self) -> Health {
        Health {
            is_database_reachable: self.database.is_reachable().await,
            model: self.models.status(),
            uptime: (self.clock.now() - self.started_at).max(TimeDelta::zero()),
        }
    }

    /// Whether new requests should be sent here.
    pub async fn is_ready(&self) -> bool {
        !self.is_draining.load(Relaxed) && self.database.is_reachable().await
    }

    /// From now on this server is not ready: it finishes what it began.
    pub fn drain(&self) {
        self.is_draining.store(true, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{MockClock, MockDatabaseProbe};

    #[tokio::test]
    async fn a_draining_server_is_not_ready() {
        let mut database = MockDatabaseProbe::new();
        database.expect_is_reachable().returning(|| true);
        let mut clock = MockClock::new();
        clock.expect_now().return_const(DateTime::UNIX_EPOCH);
        let models = Arc::new(ModelCatalogue::Listed(vec![]));
        let health = HealthService::new(Arc::new(database), models, Arc::new(clock));

        assert!(health.is_ready().await);
        health.drain();
        assert!(!health.is_ready().await);
    }
}
