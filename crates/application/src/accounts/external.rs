//! People who are signed in at another issuer.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use repartee_domain::{
    UserId, Version,
    accounts::{Email, Profile, Role, User},
    audit::{Action, AuditActor},
};

use super::Access;
use crate::{
    Actor, AppError, Credential, Origin,
    ports::{
        ExternalClaims, ExternalIdentityRepository, ExternalTokens, IdGenerator, MappedUser,
        PasswordHasher, PortError,
    },
};

/// Takes the tokens of another issuer, and knows whom they stand for here.
pub struct ExternalUsers {
    pub tokens: Arc<dyn ExternalTokens>,
    pub identities: Arc<dyn ExternalIdentityRepository>,
    pub hasher: Arc<dyn PasswordHasher>,
    pub ids: Arc<dyn IdGenerator>,
}

impl ExternalUsers {
    pub(super) async fn authenticate(
        &self,
        token: &str,
        origin: Origin,
        now: DateTime<Utc>,
    ) -> Result<Access, AppError> {
        let claims = self.tokens.verify(token, now).await?.ok_or(AppError::Unauthenticated)?;
        let expires_at = claims.expires_at;
        let mapped = match self.identities.find(&claims.identity).await? {
            Some(mapped) => mapped,
            None => self.map(claims, &origin, now).await?,
        };
        if !mapped.is_active {
            return Err(AppError::Unauthenticated);
        }
        Ok(Access { actor: actor(mapped.user, mapped.role, expires_at, origin), expires_at })
    }

    /// A user who came with such a token before, which runs out at `expires_at`.
    pub(super) async fn signed_in(
        &self,
        user: UserId,
        expires_at: DateTime<Utc>,
        origin: Origin,
    ) -> Result<Actor, AppError> {
        let principal = self.identities.principal(user).await?;
        let principal = principal.ok_or(AppError::Unauthenticated)?;
        Ok(actor(user, principal.role, expires_at, origin))
    }

