//! Keys for programs.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Datelike, SubsecRound, TimeDelta, Utc};

use crate::{ApiKeyId, FieldError, Text, UserId};

const MAX_NAME: usize = 100;
const MAX_MODELS: usize = 100;
const MAX_MODEL: usize = 200;
/// The last that RFC 3339 can write.
const LAST_YEAR: i32 = 9_999;
const MAX_BUDGET: u64 = 1_000_000_000_000_000;
/// What every secret begins with, so that scanners of leaked secrets know one.
const SECRET_START: &str = "rpt_";
/// 256 bits in base64url without padding (RFC 4648, 5).
const SECRET_CHARACTERS: usize = 43;
/// How many characters of its secret a key is known by.
const PREFIX: usize = 12;
/// How exactly the last use is kept.
const USE: TimeDelta = TimeDelta::minutes(1);

/// What a key opens. A key never manages the account that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Scope {
    /// Converse: conversations, messages, replies.
    Chat,
    /// Read what is there, and change nothing.
    Read,
    Files,
    Audio,
    /// FAQs.
    Knowledge,
    Analytics,
}

/// A set of scopes, of which there is no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Scopes(u8);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a scope is one of chat, read, files, audio, knowledge and analytics")]
pub struct UnknownScope;

/// A key as it is kept: its secret is stored as a hash, and shown once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub owner: UserId,
    pub name: String,
    /// The first characters of the secret, by which its owner knows it.
    pub prefix: String,
    pub scopes: Scopes,
    /// The models that it may ask; `None` for all.
    pub models: Option<Vec<String>>,
    pub requests_per_minute: Option<u32>,
    /// Tokens in a calendar month (UTC).
    pub monthly_token_budget: Option<u64>,
    pub last_used_at: Option<DateTime<Utc>>,
    pub expires_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// What somebody wants a new key to be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewApiKey {
    pub name: String,
    /// `None` for chat alone.
    pub scopes: Option<Vec<String>>,
    pub models: Option<Vec<String>>,
    pub expires_at: Option<DateTime<Utc>>,
    pub requests_per_minute: Option<u32>,
    pub monthly_token_budget: Option<u64>,
}

impl Scope {
    pub const ALL: [Self; 6] =
        [Self::Chat, Self::Read, Self::Files, Self::Audio, Self::Knowledge, Self::Analytics];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Read => "read",
            Self::Files => "files",
            Self::Audio => "audio",
            Self::Knowledge => "knowledge",
            Self::Analytics => "analytics",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or(UnknownScope)
    }
}

impl Scopes {
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that are in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | scope.bit()))
    }
}

/// As OAuth writes them (RFC 6749, 3.3): separated by spaces.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, scope) in self.iter().enumerate() {
            if position > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

impl FromStr for Scopes {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        text.split_ascii_whitespace().map(str::parse).collect()
    }
}

impl ApiKey {
    /// A key as it was asked for, or everything that is wrong with it. `secret` is what its owner
    /// is going to be shown.
    pub fn make(
        id: ApiKeyId,
        owner: UserId,
        secret: &str,
        wish: NewApiKey,
        now: DateTime<Utc>,
    ) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let name = Text::parse(wish.name, MAX_NAME).map(Text::into_string);
        let name = or_told(name.map_err(|error| error.in_field("name")), &mut errors);
        let scopes = or_told(scopes(wish.scopes), &mut errors);
        let models = or_told(models(wish.models), &mut errors);
        let expires_at = wish.expires_at.map(|end| end.trunc_subsecs(6));
        if expires_at.is_some_and(|end| end <= now || end.year() > LAST_YEAR) {
            let detail = "must be in the future, and before the year 10000";
            errors.push(FieldError::new("expires_at", "out_of_range", detail));
        }
        if wish.requests_per_minute == Some(0) {
            let detail = "must be at least 1";
            errors.push(FieldError::new("requests_per_minute", "out_of_range", detail));
        }
        if wish.monthly_token_budget.is_some_and(|budget| !(1..=MAX_BUDGET).contains(&budget)) {
            let detail = format!("must be from 1 to {MAX_BUDGET}");
            errors.push(FieldError::new("monthly_token_budget", "out_of_range", detail));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            id,
            owner,
            name,
            prefix: secret.chars().take(PREFIX).collect(),
            scopes,
            models,
            requests_per_minute: wish.requests_per_minute,
            monthly_token_budget: wish.monthly_token_budget,
            last_used_at: None,
            expires_at,
            revoked_at: None,
            created_at: now,
        })
    }

    /// The secret that 256 random bits make, written in base64url.
    pub fn secret(random: &str) -> String {
        format!("{SECRET_START}{random}")
    }

    /// Whether a text has the shape of a key's secret; anything else is no key's.
    pub fn could_be_secret(text: &str) -> bool {
        text.strip_prefix(SECRET_START).is_some_and(|random| {
            let is_digit = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            random.len() == SECRET_CHARACTERS && random.bytes().all(is_digit)
        })
    }

    /// Whether a use now has to be noted: one a minute is.
    pub fn is_use_due(&self, now: DateTime<Utc>) -> bool {
        self.last_used_at.is_none_or(|last| now - last >= USE)
    }

    /// Whether it opens anything at `now`.
    pub fn is_good(&self, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }

    pub fn allows_model(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.iter().any(|allowed| allowed == model))
    }
}

