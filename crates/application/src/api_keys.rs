//! Keys for programs: making, listing and revoking them.

use std::sync::Arc;

use repartee_domain::{
    ApiKeyId,
    accounts::{ApiKey, NewApiKey},
    audit::Action,
};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    Actor, AppError, IdempotencyKey, Page, PageRequest, Permission,
    idempotency::Making,
    ports::{ApiKeyRepository, Clock, IdGenerator, IdempotencyKeys, KeyInserted, TokenSigner},
};

/// Live keys that a user may have.
const MOST: u32 = 100;
/// Where the idempotency keys of new keys are used.
const KEY_ROUTE: &str = "api_keys";

pub struct ApiKeyService {
    ports: ApiKeyPorts,
}

pub struct ApiKeyPorts {
    pub keys: Arc<dyn ApiKeyRepository>,
    pub idempotency: Arc<dyn IdempotencyKeys>,
    pub signer: Arc<dyn TokenSigner>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdGenerator>,
}

/// A key as its owner sees it once.
#[derive(Debug)]
pub struct MadeKey {
    pub key: ApiKey,
    /// Stored nowhere.
    pub secret: SecretString,
}

impl ApiKeyService {
    pub fn new(ports: ApiKeyPorts) -> Self {
        Self { ports }
    }

    /// Makes a key, and gives its secret, for the only time.
    ///
    /// # Errors
    /// [`AppError::AlreadyDone`] where the idempotency key was used for the same before: the secret
    /// is known to nobody any more.
    pub async fn make(
        &self,
        actor: &Actor,
        wish: NewApiKey,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<MadeKey, AppError> {
        actor.may(Permission::ManageAccount)?;
        let now = self.ports.clock.now();
        let making = Making::new(actor.user, KEY_ROUTE, idempotency.as_ref(), now);
        if making.made_before(&*self.ports.idempotency).await?.is_some() {
            return Err(AppError::AlreadyDone);
        }
        let id = ApiKeyId::from_uuid(self.ports.ids.id());
        let secret = SecretString::from(ApiKey::secret(&self.ports.ids.base64url()));
        let key = ApiKey::make(id, actor.user, secret.expose_secret(), wish, now);
        let key = key.map_err(AppError::Invalid)?;
        let entry = actor.did(Action::KeyMade, now).on("api_key", id);
        let entry = entry.with("scopes", key.scopes.to_string());
        let hash = self.ports.signer.hash_secret(secret.expose_secret());
        let new_key = making.new_key();
        match self.ports.keys.insert(key.clone(), hash, MOST, new_key, entry).await? {
            KeyInserted::Done => Ok(MadeKey { key, secret }),
            KeyInserted::TooMany => Err(AppError::TooManyKeys),
            KeyInserted::DoneBefore(used) => {
                making.made_by(used)?;
                Err(AppError::AlreadyDone)
            }
        }
    }

    /// One's own keys, newest first; those too that are good for nothing any more.
    pub async fn list(
        &self,
        actor: &Actor,
        page: PageRequest<ApiKeyId>,
    ) -> Result<Page<ApiKey, ApiKeyId>, AppError> {
        actor.may(Permission::ManageAccount)?;
        Ok(self.ports.keys.list(actor.user, page).await?)
    }

    /// Ends a key: it opens nothing from now on, and what it opened closes.
    pub async fn revoke(&self, actor: &Actor, id: ApiKeyId) -> Result<(), AppError> {
        actor.may(Permission::ManageAccount)?;
        let now = self.ports.clock.now();
        let entry = actor.did(Action::KeyRevoked, now).on("api_key", id);
        if self.ports.keys.revoke(actor.user, id, now, entry).await? {
            Ok(())
        } else {
            Err(AppError::NotFound { resource: "api_key" })
        }
    }
}

#[cfg(test)]
mod tests {
    use repartee_domain::{LoginSessionId, accounts::Role};
    use uuid::Uuid;

    use super::*;
    use crate::{
        Credential, Origin,
        accounts::fixture::{NOW, USER, good_key},
        ports::{
            Done, MockApiKeyRepository, MockClock, MockIdGenerator, MockIdempotencyKeys,
            MockTokenSigner, SecretHash, UsedKey,
        },
    };

    fn service(keys: MockApiKeyRepository) -> ApiKeyService {
        service_after(None, keys)
    }

