//! The one error type that leaves a use case.

use std::time::Duration;

use repartee_domain::{
    FieldError, GenerationId, conversations::ConversationError, replies::Failure,
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
    #[error("the reply is being written by another process: cancel it there")]
    WrittenElsewhere,
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
    /// The model failed.
    BadGateway,
    /// The model ran out of time.
    GatewayTimeout,
    Unavailable,
    Internal,
}

impl AppError {
    pub const CONVERSATION_NOT_FOUND: Self = Self::NotFound { resource: "conversation" };
    pub const GENERATION_NOT_FOUND: Self = Self::NotFound { resource: "generation" };

    pub fn invalid(error: FieldError) -> Self {
        Self::Invalid(vec![error])
    }

    /// The kind of failure, and its stable, documented, machine-readable code.
    pub fn classify(&self) -> (ErrorKind, &'static str) {
        match self {
            Self::Unauthenticated => (ErrorKind::Unauthenticated, "unauthenticated"),
            Self::WrongCredentials => (ErrorKind::Unauthenticated, "wrong_credentials"),
            Self::InvalidRefreshToken => (ErrorKind::Unauthenticated, "invalid_refresh_token"),
            Self::RegistrationClosed => (ErrorKind::Forbidden, "registration_closed"),
            Self::NotFound { resource } => (ErrorKind::NotFound, not_found_code(resource)),
            Self::Invalid(_) => (ErrorKind::Invalid, "invalid_fields"),
            Self::Taken { field: "email" } => (ErrorKind::Conflict, "email_taken"),
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
            Self::WrittenElsewhere => (ErrorKind::Conflict, "written_elsewhere"),
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
            Self::ShuttingDown { retry_after } => Some(*retry_after),
            _ => None,
        }
    }
}

fn not_found_code(resource: &str) -> &'static str {
    match resource {
        "conversation" => "conversation_not_found",
        "generation" => "generation_not_found",
        "user" => "user_not_found",
        _ => "not_found",
    }
}
