//! What identity looks like on the wire.

use chrono::{DateTime, Utc};
use repartee_application::accounts::{LogIn, NewAccount, NewTicket, SignedIn, TokenPair};
use repartee_domain::accounts::{ProfileChanges, User};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    ApiError,
    body::{nullable, object_text},
    time::{rfc3339, rfc3339_option},
};

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"email": "ada@example.com", "password": "analytical1", "username": "ada"}))]
pub(crate) struct RegisterBody {
    email: String,
    /// At least 8 characters with a letter and a digit, at most 256; not a common one.
    #[schema(value_type = String)]
    password: SecretString,
    username: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    /// A BCP 47 language tag.
    language: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"email": "ada@example.com", "password": "analytical1"}))]
pub(crate) struct LogInBody {
    /// This or `username`.
    email: Option<String>,
    username: Option<String>,
    #[schema(value_type = String)]
    password: SecretString,
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct RefreshBody {
    #[schema(value_type = String)]
    pub(crate) refresh_token: SecretString,
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct LogOutBody {
    /// Whether to end every login session, not only this one.
    #[serde(default)]
    pub(crate) all: bool,
}

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"first_name": "Ada", "language": "en", "preferences": {"theme": "dark"}}))]
pub(crate) struct ProfileBody {
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    username: Option<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    first_name: Option<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    last_name: Option<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    language: Option<Option<String>>,
    /// An object of the client's own.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<Object>)]
    preferences: Option<Option<Map<String, Value>>>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct UserBody {
    id: Uuid,
    /// 16 characters; takes the place of the id in paths.
    code: String,
    email: String,
    username: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    language: Option<String>,
    /// `user`, `manager` or `admin`.
    role: &'static str,
    #[schema(value_type = Option<Object>)]
    preferences: Option<Box<RawValue>>,
    is_active: bool,
    is_email_verified: bool,
    #[serde(serialize_with = "rfc3339_option")]
    last_login_at: Option<DateTime<Utc>>,
    #[serde(serialize_with = "rfc3339")]
    created_at: DateTime<Utc>,
    #[serde(serialize_with = "rfc3339")]
    updated_at: DateTime<Utc>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TokenPairBody {
    access_token: String,
    /// Good once.
    refresh_token: String,
    #[schema(example = "bearer")]
    token_type: &'static str,
    /// Seconds that the access token is good for.
    #[schema(example = 1800)]
    expires_in: i64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TicketBody {
    /// Good once, as `?ticket=`.
    #[schema(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    ticket: String,
    /// Seconds that it is good for.
    #[schema(example = 30)]
    expires_in: i64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct SignedInBody {
    user: UserBody,
    #[serde(flatten)]
    tokens: TokenPairBody,
}

impl From<RegisterBody> for NewAccount {
    fn from(body: RegisterBody) -> Self {
        Self {
            email: body.email,
            password: body.password,
            profile: ProfileChanges {
                username: body.username.map(Some),
                first_name: body.first_name.map(Some),
                last_name: body.last_name.map(Some),
                language: body.language.map(Some),
                preferences: None,
            },
        }
    }
}

impl TryFrom<LogInBody> for LogIn {
    type Error = ApiError;

    fn try_from(body: LogInBody) -> Result<Self, ApiError> {
        let name = body
            .email
            .or(body.username)
            .ok_or_else(|| ApiError::invalid("email", "required", "give email or username"))?;
        Ok(Self { name, password: body.password })
    }
}

impl TryFrom<ProfileBody> for ProfileChanges {
    type Error = ApiError;

    fn try_from(body: ProfileBody) -> Result<Self, ApiError> {
        let text = |object| object_text("preferences", object);
        Ok(Self {
            username: body.username,
            first_name: body.first_name,
            last_name: body.last_name,
            language: body.language,
            preferences: body.preferences.map(|new| new.map(text).transpose()).transpose()?,
        })
    }
}

impl From<User> for UserBody {
    fn from(user: User) -> Self {
        let profile = user.profile;
        Self {
            id: user.id.as_uuid(),
            code: user.code.to_string(),
            email: user.email.as_str().to_owned(),
            username: profile.username.map(|name| name.as_str().to_owned()),
            first_name: profile.first_name,
            last_name: profile.last_name,
            language: profile.language,
            role: user.role.as_str(),
            preferences: profile.preferences.and_then(|json| RawValue::from_string(json).ok()),
            is_active: user.is_active,
            is_email_verified: user.email_verified_at.is_some(),
            last_login_at: user.last_login_at,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

impl From<TokenPair> for TokenPairBody {
    fn from(tokens: TokenPair) -> Self {
        Self {
            access_token: tokens.access.expose_secret().to_owned(),
            refresh_token: tokens.refresh.expose_secret().to_owned(),
            token_type: "bearer",
            expires_in: tokens.expires_in.num_seconds(),
        }
    }
}

impl From<NewTicket> for TicketBody {
    fn from(ticket: NewTicket) -> Self {
        Self {
            ticket: ticket.secret.expose_secret().to_owned(),
            expires_in: ticket.expires_in.num_seconds(),
        }
    }
}

impl From<SignedIn> for SignedInBody {
    fn from(signed_in: SignedIn) -> Self {
        Self { user: signed_in.user.into(), tokens: signed_in.tokens.into() }
    }
}
