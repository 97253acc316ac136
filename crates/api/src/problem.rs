//! The only place where an error becomes a status code.

use std::{error::Error, fmt::Write as _, time::Duration};

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use repartee_application::{AppError, ErrorKind, ports::PortError};
use repartee_domain::replies::Failure;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    openai::{self, OpenAiErrorBody},
    request_id,
};

const MEDIA_TYPE: &str = "application/problem+json";
/// Somebody may close a socket or a stream at any time.
const STREAM_WAIT: Duration = Duration::from_secs(5);

/// What a request can end in besides its answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error(transparent)]
    App(AppError),
    /// A token came, and is good for nothing.
    #[error("{}", AppError::Unauthenticated)]
    InvalidToken,
    #[error("there is nothing at this address: see /docs for what there is")]
    RouteNotFound,
    #[error("this address does not take this method: see the Allow header")]
    MethodNotAllowed,
    #[error("the body is not valid JSON: {0}")]
    MalformedJson(String),
    #[error("send the body as {expected}")]
    UnsupportedMediaType { expected: &'static str },
    #[error("the body is not valid multipart/form-data: {0}")]
    MalformedForm(String),
    #[error("the body may have at most {limit} bytes")]
    BodyTooLarge { limit: usize },
    #[error("the body did not arrive whole")]
    BodyIncomplete,
    #[error("the body took longer than {} seconds to arrive", limit.as_secs())]
    BodyTimeout { limit: Duration },
    #[error("send either Content-Length or Transfer-Encoding, not both")]
    AmbiguousLength,
    /// Fields that are not what they should be, found before a use case was asked.
    #[error("the request has invalid fields")]
    InvalidFields(Vec<FieldProblem>),
    #[error("the reply was interrupted because the server stopped: what was written is stored")]
    ReplyInterrupted {
        /// Its end is the answer to its idempotency key.
        is_kept: bool,
    },
    #[error("this address is a WebSocket: connect to it with one")]
    UpgradeRequired,
    #[error("pages of this origin may not connect: see http.cors_origins")]
    OriginRefused,
    #[error("you have as many sockets open as may be: close one")]
    TooManySockets,
    #[error("you have as many event streams open as may be: close one")]
    TooManyStreams,
    #[error("as many streams are open from your address as may be: close one")]
    TooManyFromAddress,
}

/// One field of a request that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldProblem {
    #[schema(example = "email")]
    pub(crate) field: String,
    #[schema(example = "invalid")]
    pub(crate) code: String,
    #[schema(example = "must be an e-mail address, like ada@example.com")]
    pub(crate) detail: String,
}

/// An error (RFC 9457), with a stable `code`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// A URI reference that names the kind of problem.
    #[serde(rename = "type")]
    #[schema(example = "/problems/conversation_not_found")]
    kind: String,
    #[schema(example = "Not Found")]
    title: &'static str,
    #[schema(example = 404)]
    status: u16,
    /// What is wrong and what to do about it.
    #[schema(example = "there is no such conversation")]
    pub(crate) detail: String,
    /// Stable and machine-readable.
    #[schema(example = "conversation_not_found")]
    pub(crate) code: &'static str,
    /// The same as the `X-Request-Id` header of the response.
    #[schema(example = "01939c2e-7b9a-7000-8000-000000000000")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) request_id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<FieldProblem>,
    /// With `reply_in_progress`: the reply that is being written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) generation_id: Option<String>,
}

/// The parts of a problem that a reply's `failed` event is read back for.
#[derive(Deserialize)]
pub(crate) struct ProblemCode {
    pub(crate) code: String,
}

impl Problem {
    pub(crate) fn of(error: &ApiError) -> Self {
        let (status, code) = error.classify();
        Self {
            kind: format!("/problems/{code}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: error.outer_text(),
            code,
            request_id: request_id::current(),
            errors: error.fields(),
            generation_id: match error {
                ApiError::App(AppError::ReplyInProgress(id)) => Some(id.to_string()),
                _ => None,
            },
        }
    }
}

impl<E: Into<AppError>> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self::App(error.into())
    }
}

impl FieldProblem {
    pub(crate) fn new(field: &str, code: &str, detail: impl Into<String>) -> Self {
        Self { field: field.to_owned(), code: code.to_owned(), detail: detail.into() }
    }
}

impl ApiError {
    pub(crate) fn invalid(field: &str, code: &str, detail: impl Into<String>) -> Self {
        Self::InvalidFields(vec![FieldProblem::new(field, code, detail)])
    }

