//! What is written to people: in the background, so that nothing about a mail changes an answer or
//! its time.

use std::{error::Error, sync::Arc, time::Duration};

use chrono::TimeDelta;
use repartee_domain::{
    UserId,
    accounts::{Email, User},
    audit::AuditEntry,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::{sync::Semaphore, time::sleep};

use crate::ports::{
    Clock, IdGenerator, LinkPurpose, LinkRepository, Mail, MailedLink, Mailer, PortError, Spawner,
    TokenSigner,
};

const RESET: TimeDelta = TimeDelta::hours(1);
const VERIFY: TimeDelta = TimeDelta::days(3);
/// Pauses before the second try, and the third.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];
/// Letters that may be under way at once; each takes a few kilobytes.
const MOST: usize = 1000;

#[derive(Clone)]
pub struct Letters {
    ports: Arc<LetterPorts>,
    /// What links begin with: scheme, host and perhaps a path, without a slash at the end.
    public_url: Arc<str>,
    places: Arc<Semaphore>,
}

pub struct LetterPorts {
    pub links: Arc<dyn LinkRepository>,
    pub mailer: Arc<dyn Mailer>,
    pub signer: Arc<dyn TokenSigner>,
    pub spawner: Arc<dyn Spawner>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdGenerator>,
}

impl Letters {
    pub fn new(ports: LetterPorts, public_url: &str) -> Self {
        Self {
            ports: Arc::new(ports),
            public_url: public_url.trim_end_matches('/').into(),
            places: Arc::new(Semaphore::new(MOST)),
        }
    }

    /// Work that nobody waits for. There is a limit to how much of it there may be: what is beyond
    /// is dropped, and asked for again by whoever misses it.
    pub(super) fn in_background<F>(&self, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            tracing::warn!("too many mails are under way: one is not sent");
            return;
        };
        self.ports.spawner.spawn(Box::pin(async move {
            let _place = place;
            work.await;
        }));
    }

    /// Sends a link that verifies the user's address.
    pub(super) fn verify(&self, user: &User) {
        let (this, id, to) = (self.clone(), user.id, user.email.clone());
        self.in_background(async move {
            if let Some(secret) = this.link(id, LinkPurpose::VerifyEmail, None).await {
                this.send(verification(to, &this.public_url, &secret)).await;
            }
        });
    }

    /// Sends a link that resets the user's password.
    pub(super) fn reset(&self, user: &User, entry: AuditEntry) {
        let (this, id, to) = (self.clone(), user.id, user.email.clone());
        self.in_background(async move { this.send_reset(id, to, entry).await });
    }

    pub(super) async fn send_reset(&self, user: UserId, to: Email, entry: AuditEntry) {
        if let Some(secret) = self.link(user, LinkPurpose::ResetPassword, Some(entry)).await {
            self.send(password_reset(to, &self.public_url, &secret)).await;
        }
    }

    /// Says to whoever has the address that somebody wanted to register with it.
    pub(super) fn taken(&self, to: Email) {
        let this = self.clone();
        self.in_background(async move { this.send(address_taken(to, &this.public_url)).await });
    }

    /// A new link, stored; `None` where that failed.
    async fn link(
        &self,
        user: UserId,
        purpose: LinkPurpose,
        entry: Option<AuditEntry>,
    ) -> Option<SecretString> {
        let secret = self.ports.ids.secret();
        let lifetime = match purpose {
            LinkPurpose::ResetPassword => RESET,
            LinkPurpose::VerifyEmail => VERIFY,
        };
        let link = MailedLink {
            hash: self.ports.signer.hash_secret(secret.expose_secret()),
            purpose,
            user,
            expires_at: self.ports.clock.now() + lifetime,
        };
        match self.ports.links.store(link, entry).await {
            Ok(()) => Some(secret),
            // The user is gone: there is nobody to write to.
            Err(PortError::Stale) => None,
            Err(error) => {
                tracing::error!(error = &error as &dyn Error, "a link cannot be stored");
                None
            }
        }
    }

    /// Tries some times.
    async fn send(&self, mail: Mail) {
        let mut pauses = PAUSES.into_iter();
        while let Err(error) = self.ports.mailer.send(&mail).await {
            let Some(pause) = pauses.next() else {
                tracing::error!(
                    error = &error as &dyn Error,
                    subject = mail.subject,
                    "a mail cannot be sent"
                );
                return;
            };
            sleep(pause).await;
        }
    }
}

