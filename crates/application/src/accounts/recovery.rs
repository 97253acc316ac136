//! Getting back in, and proving that an address is one's own: by links in mails.

use std::{error::Error, sync::Arc};

use repartee_domain::{
    accounts::{Email, User, Username},
    audit::{Action, AuditActor},
};
use secrecy::{ExposeSecret, SecretString};

use super::AccountService;
use crate::{
    Actor, AppError, Origin, Permission,
    ports::{LinkPurpose, LinkRepository, LoginName, PasswordReset, PortError, SecretHash},
};

pub struct RecoveryService {
    accounts: Arc<AccountService>,
    links: Arc<dyn LinkRepository>,
}

impl RecoveryService {
    pub fn new(accounts: Arc<AccountService>, links: Arc<dyn LinkRepository>) -> Self {
        Self { accounts, links }
    }

    /// Mails a link to whoever has this address. Everything is done in the background: the caller
    /// learns nothing, not even from the time that it takes.
    pub fn forgot_password(&self, address: &str, origin: &Origin) {
        let Ok(email) = Email::parse(address) else { return };
        let (users, letters) =
            (self.accounts.ports.users.clone(), self.accounts.ports.letters.clone());
        let (origin, now) = (origin.clone(), self.accounts.ports.clock.now());
        self.accounts.ports.letters.in_background(async move {
            match users.credentials(&LoginName::Email(email)).await {
                Ok(Some(known)) if known.user.is_active => {
                    let (user, actor) = (known.user, AuditActor::Nobody);
                    let entry = origin.entry(actor, Action::PasswordResetAsked, now);
                    letters.send_reset(user.id, user.email, entry.on("user", user.id)).await;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(error = &error as &dyn Error, "an address is not looked up");
                }
            }
        });
    }

    /// Spends a link for a new password, and ends every login session. A password that will not do
    /// leaves the link as it is.
    ///
    /// # Errors
    /// [`AppError::InvalidSecret`]; [`AppError::Invalid`] with `new_password`.
    pub async fn reset_password(
        &self,
        link: SecretString,
        password: SecretString,
        origin: &Origin,
    ) -> Result<(), AppError> {
        let (link, user) = self.owner(&link, LinkPurpose::ResetPassword).await?;
        let name = user.profile.username.as_ref();
        let password =
            self.accounts.good_password("new_password", &password, Some(&user.email), name)?;
        let password = self.accounts.ports.hasher.hash(password).await?;
        let names = [user.email.as_str()].into_iter().chain(name.map(Username::as_str));
        let names = names.map(|name| self.accounts.ports.throttle.hash(name)).collect();
        let at = self.accounts.ports.clock.now();
        let entry = origin.entry(AuditActor::User(user.id), Action::PasswordReset, at);
        let reset = PasswordReset { link, user: user.id, password, names, at };
        spent(self.links.reset_password(reset, entry.on("user", user.id)).await)
    }

    /// Spends a link that was mailed to the address which it verifies.
    ///
    /// # Errors
    /// [`AppError::InvalidSecret`].
    pub async fn verify_email(&self, link: SecretString, origin: &Origin) -> Result<(), AppError> {
        let (link, user) = self.owner(&link, LinkPurpose::VerifyEmail).await?;
        let now = self.accounts.ports.clock.now();
        let entry = origin.entry(AuditActor::User(user.id), Action::EmailVerified, now);
        spent(self.links.verify_email(link, user.id, now, entry.on("user", user.id)).await)
    }

    /// Mails another link, unless the caller's address is verified already.
    pub async fn resend_verification(&self, actor: &Actor) -> Result<(), AppError> {
        actor.may(Permission::ManageAccount)?;
        let user = self.accounts.profile(actor).await?;
        if user.email_verified_at.is_none() {
            self.accounts.ports.letters.verify(&user);
        }
        Ok(())
    }

    /// The user, who has to be active, to whom a link was mailed that is good.
    async fn owner(
        &self,
        link: &SecretString,
        purpose: LinkPurpose,
    ) -> Result<(SecretHash, User), AppError> {
        let hash = self.accounts.ports.signer.hash_secret(link.expose_secret());
        let now = self.accounts.ports.clock.now();
        let owner = self.links.owner(hash, purpose, now).await?.ok_or(AppError::InvalidSecret)?;
        let user = self.accounts.ports.users.find(owner).await?;
        let user = user.filter(|user| user.is_active).ok_or(AppError::InvalidSecret)?;
        Ok((hash, user))
    }
}

