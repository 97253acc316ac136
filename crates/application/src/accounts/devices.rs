//! The devices that somebody is signed in with.

use repartee_domain::{LoginSessionId, audit::Action};

use super::AccountService;
use crate::{Actor, AppError, Page, PageRequest, Permission, ports::Device};

impl AccountService {
    /// The caller's login sessions, newest first.
    pub async fn devices(
        &self,
        actor: &Actor,
        page: PageRequest<LoginSessionId>,
    ) -> Result<Page<Device, LoginSessionId>, AppError> {
        actor.may(Permission::ManageAccount)?;
        let now = self.ports.clock.now();
        Ok(self.ports.sessions.devices(actor.user, page, now).await?)
    }

    /// Signs one of the caller's devices out, this one included.
    pub async fn sign_out(&self, actor: &Actor, device: LoginSessionId) -> Result<(), AppError> {
        actor.may(Permission::ManageAccount)?;
        let now = self.ports.clock.now();
        if !self.ports.sessions.is_device_of(actor.user, device, now).await? {
            return Err(AppError::SESSION_NOT_FOUND);
        }
        let entry = actor.did(Action::TokenRevoked, now).on("login_session", device);
        Ok(self.ports.sessions.end(device, now, entry).await?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use repartee_domain::accounts::{ApiKey, Role};
    use repartee_domain::{ApiKeyId, accounts::Scopes};
    use uuid::Uuid;

    use super::*;
    use crate::{
        Credential, Origin,
        accounts::fixture::{Fixture, NOW, SESSION, USER},
    };

    fn actor(credential: Credential) -> Actor {
        Actor { user: USER, role: Role::User, credential, origin: Origin::default() }
    }

    // No session is ended in these.

    #[tokio::test]
    async fn somebody_elses_device_is_not_there() {
        let mut fixture = Fixture::new();
        fixture.sessions.expect_is_device_of().returning(|_, _, _| Ok(false));
        let other = LoginSessionId::from_uuid(Uuid::from_u128(9));

        let service = fixture.service();
        let refused = service.sign_out(&actor(Credential::Session(SESSION)), other).await;

        assert_eq!(refused.unwrap_err().classify().1, "session_not_found");
    }

    #[tokio::test]
    async fn a_key_signs_nobody_out() {
        let key = ApiKey {
            id: ApiKeyId::from_uuid(Uuid::from_u128(2)),
            owner: USER,
            name: "a script".into(),
            prefix: "rpt_12345678".into(),
            scopes: Scopes::default(),
            models: None,
            requests_per_minute: None,
            monthly_token_budget: None,
            last_used_at: None,
            expires_at: None,
            revoked_at: None,
            created_at: NOW,
        };
        let actor = actor(Credential::Key(Arc::new(key)));
        let service = Fixture::new().service();

        let refused = service.sign_out(&actor, SESSION).await.unwrap_err();
        assert_eq!(refused.classify().1, "not_for_keys");
        let page = PageRequest { limit: 20, after: None };
        let refused = service.devices(&actor, page).await.unwrap_err();
        assert_eq!(refused.classify().1, "not_for_keys");
    }
}
