//! A name for every request, and the one log line that tells of it.

use std::{future::Future, time::Instant};

use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderName, HeaderValue},
    middleware::Next,
};
use repartee_application::ports::IdGenerator;
use repartee_domain::UserId;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");
const MAX_LENGTH: usize = 128;

tokio::task_local! {
    static CURRENT: String;
}

/// Put into the request once it is known who sent it, for the log.
#[derive(Clone, Copy)]
pub(crate) struct LoggedUser(pub(crate) UserId);

/// The name of the request that is being answered; empty outside of any.
pub(crate) fn current() -> String {
    CURRENT.try_with(Clone::clone).unwrap_or_default()
}

/// Takes the client's `X-Request-Id` when it is well formed, else makes one; returns it on the
/// response; logs one line: never a query string, a token or a body.
pub(crate) async fn request_context<B: MessageBody>(
    ids: &dyn IdGenerator,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let begun = Instant::now();
    let id = match request.headers().get(&HEADER).and_then(well_formed) {
        Some(id) => id.to_owned(),
        None => ids.id().to_string(),
    };
    let header = HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("-"));
    let mut response = within(id.clone(), next.call(request)).await?;
    response.headers_mut().insert(HEADER, header);
    let request = response.request();
    let route = request.match_pattern();
    let user = request.extensions().get::<LoggedUser>().map(|user| user.0.to_string());
    tracing::info!(
        method = %request.method(),
        route = route.as_deref().unwrap_or("-"),
        status = response.status().as_u16(),
        ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        request_id = id,
        user,
        "request"
    );
    Ok(response)
}

pub(crate) async fn within<F: Future>(id: String, future: F) -> F::Output {
    CURRENT.scope(id, future).await
}

/// Letters, digits and `-_.:`, so that a log line stays one line.
fn well_formed(value: &HeaderValue) -> Option<&str> {
    let id = value.to_str().ok()?;
    let known = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    (!id.is_empty() && id.len() <= MAX_LENGTH && id.chars().all(known)).then_some(id)
}