fn spent(result: Result<(), PortError>) -> Result<(), AppError> {
    match result {
        Err(PortError::Stale) => Err(AppError::InvalidSecret),
        result => Ok(result?),
    }
}

#[cfg(test)]
mod tests {
    use repartee_domain::accounts::Profile;

    use super::*;
    use crate::{
        accounts::fixture::{Fixture, NOW, USER, ada},
        ports::{Credentials, NameHash, PasswordHash},
    };

    fn named() -> User {
        let username = Some(Username::parse("Countess").unwrap());
        User { profile: Profile { username, ..Profile::default() }, ..ada() }
    }

    fn holding(user: User) -> Fixture {
        let mut fixture = Fixture::new();
        fixture.links.expect_owner().returning(|hash, purpose, at| {
            let is_good = hash.0.starts_with(b"good\0") && at == NOW;
            Ok((is_good && purpose == LinkPurpose::ResetPassword).then_some(USER))
        });
        fixture.users.expect_find().returning(move |_| Ok(Some(user.clone())));
        fixture
    }

    async fn reset(fixture: Fixture, link: &str, password: &str) -> Result<(), AppError> {
        let service = fixture.recovery();
        service.reset_password(link.into(), password.into(), &Origin::default()).await
    }

    #[tokio::test]
    async fn a_good_link_is_spent_for_a_new_password() {
        let mut fixture = holding(named());
        fixture
            .links
            .expect_reset_password()
            .withf(|reset, entry| {
                let starts = |name: &NameHash, text: &[u8]| name.0.starts_with(text);
                reset.user == USER
                    && reset.password.0.expose_secret() == "hash of difference-2"
                    && starts(&reset.names[0], b"ada@example.com\0")
                    && starts(&reset.names[1], b"countess\0")
                    && entry.action == Action::PasswordReset
            })
            .once()
            .returning(|_, _| Ok(()));

        reset(fixture, "good", "difference-2").await.unwrap();
    }

    // No link is spent in the next three.

    #[tokio::test]
    async fn a_password_that_will_not_do_spends_nothing() {
        for weak in ["short-1", "password1", "countess"] {
            let Err(AppError::Invalid(errors)) = reset(holding(named()), "good", weak).await else {
                panic!("{weak}");
            };
            assert_eq!(errors[0].field, "new_password");
        }
    }

    #[tokio::test]
    async fn an_unknown_link_is_refused_before_the_password_is_looked_at() {
        let refused = reset(holding(named()), "bad", "x").await.unwrap_err();
        assert_eq!(refused.classify().1, "invalid_secret");
    }

    #[tokio::test]
    async fn who_was_deactivated_gets_in_by_no_link() {
        let inactive = User { is_active: false, ..ada() };
        let refused = reset(holding(inactive), "good", "difference-2").await.unwrap_err();
        assert_eq!(refused.classify().1, "invalid_secret");
    }

    #[tokio::test]
    async fn the_second_of_two_who_spend_a_link_is_refused() {
        let mut fixture = holding(ada());
        fixture.links.expect_reset_password().returning(|_, _| Err(PortError::Stale));
        let refused = reset(fixture, "good", "difference-2").await.unwrap_err();
        assert_eq!(refused.classify().1, "invalid_secret");
    }

    /// How many mails are sent when somebody forgot the password of this address.
    async fn mails_to(address: &str, known: Option<User>) -> usize {
        let mut fixture = Fixture::new();
        fixture.users.expect_credentials().returning(move |_| {
            let password = PasswordHash::none();
            Ok(known.clone().map(|user| Credentials { user, password }))
        });
        fixture.links.expect_store().returning(|_, _| Ok(()));
        let (sent, mails) = std::sync::mpsc::channel();
        fixture.mailer.expect_send().returning(move |_| {
            sent.send(()).unwrap();
            Ok(())
        });
        let tasks = fixture.tasks.clone();
        fixture.recovery().forgot_password(address, &Origin::default());
        tasks.run().await;
        mails.try_iter().count()
    }

    #[tokio::test]
    async fn a_link_is_mailed_to_who_has_the_address_and_to_nobody_else() {
        assert_eq!(mails_to("Ada@example.com", Some(ada())).await, 1);
        assert_eq!(mails_to("nobody@example.com", None).await, 0);
        assert_eq!(mails_to("no address", None).await, 0);
        assert_eq!(mails_to("ada@example.com", Some(User { is_active: false, ..ada() })).await, 0);
    }
}
