//! Tokens, passwords and the first administrator.

use std::path::PathBuf;
use std::time::Duration;

use repartee_domain::accounts::{Email, PasswordPolicy};
use secrecy::{ExposeSecret, SecretString};

use super::reader::Reader;
use super::{Environment, ExternalIssuer, SettingsError};

/// RFC 7518, 3.2: a key of HS256 is as long as its hash.
pub(super) const SECRET_BYTES: usize = 32;
const KEY_FILE: &str = "auth.key_file";
const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

#[derive(Debug, Clone)]
pub struct AuthSettings {
    /// Signs access tokens where there is no key file. Without one either, and outside production
    /// only, see [`super::Settings::signing_secret`].
    pub secret: Option<SecretString>,
    /// A private key, in PEM.
    pub key_file: Option<PathBuf>,
    /// Private keys that signed before.
    pub previous_key_files: Vec<PathBuf>,
    pub issuer: String,
    pub audience: String,
    pub access_lifetime: Duration,
    /// Of a refresh token that isn't used.
    pub refresh_lifetime: Duration,
    /// Of a login session, however often it is refreshed.
    pub refresh_absolute_lifetime: Duration,
    pub registration: Registration,
    /// Whether the registration of a taken address is answered like that of a free one.
    pub hide_registration: bool,
    pub password_policy: PasswordPolicy,
    /// Passwords hashed at once; `None` for one per core.
    pub hashing_concurrency: Option<usize>,
    pub external: ExternalIssuer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// Anyone may register.
    Open,
    Closed,
}

/// The first administrator, made where there is nobody yet.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    pub email: Email,
    pub password: SecretString,
}

impl AuthSettings {
    pub(super) fn read(
        reader: Reader<'_>,
        environment: Environment,
    ) -> Result<Self, SettingsError> {
        const ABSOLUTE: &str = "auth.refresh_absolute_days";
        let refresh_lifetime = reader.duration("auth.refresh_days", DAY, 1..=3650)?;
        let refresh_absolute_lifetime = reader.duration(ABSOLUTE, DAY, 1..=3650)?;
        if refresh_absolute_lifetime < refresh_lifetime {
            return Err(reader.impossible(ABSOLUTE, "must not be less than auth.refresh_days"));
        }
        let defaults = PasswordPolicy::default();
        let longest = i64::try_from(defaults.max_length).unwrap_or(i64::MAX);
        let issuer = reader.required("auth.issuer")?;
        let previous = reader.list("auth.previous_key_files");
        Ok(Self {
            secret: secret(reader, environment)?,
            key_file: reader.given(KEY_FILE).map(PathBuf::from),
            previous_key_files: previous.map(PathBuf::from).collect(),
            external: ExternalIssuer::read(reader, &issuer)?,
            issuer,
            audience: reader.required("auth.audience")?,
            access_lifetime: reader.duration("auth.access_minutes", MINUTE, 1..=1440)?,
            refresh_lifetime,
            refresh_absolute_lifetime,
            registration: reader.choice(
                "auth.registration",
                &[("open", Registration::Open), ("closed", Registration::Closed)],
            )?,
            hide_registration: reader.flag("auth.hide_registration"),
            password_policy: PasswordPolicy {
                min_length: reader.number("auth.password_min_length", 8..=longest)?,
                require_letter_and_digit: reader.flag("auth.password_require_letter_and_digit"),
                ..defaults
            },
            hashing_concurrency: reader.number_or_auto("auth.hashing_concurrency", 1024)?,
        })
    }
}

impl Bootstrap {
    pub(super) fn read(reader: Reader<'_>) -> Result<Option<Self>, SettingsError> {
        const EMAIL: &str = "bootstrap.admin_email";
        const PASSWORD: &str = "bootstrap.admin_password";
        match (reader.given(EMAIL), reader.secret(PASSWORD)) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(reader.impossible(PASSWORD, "must be given with admin_email")),
            (None, Some(_)) => Err(reader.impossible(EMAIL, "must be given with admin_password")),
            (Some(email), Some(password)) => {
                let email = Email::parse(email)
                    .map_err(|_| reader.impossible(EMAIL, "must be an e-mail address"))?;
                Ok(Some(Self { email, password }))
            }
        }
    }
}

fn secret(
    reader: Reader<'_>,
    environment: Environment,
) -> Result<Option<SecretString>, SettingsError> {
    const KEY: &str = "auth.secret";
    let secret = reader.secret(KEY);
    if environment != Environment::Production {
        return Ok(secret);
    }
    match secret.as_ref().map(|secret| weakness(secret.expose_secret())) {
        Some(None) => Ok(secret),
        Some(Some(weakness)) => Err(reader.impossible(KEY, weakness)),
        None if reader.given(KEY_FILE).is_some() => Ok(None),
        None => Err(reader.impossible(
            KEY,
            "must be given in production, for example as JWT_SECRET (openssl rand -hex 32)",
        )),
    }
}

/// Why somebody else could come to know the secret.
pub(super) fn weakness(secret: &str) -> Option<&'static str> {
    /// What examples and templates have in the place of a secret.
    const EXAMPLES: [&str; 7] =
        ["change", "your-", "your_", "secret-key", "secret_key", "supersecret", "replace"];
    let folded = secret.to_lowercase();
    let mut bytes = secret.as_bytes().to_vec();
    bytes.sort_unstable();
    bytes.dedup();
    if secret.len() < SECRET_BYTES {
        Some("must have at least 32 bytes")
    } else if bytes.len() < 8 || EXAMPLES.iter().any(|example| folded.contains(example)) {
        Some("must not be an example: make one with openssl rand -hex 32")
    } else {
        None
    }
}
