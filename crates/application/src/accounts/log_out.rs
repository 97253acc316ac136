//! Signing out.

use super::AccountService;
use crate::{Actor, AppError};

impl AccountService {
    /// Ends this login session, or every one of the user's. Their tokens are refused from now on.
    pub async fn log_out(&self, actor: &Actor, everywhere: bool) -> Result<(), AppError> {
        let now = self.ports.clock.now();
        if everywhere {
            self.ports.sessions.end_all(actor.user, now).await?;
        } else {
            self.ports.sessions.end(actor.session, now).await?;
        }
        Ok(())
    }
}
