//! The first administrator.

use repartee_domain::{
    accounts::{ProfileChanges, Role, User},
    audit::{Action, AuditActor, AuditEntry},
};
use secrecy::SecretString;

use super::{AccountService, register::taken};
use crate::AppError;

impl AccountService {
    /// Makes the configured administrator where nobody is registered yet. `true` when it did.
    pub async fn bootstrap_admin(
        &self,
        email: &str,
        password: SecretString,
    ) -> Result<bool, AppError> {
        if !self.ports.users.is_empty().await? {
            return Ok(false);
        }
        match self.make_admin(email, password).await {
            Ok(_) => Ok(true),
            // Another replica was faster.
            Err(AppError::Taken { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes an administrator. To be asked for by who runs the server alone.
    pub async fn make_admin(&self, email: &str, password: SecretString) -> Result<User, AppError> {
        let profile = ProfileChanges::default();
        let (user, hash) = self.new_user(email, Some(&password), profile, Role::Admin).await?;
        let entry = AuditEntry::new(AuditActor::System, Action::AccountMade, user.created_at);
        let entry = entry.on("user", user.id).with("role", user.role.as_str());
        self.ports.users.register(&user, &hash, None, entry).await.map_err(taken)?;
        Ok(user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::fixture::Fixture;

    #[tokio::test]
    async fn an_empty_database_gets_its_administrator() {
        let mut fixture = Fixture::new();
        fixture.users.expect_is_empty().returning(|| Ok(true));
        fixture
            .users
            .expect_register()
            .withf(|user, _, session, _| user.role == Role::Admin && session.is_none())
            .once()
            .returning(|_, _, _, _| Ok(()));

        let service = fixture.service();
        let made = service.bootstrap_admin("root@example.com", "analytical1".into()).await;

        assert!(made.unwrap());
    }

    #[tokio::test]
    async fn where_somebody_is_registered_nothing_is_made() {
        let mut fixture = Fixture::new();
        fixture.users.expect_is_empty().returning(|| Ok(false));

        let service = fixture.service();
        let made = service.bootstrap_admin("root@example.com", "analytical1".into()).await;

        assert!(!made.unwrap());
    }
}