    pub(crate) fn code(&self) -> &'static str {
        self.classify().1
    }

    fn classify(&self) -> (StatusCode, &'static str) {
        match self {
            Self::App(error) => {
                let (kind, code) = error.classify();
                (status_of(kind), code)
            }
            Self::InvalidToken => {
                (StatusCode::UNAUTHORIZED, AppError::Unauthenticated.classify().1)
            }
            Self::RouteNotFound => (StatusCode::NOT_FOUND, "route_not_found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::MalformedJson(_) => (StatusCode::BAD_REQUEST, "malformed_json"),
            Self::BodyIncomplete => (StatusCode::BAD_REQUEST, "body_incomplete"),
            Self::BodyTimeout { .. } => (StatusCode::REQUEST_TIMEOUT, "body_timeout"),
            Self::AmbiguousLength => (StatusCode::BAD_REQUEST, "ambiguous_length"),
            Self::MalformedForm(_) => (StatusCode::BAD_REQUEST, "malformed_form"),
            Self::UnsupportedMediaType { .. } => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type")
            }
            Self::BodyTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::InvalidFields(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_fields"),
            Self::ReplyInterrupted { .. } => (StatusCode::SERVICE_UNAVAILABLE, "reply_interrupted"),
            Self::UpgradeRequired => (StatusCode::UPGRADE_REQUIRED, "upgrade_required"),
            Self::OriginRefused => (StatusCode::FORBIDDEN, "origin_refused"),
            Self::TooManySockets => (StatusCode::TOO_MANY_REQUESTS, "too_many_sockets"),
            Self::TooManyStreams | Self::TooManyFromAddress => {
                (StatusCode::TOO_MANY_REQUESTS, "too_many_streams")
            }
        }
    }

    /// Whether the same request would be refused again.
    fn is_permanent(&self) -> bool {
        match self {
            Self::App(
                AppError::ReplyInProgress(_)
                | AppError::TooManyGenerations { .. }
                | AppError::RateLimited { .. }
                | AppError::TooManyFailures { .. }
                | AppError::Port(PortError::Stale),
            )
            | Self::TooManySockets
            | Self::TooManyStreams
            | Self::TooManyFromAddress
            | Self::BodyTimeout { .. } => false,
            Self::App(AppError::Reply(Failure::ModelRejected)) => true,
            Self::ReplyInterrupted { is_kept } => *is_kept,
            error => error.status_code().is_client_error(),
        }
    }

    /// What the caller learns. Of our own failures that is nothing but that they happened.
    pub(crate) fn outer_text(&self) -> String {
        match self {
            Self::App(AppError::Port(_)) if self.status_code().is_server_error() => {
                "something went wrong on the server: try again, and quote the request_id".to_owned()
            }
            error => error.to_string(),
        }
    }

    /// Logs our own failures once, with their whole chain; the client learns only the code.
    pub(crate) fn log(&self) {
        if self.status_code().is_server_error() {
            tracing::error!(code = self.classify().1, error = chain(self), "request failed");
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::App(error) => error.retry_after(),
            Self::TooManySockets | Self::TooManyStreams | Self::TooManyFromAddress => {
                Some(STREAM_WAIT)
            }
            _ => None,
        }
    }

    /// RFC 9110, 15.5.2; RFC 6750, 3.
    fn challenge(&self) -> Option<String> {
        match self {
            Self::InvalidToken => Some("Bearer error=\"invalid_token\"".to_owned()),
            Self::App(AppError::InsufficientScope(scope)) => {
                let scope = scope.as_str();
                Some(format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\""))
            }
            error if error.status_code() == StatusCode::UNAUTHORIZED => Some("Bearer".to_owned()),
            _ => None,
        }
    }

    pub(crate) fn fields(&self) -> Vec<FieldProblem> {
        match self {
            Self::InvalidFields(fields) => fields.clone(),
            Self::App(AppError::Invalid(errors)) => errors
                .iter()
                .map(|error| FieldProblem::new(error.field, error.code, &*error.detail))
                .collect(),
            Self::App(AppError::UnknownModel(name)) => vec![FieldProblem::new(
                "model",
                "model_unknown",
                format!("{name:?} is not one of this server's models"),
            )],
            _ => Vec::new(),
        }
    }
}

fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        ErrorKind::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::BadGateway => StatusCode::BAD_GATEWAY,
        ErrorKind::GatewayTimeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.classify().0
    }

    fn error_response(&self) -> HttpResponse {
        self.log();
        let is_openai = openai::is_spoken();
        let status = if is_openai { openai::status_of(self) } else { self.status_code() };
        let mut response = HttpResponse::build(status);
        if let Some(challenge) = self.challenge() {
            response.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        if let Some(wait) = self.retry_after() {
            // Rounded up: whoever comes then is not too early.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.insert_header((header::RETRY_AFTER, seconds.max(1)));
        }
        if matches!(self, Self::BodyTimeout { .. } | Self::AmbiguousLength) {
            // What is left of the request is not read (RFC 9110, 15.5.9).
            response.force_close();
        }
        if matches!(self, Self::UpgradeRequired) {
            // RFC 9110, 15.5.22
            response.insert_header((header::UPGRADE, "websocket"));
        }
        if self.is_permanent() {
            // Obeyed by the OpenAI SDKs: the same request would be refused again.
            response.insert_header(("x-should-retry", "false"));
        }
        if is_openai {
            return response.json(OpenAiErrorBody::of(self));
        }
        response.content_type(MEDIA_TYPE).json(Problem::of(self))
    }
}

/// An error with everything that caused it.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inside_of_a_failure_is_never_shown() {
        let source = "SELECT secret FROM users".into();
        let error = ApiError::from(PortError::Unavailable(source));

        let problem = serde_json::to_string(&Problem::of(&error)).unwrap();

        assert!(!problem.contains("SELECT"), "{problem}");
        assert!(chain(&error).contains("SELECT"));
    }

    #[test]
    fn too_much_at_once_says_when_to_try_again() {
        let wait = Duration::from_secs(7);
        for (error, seconds) in [
            (ApiError::App(AppError::TooManyGenerations { retry_after: wait }), "7"),
            (ApiError::App(AppError::RateLimited { retry_after: wait }), "7"),
            (ApiError::App(AppError::TooManyFailures { retry_after: wait }), "7"),
            (ApiError::TooManySockets, "5"),
            (ApiError::TooManyStreams, "5"),
        ] {
            let response = error.error_response();
            assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
            assert_eq!(response.headers().get(header::RETRY_AFTER).unwrap(), seconds);
            assert!(!response.headers().contains_key("x-should-retry"));
        }
    }

    #[test]
    fn a_budget_that_is_used_up_is_not_asked_again() {
        let retry_after = Duration::from_hours(1);
        let response = ApiError::App(AppError::BudgetExceeded { retry_after }).error_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers().get(header::RETRY_AFTER).unwrap(), "3600");
        assert_eq!(response.headers().get("x-should-retry").unwrap(), "false");
    }
}