    /// Makes a user of somebody who is seen for the first time: never one that is there already,
    /// whatever address the token tells, or the issuer could take over any account.
    async fn map(
        &self,
        claims: ExternalClaims,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> Result<MappedUser, AppError> {
        let id = UserId::from_uuid(self.ids.id());
        let entry = origin.entry(AuditActor::User(id), Action::IdentityMapped, now);
        let entry = entry.on("user", id).with("issuer", claims.identity.issuer.clone());
        // Nobody knows it, so nobody logs in with it.
        let password = self.hasher.hash(self.ids.secret()).await?;
        let email = claims.verified_email.as_deref().and_then(|email| Email::parse(email).ok());
        let placeholder = Email::from_stored(format!("{id}@external.invalid"));
        let with_email = email.map(|email| (email, Some(now)));
        let tries = with_email.into_iter().chain([(placeholder, None)]);
        for (email, email_verified_at) in tries {
            let user = User { email, email_verified_at, ..self.user(id, now) };
            let identity = claims.identity.clone();
            match self.identities.map(identity, user, password.clone(), entry.clone()).await {
                Ok(()) => return Ok(MappedUser { user: id, role: Role::User, is_active: true }),
                // Perhaps by whoever mapped the same identity a moment ago.
                Err(PortError::Taken { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            if let Some(mapped) = self.identities.find(&claims.identity).await? {
                return Ok(mapped);
            }
        }
        Err(PortError::Stale.into())
    }

    fn user(&self, id: UserId, now: DateTime<Utc>) -> User {
        User {
            id,
            code: self.ids.code(),
            email: Email::from_stored(String::new()),
            role: Role::User,
            is_active: true,
            profile: Profile::default(),
            email_verified_at: None,
            last_login_at: None,
            created_at: now,
            updated_at: now,
            version: Version::FIRST,
        }
    }
}

fn actor(user: UserId, role: Role, expires_at: DateTime<Utc>, origin: Origin) -> Actor {
    Actor { user, role, credential: Credential::External { expires_at }, origin }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use chrono::TimeDelta;
    use mockall::Sequence;
    use uuid::Uuid;

    use super::*;
    use crate::{
        accounts::fixture::{NOW, USER},
        ports::{
            ExternalIdentity, MockExternalIdentityRepository, MockExternalTokens, MockIdGenerator,
            MockPasswordHasher, PasswordHash,
        },
    };

    fn claims(email: Option<&str>) -> ExternalClaims {
        ExternalClaims {
            identity: ExternalIdentity { issuer: "https://login".into(), subject: "ada".into() },
            verified_email: email.map(Into::into),
            expires_at: NOW + TimeDelta::minutes(5),
        }
    }

    fn users(claims: Option<ExternalClaims>, ids: MockExternalIdentityRepository) -> ExternalUsers {
        let mut tokens = MockExternalTokens::new();
        tokens.expect_verify().returning(move |_, _| Ok(claims.clone()));
        let mut hasher = MockPasswordHasher::new();
        hasher.expect_hash().returning(|_| Ok(PasswordHash("hash".into())));
        let mut generator = MockIdGenerator::new();
        generator.expect_id().return_const(Uuid::from_u128(5));
        generator.expect_random().return_const([1; 32]);
        ExternalUsers {
            tokens: Arc::new(tokens),
            identities: Arc::new(ids),
            hasher: Arc::new(hasher),
            ids: Arc::new(generator),
        }
    }

    fn known(is_active: bool) -> MappedUser {
        MappedUser { user: USER, role: Role::Manager, is_active }
    }

    #[tokio::test]
    async fn somebody_who_is_known_has_the_role_that_they_have_here() {
        let mut identities = MockExternalIdentityRepository::new();
        identities.expect_find().returning(|_| Ok(Some(known(true))));

        let access = users(Some(claims(None)), identities);
        let access = access.authenticate("t", Origin::default(), NOW).await.unwrap();

        assert_eq!((access.actor.user, access.actor.role), (USER, Role::Manager));
        let expires_at = NOW + TimeDelta::minutes(5);
        assert_eq!(access.actor.credential, Credential::External { expires_at });
        assert_eq!(access.expires_at, expires_at);
    }

    #[tokio::test]
    async fn a_bad_token_and_a_deactivated_user_are_refused() {
        for (claims, is_active) in [(None, true), (Some(claims(None)), false)] {
            let mut identities = MockExternalIdentityRepository::new();
            identities.expect_find().returning(move |_| Ok(Some(known(is_active))));
            let users = users(claims, identities);
            let error = users.authenticate("t", Origin::default(), NOW).await.unwrap_err();
            assert_eq!(error.classify().1, "unauthenticated");
        }
    }

    /// The addresses that a user was tried to be made with, of which the first `taken` are.
    async fn tried(email: Option<&str>, taken: usize) -> Vec<(String, bool)> {
        let tried = Arc::new(Mutex::new(Vec::new()));
        let mut identities = MockExternalIdentityRepository::new();
        identities.expect_find().returning(|_| Ok(None));
        let log = tried.clone();
        identities.expect_map().returning(move |_, user, _, entry| {
            assert_eq!((user.role, entry.action), (Role::User, Action::IdentityMapped));
            let mut log = log.lock().unwrap();
            log.push((user.email.as_str().to_owned(), user.email_verified_at.is_some()));
            if log.len() <= taken { Err(PortError::Taken { field: "email" }) } else { Ok(()) }
        });
        let users = users(Some(claims(email)), identities);
        let access = users.authenticate("t", Origin::default(), NOW).await.unwrap();
        assert_eq!(access.actor.role, Role::User);
        drop(users);
        Arc::into_inner(tried).unwrap().into_inner().unwrap()
    }

    #[tokio::test]
    async fn an_address_that_is_free_and_verified_is_taken_over() {
        let placeholder = "00000000-0000-0000-0000-000000000005@external.invalid".to_owned();
        let ada = "ada@example.com".to_owned();
        assert_eq!(tried(Some("Ada@Example.com"), 0).await, [(ada.clone(), true)]);
        assert_eq!(tried(None, 0).await, [(placeholder.clone(), false)]);
        assert_eq!(tried(Some("nonsense"), 0).await, [(placeholder.clone(), false)]);
        let second = [(ada, true), (placeholder, false)];
        assert_eq!(tried(Some("ada@example.com"), 1).await, second);
    }

    #[tokio::test]
    async fn who_comes_second_is_whoever_came_first() {
        let mut identities = MockExternalIdentityRepository::new();
        let mut order = Sequence::new();
        let taken = Err(PortError::Taken { field: "identity" });
        identities.expect_find().once().in_sequence(&mut order).returning(|_| Ok(None));
        identities.expect_map().once().in_sequence(&mut order).return_once(|_, _, _, _| taken);
        identities
            .expect_find()
            .once()
            .in_sequence(&mut order)
            .returning(|_| Ok(Some(known(true))));

        let users = users(Some(claims(None)), identities);
        let access = users.authenticate("t", Origin::default(), NOW).await.unwrap();

        assert_eq!(access.actor.user, USER);
    }
}
