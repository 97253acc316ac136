//! Signing out.

use repartee_domain::audit::Action;

use super::AccountService;
use crate::{Actor, AppError, Permission};

impl AccountService {
    /// Ends this login session, or every one of the user's. Their tokens are refused from now on.
    ///
    /// A token of another issuer has no login session here: there is nothing to end but with
    /// `everywhere`.
    pub async fn log_out(&self, actor: &Actor, everywhere: bool) -> Result<(), AppError> {
        actor.may(Permission::ManageAccount)?;
        let now = self.ports.clock.now();
        let entry = actor.did(Action::LoggedOut, now);
        if everywhere {
            self.ports.sessions.end_all(actor.user, now, entry.with("all", "true")).await?;
        } else if let Some(session) = actor.session() {
            self.ports.sessions.end(session, now, entry.on("login_session", session)).await?;
        }
        Ok(())
    }
}
