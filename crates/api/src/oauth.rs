//! `/oauth` and `/.well-known`: what OAuth clients know their way around in.

mod body;
mod form;
mod metadata;
mod refusal;

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, PRAGMA},
    web::Data,
};
use repartee_application::oauth::{Asking, OauthError, OauthService, TokenRequest};

use self::{
    body::{
        IntrospectedBody, IntrospectionBody, JwkSetBody, OauthErrorBody, RevocationBody, TokenBody,
        TokenRequestBody,
    },
    form::Form,
    metadata::MetadataBody,
    refusal::Refusal,
};
use crate::{
    EdgeSettings,
    auth::{self, Caller, origin},
};

/// Tokens for a refresh token, or for a key (RFC 6749).
///
/// `client_id` and `client_secret` are the id and the secret of a key, sent with HTTP Basic or in the
/// body; a login session's refresh token needs none. There is no `password` grant (RFC 9700, 2.4): see
/// `/api/v1/auth/login`.
#[utoipa::path(
    post, path = "/oauth/token", tag = "oauth",
    request_body(content = TokenRequestBody, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = TokenBody),
        (status = 400, description = "`invalid_request`, `invalid_grant`, `invalid_scope` or `unsupported_grant_type`", body = OauthErrorBody),
        (status = 401, description = "`invalid_client`", body = OauthErrorBody),
    ),
    security(()),
)]
pub(crate) async fn token(
    request: HttpRequest,
    form: Form,
    oauth: Data<OauthService>,
) -> Result<HttpResponse, Refusal> {
    let client = form.client(&request)?;
    let asked = TokenRequest {
        grant_type: form.text("grant_type"),
        refresh_token: form.secret("refresh_token"),
        scope: form.text("scope"),
        client,
    };
    let issued = oauth.issue(asked, &origin(&request)).await?;
    Ok(no_store().json(TokenBody::from(issued)))
}

/// Ends the login session of a token (RFC 7009).
///
/// Whoever holds the token may. A token that is none, or is over, is fine. A token that a key got ends
/// with the key, or by itself: it is refused as `unsupported_token_type`.
#[utoipa::path(
    post, path = "/oauth/revoke", tag = "oauth",
    request_body(content = RevocationBody, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "It is good for nothing", body = Object),
        (status = 400, description = "`invalid_request` or `unsupported_token_type`", body = OauthErrorBody),
        (status = 401, description = "`invalid_client`", body = OauthErrorBody),
    ),
    security(()),
)]
pub(crate) async fn revoke(
    request: HttpRequest,
    form: Form,
    oauth: Data<OauthService>,
) -> Result<HttpResponse, Refusal> {
    let client = form.client(&request)?;
    oauth.revoke(form.secret("token"), client.as_ref(), &origin(&request)).await?;
    Ok(no_store().json(serde_json::json!({})))
}

/// What a token stands for (RFC 7662).
///
/// For a client, or for whoever is signed in with a bearer token. Only their own tokens are `active`.
#[utoipa::path(
    post, path = "/oauth/introspect", tag = "oauth",
    request_body(content = IntrospectionBody, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = IntrospectedBody),
        (status = 400, description = "`invalid_request`", body = OauthErrorBody),
        (status = 401, description = "`invalid_client`", body = OauthErrorBody),
    ),
    security((), ("access_token" = [])),
)]
pub(crate) async fn introspect(
    request: HttpRequest,
    form: Form,
    oauth: Data<OauthService>,
) -> Result<HttpResponse, Refusal> {
    let asking = if auth::bearer(&request).is_some() {
        Asking::User(Caller::extract(&request).await?.0)
    } else {
        Asking::Client(form.client(&request)?.ok_or(OauthError::InvalidClient)?)
    };
    let found = oauth.introspect(form.secret("token"), asking, &origin(&request)).await?;
    Ok(no_store().json(IntrospectedBody::of(found, oauth.issuer())))
}

/// Where everything is, and what it takes (RFC 8414).
#[utoipa::path(
    get, path = "/.well-known/oauth-authorization-server", tag = "oauth",
    responses((status = 200, body = MetadataBody)), security(()),
)]
pub(crate) async fn metadata(
    request: HttpRequest,
    oauth: Data<OauthService>,
    edge: Data<EdgeSettings>,
) -> HttpResponse {
    // It may depend on the name that the server was asked by.
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "private, max-age=300"))
        .json(MetadataBody::of(&request, edge.public_url.as_deref(), oauth.issuer()))
}

/// The keys that access tokens are signed with (RFC 7517); none where that is a secret.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "oauth",
    responses((status = 200, body = JwkSetBody)), security(()),
)]
pub(crate) async fn public_keys(oauth: Data<OauthService>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        .json(JwkSetBody::from(oauth.public_keys()))
}

/// RFC 6749, 5.1.
fn no_store() -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, "no-store")).insert_header((PRAGMA, "no-cache"));
    response
}
