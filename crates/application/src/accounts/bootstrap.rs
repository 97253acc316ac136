//! The first administrator.

use repartee_domain::accounts::{ProfileChanges, Role};
use secrecy::SecretString;

use super::{AccountService, NewAccount};
use crate::{AppError, ports::PortError};

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
        let account =
            NewAccount { email: email.into(), password, profile: ProfileChanges::default() };
        let (user, hash) = self.new_user(account, Role::Admin).await?;
        match self.ports.users.register(&user, &hash, None).await {
            Ok(()) => Ok(true),
            // Another replica was faster.
            Err(PortError::Taken { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
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
            .withf(|user, _, session| user.role == Role::Admin && session.is_none())
            .once()
            .returning(|_, _, _| Ok(()));

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
