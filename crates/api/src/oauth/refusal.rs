//! Refusals in OAuth's own shape (RFC 6749, 5.2).

use std::fmt;

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, HeaderValue, WWW_AUTHENTICATE},
    },
};
use repartee_application::oauth::OauthError;

use super::body::OauthErrorBody;
use crate::ApiError;

const CHALLENGE: &str = "Basic realm=\"repartee\", charset=\"UTF-8\"";

#[derive(Debug)]
pub(crate) enum Refusal {
    Oauth(OauthError),
    /// What OAuth has no word for.
    Api(ApiError),
}

impl From<OauthError> for Refusal {
    fn from(error: OauthError) -> Self {
        match error {
            OauthError::App(error) => Self::Api(error.into()),
            error => Self::Oauth(error),
        }
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Oauth(error) => error.fmt(f),
            Self::Api(error) => error.fmt(f),
        }
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Oauth(OauthError::InvalidClient) => StatusCode::UNAUTHORIZED,
            Self::Oauth(_) => StatusCode::BAD_REQUEST,
            Self::Api(error) => error.status_code(),
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = match self {
            Self::Oauth(error) => {
                HttpResponse::build(self.status_code()).json(OauthErrorBody::of(error))
            }
            Self::Api(error) => error.error_response(),
        };
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if matches!(self, Self::Oauth(OauthError::InvalidClient)) {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
        }
        response
    }
}