fn or_told<T: Default>(checked: Result<T, FieldError>, errors: &mut Vec<FieldError>) -> T {
    checked.unwrap_or_else(|error| {
        errors.push(error);
        T::default()
    })
}

fn scopes(names: Option<Vec<String>>) -> Result<Scopes, FieldError> {
    let Some(names) = names else { return Ok([Scope::Chat].into_iter().collect()) };
    let scopes = names.iter().map(|name| name.parse()).collect::<Result<Scopes, UnknownScope>>();
    let scopes = scopes.map_err(|error| FieldError::new("scopes", "invalid", error.to_string()))?;
    if scopes.is_empty() {
        return Err(FieldError::new("scopes", "required", "must name one at least"));
    }
    Ok(scopes)
}

fn models(names: Option<Vec<String>>) -> Result<Option<Vec<String>>, FieldError> {
    let Some(names) = names else { return Ok(None) };
    if names.is_empty() {
        let detail = "must name one at least: leave it out for every model";
        return Err(FieldError::new("models", "required", detail));
    }
    if names.len() > MAX_MODELS {
        let detail = format!("must be at most {MAX_MODELS}");
        return Err(FieldError::new("models", "too_long", detail));
    }
    let parse = |name| Text::parse(name, MAX_MODEL).map(Text::into_string);
    let names = names.into_iter().map(parse).collect::<Result<_, _>>();
    names.map(Some).map_err(|error| error.in_field("models"))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const NOW: DateTime<Utc> = DateTime::from_timestamp_nanos(1_800_000_000_123_456_789);

    fn make(wish: NewApiKey) -> Result<ApiKey, Vec<FieldError>> {
        let secret = ApiKey::secret(&"a".repeat(43));
        let (id, owner) = (Uuid::from_u128(1), Uuid::from_u128(2));
        ApiKey::make(ApiKeyId::from_uuid(id), UserId::from_uuid(owner), &secret, wish, NOW)
    }

    fn wish() -> NewApiKey {
        NewApiKey { name: "a script".into(), ..NewApiKey::default() }
    }

    #[test]
    fn a_key_that_says_nothing_else_converses() {
        let key = make(wish()).unwrap();

        assert_eq!(key.scopes.to_string(), "chat");
        assert_eq!((key.prefix.as_str(), key.models.as_ref()), ("rpt_aaaaaaaa", None));
        assert!(key.is_good(NOW + TimeDelta::days(36_500)) && key.allows_model("any"));
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let wrong = NewApiKey {
            name: " ".into(),
            scopes: Some(vec!["chat".into(), "admin".into()]),
            models: Some(Vec::new()),
            expires_at: Some(NOW),
            requests_per_minute: Some(0),
            monthly_token_budget: Some(u64::MAX),
        };

        let errors = make(wrong).unwrap_err();

        let fields: Vec<_> = errors.iter().map(|error| error.field).collect();
        let all = ["name", "scopes", "models", "expires_at"];
        assert_eq!(fields[..4], all);
        assert_eq!(fields[4..], ["requests_per_minute", "monthly_token_budget"]);
        assert!(make(NewApiKey { scopes: Some(Vec::new()), ..wish() }).is_err());
    }

    #[test]
    fn a_key_is_good_until_it_ends() {
        let end = NOW + TimeDelta::days(1);
        let key = make(NewApiKey { expires_at: Some(end), ..wish() }).unwrap();
        let end = key.expires_at.unwrap();
        assert!(key.is_good(end - TimeDelta::microseconds(1)) && !key.is_good(end));
        assert!(!ApiKey { revoked_at: Some(NOW), ..key }.is_good(NOW));
    }

    #[test]
    fn a_use_is_noted_once_a_minute() {
        let key = make(wish()).unwrap();
        assert!(key.is_use_due(NOW));
        let used = ApiKey { last_used_at: Some(NOW), ..key };
        assert!(!used.is_use_due(NOW + TimeDelta::seconds(59)));
        assert!(used.is_use_due(NOW + TimeDelta::seconds(60)));
    }

    #[test]
    fn only_what_has_the_shape_of_a_secret_could_be_one() {
        assert!(ApiKey::could_be_secret(&ApiKey::secret(&"a-_Z9".repeat(9)[..47 - 4])));
        let short = format!("rpt_{}", "a".repeat(42));
        let long = format!("rpt_{}", "a".repeat(44));
        let padded = format!("rpt_{}=", "a".repeat(42));
        let other = format!("sk-_{}", "a".repeat(43));
        for text in ["", "rpt_", &short, &long, &padded, &other] {
            assert!(!ApiKey::could_be_secret(text), "{text}");
        }
    }

    #[test]
    fn scopes_are_written_as_they_are_read() {
        for text in ["", "chat", "chat read", "files audio knowledge analytics"] {
            assert_eq!(text.parse::<Scopes>().unwrap().to_string(), text);
        }
        let scopes: Scopes = "read  chat read".parse().unwrap();
        assert_eq!(scopes.to_string(), "chat read");
        assert!(scopes.contains(Scope::Read) && !scopes.contains(Scope::Files));
        assert_eq!("chat admin".parse::<Scopes>(), Err(UnknownScope));
    }
}