fn verification(to: Email, url: &str, secret: &SecretString) -> Mail {
    let text = format!(
        "Hello,\n\nfollow this link to confirm that this is your address:\n\n\
         {url}/#verify={}\n\n\
         It is good once, for three days. If you have not registered, you need do nothing.\n",
        secret.expose_secret()
    );
    Mail { to, subject: "Confirm your address", text: text.into() }
}

fn password_reset(to: Email, url: &str, secret: &SecretString) -> Mail {
    let text = format!(
        "Hello,\n\nfollow this link to choose a new password:\n\n\
         {url}/#reset={}\n\n\
         It is good once, for an hour. If you have not asked for it, you need do nothing: your\n\
         password stays as it is.\n",
        secret.expose_secret()
    );
    Mail { to, subject: "Choose a new password", text: text.into() }
}

fn address_taken(to: Email, url: &str) -> Mail {
    let text = format!(
        "Hello,\n\nsomebody, perhaps you, wanted to register with this address, which has an \
         account\nalready. Log in, or choose a new password, at\n\n{url}/\n\n\
         If it was not you, you need do nothing.\n"
    );
    Mail { to, subject: "You have an account already", text: text.into() }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::time::Instant;

    use super::*;
    use crate::{
        accounts::fixture::{KeptTasks, NOW, USER, ada},
        ports::{
            MockClock, MockIdGenerator, MockLinkRepository, MockMailer, MockTokenSigner, SecretHash,
        },
    };

    fn letters(links: MockLinkRepository, mailer: MockMailer) -> (Letters, Arc<KeptTasks>) {
        let spawner = Arc::new(KeptTasks::default());
        let mut signer = MockTokenSigner::new();
        signer.expect_hash_secret().return_const(SecretHash([1; 32]));
        let mut clock = MockClock::new();
        clock.expect_now().return_const(NOW);
        let mut ids = MockIdGenerator::new();
        ids.expect_random().return_const([0xab; 32]);
        let ports = LetterPorts {
            links: Arc::new(links),
            mailer: Arc::new(mailer),
            signer: Arc::new(signer),
            spawner: spawner.clone(),
            clock: Arc::new(clock),
            ids: Arc::new(ids),
        };
        (Letters::new(ports, "https://chat.example.com/"), spawner)
    }

    #[tokio::test]
    async fn a_link_is_stored_hashed_and_mailed_in_a_fragment() {
        let mut links = MockLinkRepository::new();
        links
            .expect_store()
            .withf(|link, entry| {
                *link
                    == MailedLink {
                        hash: SecretHash([1; 32]),
                        purpose: LinkPurpose::VerifyEmail,
                        user: USER,
                        expires_at: NOW + VERIFY,
                    }
                    && entry.is_none()
            })
            .once()
            .returning(|_, _| Ok(()));
        let mut mailer = MockMailer::new();
        mailer
            .expect_send()
            .withf(|mail| {
                let link = format!("https://chat.example.com/#verify={}\n", "ab".repeat(32));
                mail.to == ada().email && mail.text.expose_secret().contains(&link)
            })
            .once()
            .returning(|_| Ok(()));
        let (letters, spawned) = letters(links, mailer);

        letters.verify(&ada());

        spawned.run().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_mail_that_cannot_be_sent_is_tried_three_times() {
        let mut mailer = MockMailer::new();
        let away = |_: &Mail| Err(PortError::Unavailable("away".into()));
        mailer.expect_send().times(3).returning(away);
        let (letters, spawned) = letters(MockLinkRepository::new(), mailer);
        let began = Instant::now();

        letters.taken(ada().email);
        spawned.run().await;

        assert_eq!(began.elapsed(), Duration::from_secs(11));
    }

    #[tokio::test]
    async fn nothing_is_mailed_to_who_is_gone() {
        let mut links = MockLinkRepository::new();
        links.expect_store().once().returning(|_, _| Err(PortError::Stale));
        let (letters, spawned) = letters(links, MockMailer::new());
        letters.verify(&ada());
        spawned.run().await;
    }

    #[test]
    fn what_is_beyond_the_limit_is_dropped() {
        let (letters, spawned) = letters(MockLinkRepository::new(), MockMailer::new());
        for _ in 0..=MOST {
            letters.in_background(std::future::ready(()));
        }
        assert_eq!(spawned.len(), MOST);
        spawned.run().now_or_never().unwrap();
        letters.in_background(std::future::ready(()));
        assert_eq!(spawned.len(), 1);
    }
}
