//! What a provider's refusals mean.

use std::time::Duration;

use chrono::{DateTime, Utc};
use memchr::memmem;
use repartee_application::ports::ModelError;
use reqwest::{
    Response, StatusCode,
    header::{HeaderMap, RETRY_AFTER},
};
use serde::Deserialize;
use serde_json::Value;

use super::key::Key;

/// How much of a refusal is read. Bytes.
const MAX_BODY: usize = 16 * 1024;
/// The longest code that is passed on. Bytes.
const MAX_CODE: usize = 64;

/// An answer other than 2xx.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

/// The error object of OpenAI's API; other servers leave out most of it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Problem {
    #[serde(default)]
    code: Value,
    #[serde(default, rename = "type")]
    kind: Value,
}

impl Refusal {
    /// Reads at most 16 KiB; what breaks off is taken as it is.
    pub(super) async fn read(mut response: Response, now: DateTime<Utc>) -> Self {
        let retry_after = retry_after(response.headers(), now);
        let mut body = Vec::new();
        while body.len() < MAX_BODY
            && let Ok(Some(bytes)) = response.chunk().await
        {
            body.extend_from_slice(&bytes);
        }
        body.truncate(MAX_BODY);
        Self { status: response.status(), retry_after, body }
    }

    /// Whether it is the request that is wrong, and the provider all right.
    pub(super) fn is_about_the_request(&self) -> bool {
        matches!(
            self.status,
            StatusCode::BAD_REQUEST
                | StatusCode::NOT_FOUND
                | StatusCode::PAYLOAD_TOO_LARGE
                | StatusCode::UNPROCESSABLE_ENTITY
        )
    }

    pub(super) fn mentions(&self, field: &str) -> bool {
        memmem::find(&self.body, field.as_bytes()).is_some()
    }

    /// The key is there to make sure that it is not in what is said.
    pub(super) fn into_error(self, key: &Key) -> ModelError {
        let code = self.problem().and_then(|problem| problem.code(key));
        let reason = match &code {
            Some(code) => format!("status {}, {code}", self.status.as_u16()),
            None => format!("status {}", self.status.as_u16()),
        };
        let retry_after = self.retry_after;
        match self.status {
            // Time will not pay the bill.
            StatusCode::TOO_MANY_REQUESTS if code.as_deref() == Some("insufficient_quota") => {
                ModelError::Rejected { reason }
            }
            StatusCode::TOO_MANY_REQUESTS => ModelError::RateLimited { retry_after },
            StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_EARLY => {
                ModelError::Unavailable { retry_after, source: reason.into() }
            }
            status if status.is_server_error() => {
                ModelError::Unavailable { retry_after, source: reason.into() }
            }
            StatusCode::NOT_FOUND => ModelError::UnknownModel { reason },
            _ => ModelError::Rejected { reason },
        }
    }

    fn problem(&self) -> Option<Problem> {
        #[derive(Deserialize)]
        struct Body {
            error: Problem,
        }

        let whole = serde_json::from_slice::<Body>(&self.body).map(|body| body.error);
        whole.or_else(|_| serde_json::from_slice(&self.body)).ok()
    }
}

impl Problem {
    /// The provider's code for the error, else its type: a name, never a sentence, and nothing
    /// that holds the key.
    pub(super) fn code(&self, key: &Key) -> Option<String> {
        let name = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let is_safe = |name: &String| {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
            let is_short = !name.is_empty() && name.len() <= MAX_CODE;
            is_short && name.bytes().all(is_name) && !key.is_in(name)
        };
        [&self.code, &self.kind].into_iter().filter_map(name).find(is_safe)
    }
}

/// `retry-after-ms`, OpenAI's own, or `Retry-After` in seconds or as a date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let seconds = |text: &str, scale: f64| {
        text.trim().parse::<f64>().ok().and_then(|n| Duration::try_from_secs_f64(n * scale).ok())
    };
    if let Some(exact) = text("retry-after-ms").and_then(|text| seconds(text, 0.001)) {
        return Some(exact);
    }
    let text = text(RETRY_AFTER.as_str())?;
    seconds(text, 1.0).or_else(|| {
        let date = DateTime::parse_from_rfc2822(text.trim()).ok()?;
        // A date in the past means now.
        Some((date.to_utc() - now).to_std().unwrap_or_default())
    })
}