    /// Where an idempotency key was used already.
    fn service_after(used: Option<UsedKey>, keys: MockApiKeyRepository) -> ApiKeyService {
        let mut idempotency = MockIdempotencyKeys::new();
        idempotency
            .expect_find()
            .withf(|owner, route, key, _| *owner == USER && *route == *"api_keys" && key == "k")
            .returning(move |_, _, _, _| Ok(used));
        let mut signer = MockTokenSigner::new();
        signer.expect_hash_secret().returning(|secret| {
            assert!(ApiKey::could_be_secret(secret), "{secret}");
            SecretHash([5; 32])
        });
        let mut clock = MockClock::new();
        clock.expect_now().return_const(NOW);
        let mut ids = MockIdGenerator::new();
        ids.expect_id().return_const(Uuid::from_u128(7));
        ids.expect_random().return_const([0xff; 32]);
        ApiKeyService::new(ApiKeyPorts {
            keys: Arc::new(keys),
            idempotency: Arc::new(idempotency),
            signer: Arc::new(signer),
            clock: Arc::new(clock),
            ids: Arc::new(ids),
        })
    }

    fn actor() -> Actor {
        let credential = Credential::Session(LoginSessionId::from_uuid(Uuid::from_u128(3)));
        Actor { user: USER, role: Role::User, credential, origin: Origin::default() }
    }

    fn wish() -> NewApiKey {
        NewApiKey { name: "a script".into(), ..NewApiKey::default() }
    }

    #[tokio::test]
    async fn the_secret_is_given_once_and_its_hash_is_stored() {
        let mut keys = MockApiKeyRepository::new();
        keys.expect_insert()
            .withf(|key, hash, most, idempotency, entry| {
                key.prefix == "rpt_________"
                    && *hash == SecretHash([5; 32])
                    && *most == 100
                    && idempotency.is_none()
                    && entry.action == Action::KeyMade
            })
            .once()
            .returning(|_, _, _, _, _| Ok(KeyInserted::Done));

        let made = service(keys).make(&actor(), wish(), None).await.unwrap();

        let secret = made.secret.expose_secret();
        assert_eq!(secret, &format!("rpt_{}8", "_".repeat(42)));
        assert!(!format!("{made:?}").contains(secret));
    }

    #[tokio::test]
    async fn one_key_too_many_is_not_made() {
        let mut keys = MockApiKeyRepository::new();
        keys.expect_insert().returning(|_, _, _, _, _| Ok(KeyInserted::TooMany));

        let error = service(keys).make(&actor(), wish(), None).await.unwrap_err();

        assert_eq!(error.classify().1, "too_many_keys");
    }

    #[tokio::test]
    async fn a_key_is_made_once_and_its_secret_is_not_shown_again() {
        for (fingerprint, code) in [(1, "already_done"), (2, "idempotency_key_reused")] {
            let done = Done::Resource(Uuid::from_u128(6));
            let used = UsedKey { fingerprint: [fingerprint; 32], done };
            let mut faster = MockApiKeyRepository::new();
            faster
                .expect_insert()
                .withf(|_, _, _, key, _| {
                    key.as_ref().is_some_and(|key| (key.route, &*key.key) == ("api_keys", "k"))
                })
                .once()
                .returning(move |_, _, _, _, _| Ok(KeyInserted::DoneBefore(used)));
            // Found before, and found when another request was faster.
            for service in [service_after(Some(used), MockApiKeyRepository::new()), service(faster)]
            {
                let key = IdempotencyKey::parse("k", [1; 32]).unwrap();
                let error = service.make(&actor(), wish(), Some(key)).await.unwrap_err();
                assert_eq!(error.classify().1, code);
            }
        }
    }

    #[tokio::test]
    async fn somebody_elses_key_is_not_there() {
        let mut keys = MockApiKeyRepository::new();
        keys.expect_revoke().returning(|_, _, _, _| Ok(false));

        let id = ApiKeyId::from_uuid(Uuid::from_u128(9));
        let error = service(keys).revoke(&actor(), id).await.unwrap_err();

        assert_eq!(error.classify().1, "api_key_not_found");
    }

    #[tokio::test]
    async fn a_key_manages_no_keys() {
        let service = service(MockApiKeyRepository::new());
        let actor = Actor { credential: Credential::Key(good_key("chat").key), ..actor() };
        let page = PageRequest { limit: 20, after: None };

        let errors = [
            service.make(&actor, wish(), None).await.unwrap_err(),
            service.list(&actor, page).await.unwrap_err(),
            service.revoke(&actor, ApiKeyId::from_uuid(Uuid::from_u128(9))).await.unwrap_err(),
        ];

        assert!(errors.iter().all(|error| error.classify().1 == "not_for_keys"));
    }
}
