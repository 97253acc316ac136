//! Whether the server can do its work.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::future;

use crate::{
    models::ModelCatalogue,
    ports::{CacheProbe, Clock, DatabaseProbe, ModelStatus},
};

pub struct HealthService {
    database: Arc<dyn DatabaseProbe>,
    /// `None` where everything is in this process.
    cache: Option<Arc<dyn CacheProbe>>,
    models: Arc<ModelCatalogue>,
    clock: Arc<dyn Clock>,
    started_at: DateTime<Utc>,
    is_draining: AtomicBool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    pub is_database_reachable: bool,
    pub cache: CacheStatus,
    pub model: ModelStatus,
    pub uptime: TimeDelta,
}

/// What replicas share beside the database. Replies go on without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheStatus {
    /// Nothing: it is all in this process.
    Embedded,
    Connected,
    Unavailable,
}

impl HealthService {
    pub fn new(
        database: Arc<dyn DatabaseProbe>,
        cache: Option<Arc<dyn CacheProbe>>,
        models: Arc<ModelCatalogue>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let started_at = clock.now();
        Self { database, cache, models, clock, started_at, is_draining: AtomicBool::new(false) }
    }

    pub async fn check(&self) -> Health {
        let now = self.clock.now();
        let (is_database_reachable, cache) =
            future::join(self.database.is_reachable(), self.cache_status()).await;
        Health {
            is_database_reachable,
            cache,
            model: self.models.status(now),
            uptime: (now - self.started_at).max(TimeDelta::zero()),
        }
    }

    async fn cache_status(&self) -> CacheStatus {
        match &self.cache {
            None => CacheStatus::Embedded,
            Some(cache) if cache.is_reachable().await => CacheStatus::Connected,
            Some(_) => CacheStatus::Unavailable,
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
    use crate::ports::{MockCacheProbe, MockClock, MockDatabaseProbe};

    fn health(cache: Option<Arc<dyn CacheProbe>>) -> HealthService {
        let mut database = MockDatabaseProbe::new();
        database.expect_is_reachable().returning(|| true);
        let mut clock = MockClock::new();
        clock.expect_now().return_const(DateTime::UNIX_EPOCH);
        let models = Arc::new(ModelCatalogue::Listed(vec![]));
        HealthService::new(Arc::new(database), cache, models, Arc::new(clock))
    }

    #[tokio::test]
    async fn a_draining_server_is_not_ready() {
        let health = health(None);

        assert!(health.is_ready().await);
        health.drain();
        assert!(!health.is_ready().await);
    }

    #[tokio::test]
    async fn without_its_cache_a_server_is_ready_and_says_so() {
        let cache = |answers: bool| {
            let mut probe = MockCacheProbe::new();
            probe.expect_is_reachable().return_const(answers);
            health(Some(Arc::new(probe)))
        };
        assert_eq!(health(None).check().await.cache, CacheStatus::Embedded);
        assert_eq!(cache(true).check().await.cache, CacheStatus::Connected);

        let away = cache(false);
        assert_eq!(away.check().await.cache, CacheStatus::Unavailable);
        assert!(away.is_ready().await);
    }
}
