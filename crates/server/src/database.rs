//! The database, from the configuration.

use repartee_infrastructure::persistence::{Database, DatabaseSettings};

use crate::{StartError, settings::Settings};

/// Connects, and creates what is missing: the folder of a SQLite file, a PostgreSQL database.
pub(crate) async fn connect(settings: &Settings) -> Result<Database, StartError> {
    let settings = DatabaseSettings {
        url: settings.database.url.clone(),
        max_connections: settings.database.max_connections,
    };
    Database::connect(&settings).await.map_err(StartError::Database)
}
