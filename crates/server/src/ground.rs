//! What every part of the application stands on.

use std::sync::Arc;

use repartee_application::ports::{Clock, IdGenerator};
use repartee_infrastructure::{
    persistence::Database,
    system::{SystemClock, SystemIds, TrackedSpawner},
};
use tokio::runtime::Handle;

use crate::{StartError, database, settings::Settings};

/// Repositories are made from it where they are needed: they hold nothing but the database.
pub(crate) struct Ground {
    pub(crate) database: Database,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdGenerator>,
    pub(crate) spawner: TrackedSpawner,
}

impl Ground {
    /// Connects to the database and brings its schema up.
    pub(crate) async fn lay(settings: &Settings) -> Result<Self, StartError> {
        let ids = SystemIds::new().map_err(|error| StartError::Randomness(error.to_string()))?;
        let spawner = TrackedSpawner::new(Handle::current());
        let database = database::connect(settings).await?;
        database.migrate_up().await.map_err(StartError::Database)?;
        Ok(Self { database, clock: Arc::new(SystemClock), ids: Arc::new(ids), spawner })
    }

    pub(crate) fn spawner(&self) -> Arc<TrackedSpawner> {
        Arc::new(self.spawner.clone())
    }
}
