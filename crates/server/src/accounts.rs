//! Accounts, put together: for the server, and for commands that make users.

use std::{num::NonZero, sync::Arc, thread::available_parallelism, time::Duration};

use chrono::TimeDelta;
use repartee_application::{
    accounts::{
        AccountPorts, AccountRules, AccountService, LetterPorts, Letters, LogInThrottle,
        RecoveryService, ThrottlePorts,
    },
    ports::{IdGenerator, LoginSessionRepository, Mailer, PasswordHasher, TokenSigner},
};
use repartee_domain::accounts::SessionLifetime;
use repartee_infrastructure::{
    mail::{OutboxMailer, Sender, SmtpMailer},
    persistence::{SeaLinkRepository, SeaLoginFailureRepository, SeaUserRepository},
    security::{Argon2Hasher, CommonPasswordList},
};

use crate::{
    StartError,
    ground::Ground,
    settings::{Registration, Settings},
};

/// In `data_dir`.
const OUTBOX: &str = "outbox";

/// What it shares with other services.
pub(crate) struct Adapters {
    pub(crate) sessions: Arc<dyn LoginSessionRepository>,
    pub(crate) hasher: Arc<dyn PasswordHasher>,
    pub(crate) signer: Arc<dyn TokenSigner>,
}

pub(crate) struct Accounts {
    pub(crate) accounts: Arc<AccountService>,
    pub(crate) recovery: RecoveryService,
}

pub(crate) fn accounts(
    settings: &Settings,
    ground: &Ground,
    adapters: Adapters,
) -> Result<Accounts, StartError> {
    let Ground { database, clock, ids, .. } = ground;
    let Adapters { sessions, hasher, signer } = adapters;
    let links = Arc::new(SeaLinkRepository::new(database.clone()));
    let letters = LetterPorts {
        links: links.clone(),
        mailer: mailer(settings, ids)?,
        signer: signer.clone(),
        spawner: ground.spawner(),
        clock: clock.clone(),
        ids: ids.clone(),
    };
    let throttle = ThrottlePorts {
        failures: Arc::new(SeaLoginFailureRepository::new(database.clone())),
        signer: signer.clone(),
        clock: clock.clone(),
    };
    let ports = AccountPorts {
        users: Arc::new(SeaUserRepository::new(database.clone())),
        sessions,
        hasher,
        common_passwords: Arc::new(CommonPasswordList),
        throttle: Arc::new(LogInThrottle::new(throttle)),
        letters: Letters::new(letters, &settings.http.links_begin_with()),
        signer: signer.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
    };
    let accounts = Arc::new(AccountService::new(ports, rules(settings)));
    Ok(Accounts { recovery: RecoveryService::new(accounts.clone(), links), accounts })
}

pub(crate) fn rules(settings: &Settings) -> AccountRules {
    let auth = &settings.auth;
    AccountRules {
        is_registration_open: auth.registration == Registration::Open,
        hides_registration: auth.hide_registration,
        password: auth.password_policy,
        access: span(auth.access_lifetime),
        session: SessionLifetime {
            idle: span(auth.refresh_lifetime),
            absolute: span(auth.refresh_absolute_lifetime),
        },
    }
}

pub(crate) fn hasher(settings: &Settings) -> Argon2Hasher {
    let configured = settings.auth.hashing_concurrency.and_then(NonZero::new);
    let at_once = configured.map_or_else(available_parallelism, Ok);
    Argon2Hasher::new(at_once.unwrap_or(NonZero::<usize>::MIN))
}

fn mailer(settings: &Settings, ids: &Arc<dyn IdGenerator>) -> Result<Arc<dyn Mailer>, StartError> {
    let wrong =
        |key: &str, error: &dyn std::error::Error| StartError::Settings(format!("{key} {error}"));
    let from = &settings.mail.from;
    let sender = Sender::parse(from).map_err(|error| wrong("mail.from", &error))?;
    Ok(match &settings.mail.smtp_url {
        Some(url) => {
            Arc::new(SmtpMailer::new(url, sender).map_err(|error| wrong("mail.smtp_url", &error))?)
        }
        None => Arc::new(OutboxMailer::new(settings.data_dir.join(OUTBOX), sender, ids.clone())),
    })
}

/// Configured spans are at most some years.
pub(crate) fn span(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
