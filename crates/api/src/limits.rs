//! Rate limits: addresses before anybody knows who asks, users once it is known, and what the
//! headers of every limited response say of it.

mod headers;

use actix_web::{
    Error, HttpMessage, HttpRequest, HttpResponse, ResponseError,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::Method,
    middleware::Next,
    web::Data,
};
use repartee_application::{
    Actor,
    limits::LimitService,
    ports::{Decision, LimitClass, PortError},
};

pub(crate) use self::headers::NAMES;
use crate::{ApiError, auth};

/// What the limits said of a request last, for the headers of its response.
struct Standing(Decision);

/// Counts a request for the address that it comes from, and tells of the limits in its response.
pub(crate) async fn limit_addresses<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    // By the path as routes see it: a letter may come percent-encoded.
    let pattern = request.resource_map().match_pattern(request.match_info().as_str());
    let class = class_of(request.method(), pattern.as_deref());
    let limits = request.app_data::<Data<LimitService>>().cloned();
    let (Some(class), Some(limits)) = (class, limits) else {
        return next.call(request).await.map(ServiceResponse::map_into_left_body);
    };
    let decision = limits.admit_address(class, &auth::origin(request.request())).await;
    let mut response = match settle(request.request(), decision) {
        Ok(()) => next.call(request).await?.map_into_left_body(),
        Err(error) => refused(request, &error).map_into_right_body(),
    };
    let standing = response.request().extensions_mut().remove::<Standing>();
    if let Some(Standing(decision)) = standing {
        headers::insert(response.headers_mut(), &decision);
    }
    Ok(response)
}

/// Counts a request for whoever sent it.
pub(crate) async fn admit(request: &HttpRequest, actor: &Actor) -> Result<(), ApiError> {
    let Some(limits) = request.app_data::<Data<LimitService>>() else {
        return Err(PortError::Unavailable("not wired".into()).into());
    };
    let class = class_of(request.method(), request.match_pattern().as_deref());
    let class = class.unwrap_or(LimitClass::Requests);
    settle(request, limits.admit(class, actor).await)
}

/// What is nearer to the caller is told: of a user, and not of the address.
fn settle(request: &HttpRequest, decision: Decision) -> Result<(), ApiError> {
    let admitted = decision.admitted();
    if !decision.levels.is_empty() {
        request.extensions_mut().insert(Standing(decision));
    }
    Ok(admitted?)
}

fn refused(request: ServiceRequest, error: &ApiError) -> ServiceResponse {
    let response: HttpResponse = error.error_response();
    request.into_response(response)
}

/// What a request counts as; `None` for what is free: health, documentation and pages. `pattern` is
/// that of its route; what has none is a request as well.
pub(crate) fn class_of(method: &Method, pattern: Option<&str>) -> Option<LimitClass> {
    let Some(pattern) = pattern else { return Some(LimitClass::Requests) };
    Some(match pattern {
        "/" | "/favicon.ico" | "/openapi.json" | "/metrics" => return None,
        free if is_free(free) => return None,
        "/api/v1/auth/login" | "/users/login" if method == Method::POST => LimitClass::LogIns,
        "/api/v1/auth/register" | "/users/register" if method == Method::POST => {
            LimitClass::Registrations
        }
        "/api/v1/auth/password/forgot"
        | "/api/v1/auth/password/reset"
        | "/api/v1/auth/email/verify"
        | "/api/v1/auth/email/resend"
            if method == Method::POST =>
        {
            LimitClass::Resets
        }
        "/api/v1/projects/{project_id}/files"
        | "/projects/{project_id}/files"
        | "/api/v1/conversations/import"
            if method == Method::POST =>
        {
            LimitClass::Uploads
        }
        // Whoever has a link is no more known than a guest.
        "/api/v1/shared/{token}" => LimitClass::Guests,
        _ => LimitClass::Requests,
    })
}

fn is_free(pattern: &str) -> bool {
    const ROOMS: [&str; 7] =
        ["/health", "/api/health", "/api/v1/health", "/docs", "/redoc", "/assets", "/.well-known"];
    let is_in = |room: &&str| {
        pattern.strip_prefix(*room).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    ROOMS.iter().any(is_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_delicate_has_a_limit_of_its_own_and_what_is_for_everybody_has_none() {
        let class = |pattern| class_of(&Method::POST, Some(pattern));
        assert_eq!(class("/api/v1/auth/login"), Some(LimitClass::LogIns));
        assert_eq!(class("/api/v1/auth/register"), Some(LimitClass::Registrations));
        assert_eq!(class("/users/login"), Some(LimitClass::LogIns));
        assert_eq!(class("/users/register"), Some(LimitClass::Registrations));
        assert_eq!(class("/api/v1/auth/password/forgot"), Some(LimitClass::Resets));
        assert_eq!(class("/api/v1/conversations"), Some(LimitClass::Requests));
        assert_eq!(class("/projects/{project_id}/files"), Some(LimitClass::Uploads));
        assert_eq!(class("/healthy"), Some(LimitClass::Requests));
        assert_eq!(class("/api/v1/shared/{token}"), Some(LimitClass::Guests));
        assert_eq!(class_of(&Method::GET, None), Some(LimitClass::Requests));
        assert_eq!(class_of(&Method::GET, Some("/api/v1/auth/login")), Some(LimitClass::Requests));
        for free in ["/", "/health", "/health/live", "/docs/{file}", "/.well-known/jwks.json"] {
            assert_eq!(class(free), None, "{free}");
        }
    }
}
