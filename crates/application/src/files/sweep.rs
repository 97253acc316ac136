//! Deleting the objects that no file needs.

use std::{error::Error, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};

use crate::ports::{ObjectLedger, ObjectStore, PortError};

/// When another try is made with what could not be deleted, and with what a process that died took.
const AGAIN: TimeDelta = TimeDelta::minutes(10);

#[derive(Clone)]
pub struct ObjectSweeper {
    pub objects: Arc<dyn ObjectStore>,
    pub ledger: Arc<dyn ObjectLedger>,
}

impl ObjectSweeper {
    /// Deletes at most `limit` objects; gives how many were looked at.
    pub async fn sweep(&self, now: DateTime<Utc>, limit: u32) -> Result<u64, PortError> {
        let taken = self.ledger.take(now, now + AGAIN, limit).await?;
        let count = taken.len() as u64;
        let mut deleted = Vec::new();
        for object in taken {
            match self.objects.delete(object).await {
                Ok(()) => deleted.push(object),
                Err(error) => {
                    let error: &dyn Error = &error;
                    tracing::error!(error, %object, "an object cannot be deleted now");
                }
            }
        }
        if !deleted.is_empty() {
            self.ledger.forget(deleted).await?;
        }
        Ok(count)
    }
}
