//! What the OpenAPI document is put together from.

use utoipa::{
    Modify, OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};

use crate::{accounts, conversations, docs, health, messages, pages, replies};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Repartee",
        description = "A self-hosted AI chat backend: conversations whose replies are never lost.\n\n\
            Errors are `application/problem+json` (RFC 9457) with a stable `code`. Lists take \
            `limit` and `cursor` and answer `{data, next_cursor}`. Ids in paths may be ids or codes.",
        license(name = "MIT", identifier = "MIT"),
    ),
    paths(
        accounts::register, accounts::log_in, accounts::refresh, accounts::log_out,
        accounts::profile, accounts::change_profile, accounts::replace_profile,
        conversations::list, conversations::create, conversations::find, conversations::change,
        conversations::replace, conversations::delete,
        messages::list, messages::send, messages::stream_chat,
        replies::find, replies::events, replies::cancel,
        health::health, health::health_alias, health::health_v1, health::live, health::ready,
        docs::document, docs::swagger, docs::swagger_file, docs::redoc, docs::redoc_file,
        pages::index, pages::asset, pages::favicon,
    ),
    tags(
        (name = "identity", description = "Accounts and login sessions"),
        (name = "conversations", description = "Conversations, messages and the replies to them"),
        (name = "operations", description = "Health"),
        (name = "documentation", description = "This document and its readers"),
        (name = "pages", description = "The chat page"),
    ),
    security(("access_token" = [])),
    modifiers(&AccessToken),
)]
struct Document;

struct AccessToken;

impl Modify for AccessToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.bearer_format = Some("JWT".to_owned());
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("access_token", SecurityScheme::Http(scheme));
    }
}

/// The OpenAPI document of every route there is.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}
