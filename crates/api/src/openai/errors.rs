//! Errors in OpenAI's shape (OpenAI API reference, "Errors"), for everything under `/v1`: whoever
//! finds one, an extractor, a limit or a handler, it leaves by `ApiError` and is put like this.

use actix_web::{
    Error, ResponseError,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::StatusCode,
    middleware::Next,
};
use repartee_application::AppError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{ApiError, problem::FieldProblem};

tokio::task_local! {
    static SPOKEN: ();
}

/// An error of the OpenAI-compatible surface.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OpenAiErrorBody {
    error: OpenAiError,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OpenAiError {
    /// What is wrong and what to do about it.
    #[schema(example = "there is no such model")]
    message: String,
    /// `invalid_request_error`, `authentication_error`, `permission_error`, `not_found_error`,
    /// `rate_limit_error`, `insufficient_quota` or `server_error`.
    #[serde(rename = "type")]
    #[schema(example = "not_found_error")]
    kind: &'static str,
    /// The field that is wrong, where it is one.
    #[schema(example = "model")]
    param: Option<String>,
    /// Stable and machine-readable.
    #[schema(example = "model_not_found")]
    code: String,
}

/// Answers what is under `/v1` as OpenAI would.
pub(crate) async fn speak<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    // As routes see the path: a letter may come percent-encoded.
    if super::is_of(request.match_info().as_str()) {
        SPOKEN.scope((), next.call(request)).await
    } else {
        next.call(request).await
    }
}

/// Whether the request that is being answered came by this surface.
pub(crate) fn is_spoken() -> bool {
    SPOKEN.try_with(|()| ()).is_ok()
}

/// OpenAI has no 422, and a model that is not there is no bad field.
pub(crate) fn status_of(error: &ApiError) -> StatusCode {
    match error {
        ApiError::App(AppError::UnknownModel(_)) => StatusCode::NOT_FOUND,
        error if error.status_code() == StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
        error => error.status_code(),
    }
}

impl OpenAiErrorBody {
    pub(crate) fn of(error: &ApiError) -> Self {
        let field = error.fields().into_iter().next();
        let message = match &field {
            Some(FieldProblem { field, detail, .. }) => format!("{field}: {detail}"),
            None => error.outer_text(),
        };
        let error = OpenAiError {
            message,
            kind: kind_of(error),
            code: code_of(error, field.as_ref()),
            param: field.map(|field| field.field),
        };
        Self { error }
    }
}

fn kind_of(error: &ApiError) -> &'static str {
    if let ApiError::App(AppError::BudgetExceeded { .. }) = error {
        return "insufficient_quota";
    }
    match status_of(error) {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::NOT_FOUND => "not_found_error",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        status if status.is_server_error() => "server_error",
        _ => "invalid_request_error",
    }
}

/// OpenAI's own code where it has one, else that of the native surface.
fn code_of(error: &ApiError, field: Option<&FieldProblem>) -> String {
    let code = match error {
        ApiError::InvalidToken | ApiError::App(AppError::Unauthenticated) => "invalid_api_key",
        ApiError::App(AppError::UnknownModel(_)) => "model_not_found",
        ApiError::App(AppError::RateLimited { .. }) => "rate_limit_exceeded",
        ApiError::App(AppError::BudgetExceeded { .. }) => "insufficient_quota",
        error => field.map_or_else(|| error.code(), |field| &field.code),
    };
    code.to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use repartee_application::ports::PortError;
    use repartee_domain::{accounts::Scope, replies::Failure};
    use serde_json::json;

    use super::*;

    #[test]
    fn every_error_has_a_type_and_a_code_that_the_sdks_know() {
        let retry_after = Duration::from_secs(1);
        for (error, status, kind, code) in [
            (ApiError::InvalidToken, 401, "authentication_error", "invalid_api_key"),
            (
                AppError::InsufficientScope(Scope::Chat).into(),
                403,
                "permission_error",
                "insufficient_scope",
            ),
            (
                AppError::UnknownModel("gpt".into()).into(),
                404,
                "not_found_error",
                "model_not_found",
            ),
            (AppError::MODEL_NOT_FOUND.into(), 404, "not_found_error", "model_not_found"),
            (ApiError::RouteNotFound, 404, "not_found_error", "route_not_found"),
            (ApiError::MethodNotAllowed, 405, "invalid_request_error", "method_not_allowed"),
            (ApiError::BodyTooLarge { limit: 9 }, 413, "invalid_request_error", "body_too_large"),
            (ApiError::MalformedJson("no".into()), 400, "invalid_request_error", "malformed_json"),
            (
                ApiError::invalid("n", "unsupported_parameter", "may be 1"),
                400,
                "invalid_request_error",
                "unsupported_parameter",
            ),
            (
                AppError::RateLimited { retry_after }.into(),
                429,
                "rate_limit_error",
                "rate_limit_exceeded",
            ),
            (
                AppError::BudgetExceeded { retry_after }.into(),
                429,
                "insufficient_quota",
                "insufficient_quota",
            ),
            (AppError::Reply(Failure::ModelFailed).into(), 502, "server_error", "model_failed"),
        ] {
            let body = serde_json::to_value(OpenAiErrorBody::of(&error)).unwrap();
            let error_told = &body["error"];
            assert_eq!(status_of(&error).as_u16(), status, "{error}");
            assert_eq!((&error_told["type"], &error_told["code"]), (&json!(kind), &json!(code)));
        }
    }

    #[test]
    fn the_field_that_is_wrong_is_named_and_the_inside_of_a_failure_is_not() {
        let error = ApiError::invalid("temperature", "out_of_range", "must be from 0 to 2");
        let body = serde_json::to_value(OpenAiErrorBody::of(&error)).unwrap();
        assert_eq!(body["error"]["param"], "temperature");
        assert_eq!(body["error"]["message"], "temperature: must be from 0 to 2");

        let error = ApiError::from(PortError::Unavailable("SELECT secret".into()));
        let body = serde_json::to_string(&OpenAiErrorBody::of(&error)).unwrap();
        assert!(!body.contains("SELECT"), "{body}");
    }

    #[test]
    fn the_surface_is_what_is_under_its_first_segment() {
        for path in ["/v1", "/v1/", "/v1/models"] {
            assert!(super::super::is_of(path), "{path}");
        }
        for path in ["/", "/v12/models", "/api/v1/models"] {
            assert!(!super::super::is_of(path), "{path}");
        }
    }
}
