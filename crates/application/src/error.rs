//! The one error type that leaves a use case.

use std::time::Duration;

use repartee_domain::{
    FieldError, GenerationId,
    accounts::{Role, Scope},
    conversations::ConversationError,
    projects::ProjectRole,
    replies::Failure,
};
use thiserror::Error;

use crate::ports::PortError;

/// `Display` is for the caller, unless the kind is [`ErrorKind::Internal`] or
/// [`ErrorKind::Unavailable`]: of those the caller learns the code alone.
#[derive(Debug, Error)]
pub enum AppError {
    #[error("send a valid access token in the Authorization header, as a bearer token")]
    Unauthenticated,
    #[error("name or password is wrong")]
    WrongCredentials,
    #[error("the current password is wrong")]
    WrongPassword,
    #[error("the refresh token is unknown, spent or expired: log in again")]
    InvalidRefreshToken,
    #[error("registration is closed on this server")]
    RegistrationClosed,
    #[error("there is no such {resource}")]
    NotFound { resource: &'static str },
    #[error("the request has invalid fields")]
    Invalid(Vec<FieldError>),
    #[error("{field} is already in use")]
    Taken { field: &'static str },
    #[error("a reply is being written in this conversation: wait for it, or cancel it")]
    ReplyInProgress(GenerationId),
    #[error(transparent)]
    Conversation(#[from] ConversationError),
    #[error("the resource was changed since you read it: read it again and repeat the change")]
    VersionMismatch,
    #[error("the model {0:?} is not one of this server's models")]
    UnknownModel(String),
    #[error("no model is available now: {0}")]
    ModelUnavailable(String),
    #[error("{0}")]
    Reply(Failure),
    #[error("as many of your replies as may be are being written: wait for one, or cancel it")]
    TooManyGenerations { retry_after: Duration },
    #[error("this idempotency key was used for another request: use a new one")]
    KeyReused,
    #[error("you may not act for somebody else")]
    NotYours,
    #[error("this needs the role {}", .0.as_str())]
    Forbidden(Role),
    #[error("this needs the role {} in the project", .0.as_str())]
    NotInProject(ProjectRole),
    #[error("who owns a project stays its owner: delete it, or let the other be")]
    OwnerStays,
    #[error("this key lacks the scope {}", .0.as_str())]
    InsufficientScope(Scope),
    #[error("a key may not do this: log in, and use an access token")]
    NotForKeys,
    #[error("you have as many keys as may be: revoke one that is not needed any more")]
    TooManyKeys,
    #[error("there are as many {0} as may be: delete what is not needed any more")]
    TooMany(&'static str),
    #[error("this key may not ask the model {0:?}")]
    ModelNotAllowed(String),
    #[error("too many requests: wait, and send it again")]
    RateLimited { retry_after: Duration },
    #[error("too many failed log-ins for this name: wait, or reset the password")]
    TooManyFailures { retry_after: Duration },
    #[error("the token budget of this month does not suffice: ask for less, or wait for the next")]
    BudgetExceeded { retry_after: Duration },
    #[error("this is the last active administrator: make another one first")]
    LastAdmin,
    #[error("the link is unknown, was used, or has expired: ask for another")]
    InvalidSecret,
    #[error("this was done before, and what it answered is shown once")]
    AlreadyDone,
    #[error("the server is shutting down: send the request again")]
    ShuttingDown { retry_after: Duration },
    #[error(transparent)]
    Port(#[from] PortError),
}

/// What went wrong, in words no transport owns. Add variants reluctantly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    Unauthenticated,
    Forbidden,
    NotFound,
    Conflict,
    Invalid,
    PreconditionFailed,
    TooManyRequests,
    /// The model failed.
    BadGateway,
    /// The model ran out of time.
    GatewayTimeout,
    Unavailable,
    Internal,
}

impl AppError {
    pub const CONVERSATION_NOT_FOUND: Self = Self::NotFound { resource: "conversation" };
    pub const MESSAGE_NOT_FOUND: Self = Self::NotFound { resource: "message" };
    pub const GENERATION_NOT_FOUND: Self = Self::NotFound { resource: "generation" };
    pub const USER_NOT_FOUND: Self = Self::NotFound { resource: "user" };
    pub const PERSONA_NOT_FOUND: Self = Self::NotFound { resource: "persona" };
    pub const PROJECT_NOT_FOUND: Self = Self::NotFound { resource: "project" };
    pub const MEMBER_NOT_FOUND: Self = Self::NotFound { resource: "member" };
    pub const PROMPT_NOT_FOUND: Self = Self::NotFound { resource: "prompt" };
    pub const FILE_NOT_FOUND: Self = Self::NotFound { resource: "file" };
    pub const MODEL_NOT_FOUND: Self = Self::NotFound { resource: "model" };
    pub const SHARED_LINK_NOT_FOUND: Self = Self::NotFound { resource: "shared link" };
    pub const SESSION_NOT_FOUND: Self = Self::NotFound { resource: "login session" };

    pub fn invalid(error: FieldError) -> Self {
        Self::Invalid(vec![error])
    }

    /// The kind of failure, and its stable, documented, machine-readable code.
    pub fn classify(&self) -> (ErrorKind, &'static str) {
        match self {
            Self::Unauthenticated => (ErrorKind::Unauthenticated, "unauthenticated"),
            Self::WrongCredentials => (ErrorKind::Unauthenticated, "wrong_credentials"),
            Self::WrongPassword => (ErrorKind::Forbidden, "wrong_password"),
            Self::LastAdmin => (ErrorKind::Conflict, "last_admin"),
            Self::InvalidRefreshToken => (ErrorKind::Unauthenticated, "invalid_refresh_token"),
            Self::RegistrationClosed => (ErrorKind::Forbidden, "registration_closed"),
            Self::NotFound { resource } => (ErrorKind::NotFound, not_found_code(resource)),
            Self::Invalid(_) => (ErrorKind::Invalid, "invalid_fields"),
            Self::Taken { field: "email" } => (ErrorKind::Conflict, "email_taken"),
            Self::Taken { field: "name" } => (ErrorKind::Conflict, "name_taken"),
            Self::Taken { .. } => (ErrorKind::Conflict, "username_taken"),
            Self::ReplyInProgress(_) => (ErrorKind::Conflict, "reply_in_progress"),
            Self::Conversation(ConversationError::Ended) => {
                (ErrorKind::Conflict, "conversation_ended")
            }
            Self::Conversation(ConversationError::Archived) => {
                (ErrorKind::Conflict, "conversation_archived")
            }
            Self::VersionMismatch => (ErrorKind::PreconditionFailed, "version_mismatch"),
            Self::UnknownModel(_) => (ErrorKind::Invalid, "model_unknown"),
            Self::ModelUnavailable(_) => (ErrorKind::Unavailable, "model_unavailable"),
            Self::Reply(failure) => (
                match failure {
                    Failure::ModelFailed | Failure::ModelRejected => ErrorKind::BadGateway,
                    Failure::FirstTokenTimeout | Failure::IdleTimeout | Failure::TotalTimeout => {
                        ErrorKind::GatewayTimeout
                    }
                    Failure::ModelUnavailable => ErrorKind::Unavailable,
                    Failure::Internal => ErrorKind::Internal,
                },
                failure.code(),
            ),
            Self::TooManyGenerations { .. } => (ErrorKind::TooManyRequests, "too_many_generations"),
            Self::KeyReused => (ErrorKind::Invalid, "idempotency_key_reused"),
            Self::NotYours => (ErrorKind::Forbidden, "not_yours"),
            Self::Forbidden(_) | Self::NotInProject(_) => (ErrorKind::Forbidden, "forbidden"),
            Self::OwnerStays => (ErrorKind::Conflict, "owner_stays"),
            Self::InsufficientScope(_) => (ErrorKind::Forbidden, "insufficient_scope"),
            Self::NotForKeys => (ErrorKind::Forbidden, "not_for_keys"),
            Self::TooManyKeys => (ErrorKind::Conflict, "too_many_keys"),
            Self::TooMany(what) => (ErrorKind::Conflict, too_many_code(what)),
            Self::ModelNotAllowed(_) => (ErrorKind::Forbidden, "model_not_allowed"),
            Self::RateLimited { .. } => (ErrorKind::TooManyRequests, "rate_limited"),
            Self::TooManyFailures { .. } => (ErrorKind::TooManyRequests, "too_many_failures"),
            Self::BudgetExceeded { .. } => (ErrorKind::TooManyRequests, "budget_exceeded"),
            Self::InvalidSecret => (ErrorKind::Invalid, "invalid_secret"),
            Self::AlreadyDone => (ErrorKind::Conflict, "already_done"),
            Self::ShuttingDown { .. } => (ErrorKind::Unavailable, "shutting_down"),
            Self::Port(PortError::Stale) => (ErrorKind::Conflict, "stale_write"),
            Self::Port(PortError::Taken { .. }) => (ErrorKind::Conflict, "taken"),
            Self::Port(PortError::Unavailable(_)) => (ErrorKind::Unavailable, "unavailable"),
            Self::Port(PortError::Corrupt(_)) => (ErrorKind::Internal, "internal"),
        }
    }

    /// How long the caller should wait before another try.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::ShuttingDown { retry_after }
            | Self::TooManyGenerations { retry_after }
            | Self::RateLimited { retry_after }
            | Self::TooManyFailures { retry_after }
            | Self::BudgetExceeded { retry_after } => Some(*retry_after),
            _ => None,
        }
    }
}

fn not_found_code(resource: &str) -> &'static str {
    match resource {
        "conversation" => "conversation_not_found",
        "message" => "message_not_found",
        "generation" => "generation_not_found",
        "user" => "user_not_found",
        "api_key" => "api_key_not_found",
        "persona" => "persona_not_found",
        "project" => "project_not_found",
        "member" => "member_not_found",
        "prompt" => "prompt_not_found",
        "file" => "file_not_found",
        "model" => "model_not_found",
        "shared link" => "shared_link_not_found",
        "login session" => "session_not_found",
        _ => "not_found",
    }
}

fn too_many_code(what: &str) -> &'static str {
    match what {
        "personas" => "too_many_personas",
        "projects" => "too_many_projects",
        "members" => "too_many_members",
        "prompts" => "too_many_prompts",
        "files" => "too_many_files",
        _ => "too_many",
    }
}
