//! What the OpenAPI document is put together from.

use utoipa::{
    Modify, OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};

use super::{bodies::OptionalBodies, limits::RateLimits, refusals::Refusals};
use crate::{
    accounts, api_keys, audit, chat, chats, conversations, docs, feeds, files, health, messages,
    models, oauth, openai, pages, personas, projects, replies, search, sessions, sharing, sockets,
    transfer, user_conversations,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Repartee",
        description = "A self-hosted AI chat backend: conversations whose replies are never lost.\n\n\
            Errors are `application/problem+json` (RFC 9457) with a stable `code`. Lists take \
            `limit` and `cursor` and answer `{data, next_cursor}`. Ids in paths may be ids or codes.\n\n\
            Requests are limited: every response to one that is counted says how much is left, in \
            `RateLimit-Policy`, `RateLimit` and `X-RateLimit-*`, and a 429 when to try again.",
        license(name = "MIT", identifier = "MIT"),
    ),
    paths(
        accounts::register, accounts::log_in, accounts::refresh, accounts::log_out,
        accounts::ticket, accounts::devices::list, accounts::devices::sign_out,
        accounts::recovery::forgot_password, accounts::recovery::reset_password,
        accounts::recovery::verify_email, accounts::recovery::resend_verification,
        accounts::recovery::change_password,
        accounts::users::list, accounts::users::make, accounts::users::find,
        accounts::users::change, accounts::users::delete,
        accounts::profile, accounts::change_profile, accounts::replace_profile,
        api_keys::list, api_keys::make, api_keys::revoke,
        oauth::token, oauth::revoke, oauth::introspect, oauth::metadata, oauth::public_keys,
        conversations::list, conversations::create, conversations::find, conversations::change,
        conversations::replace, conversations::delete,
        messages::list, messages::send, messages::stream_chat, messages::feedback::rate,
        messages::branches::regenerate, messages::branches::edit,
        models::list, openai::chat::complete, openai::embeddings::embed, openai::models::list, openai::models::find,
        conversations::stats::stats, search::search,
        transfer::export, transfer::import, sharing::share, sharing::unshare, sharing::shared,
        personas::list, personas::make, personas::find, personas::change, personas::delete,
        projects::list, projects::make, projects::find, projects::change, projects::delete,
        projects::members::list, projects::members::put, projects::members::remove,
        projects::prompts::list, projects::prompts::make, projects::prompts::find,
        projects::prompts::change, projects::prompts::delete, projects::prompts::versions,
        accounts::compat::register, accounts::compat::log_in,
        projects::compat::list, projects::compat::make, projects::compat::list_prompts,
        projects::compat::make_prompt, projects::compat::change_prompt,
        projects::compat::delete_prompt, projects::compat::chat,
        files::list, files::upload, files::find, files::delete, files::content,
        files::compat::list, files::compat::upload, files::compat::content, files::compat::delete,
        personas::compat::list, personas::compat::find,
        sessions::list, sessions::create, sessions::change, sessions::archive,
        chat::send, sockets::chat_stream,
        chats::list, chats::create, chats::find, chats::change, chats::archive,
        chat::v1::send,
        user_conversations::list, user_conversations::create, user_conversations::recent,
        user_conversations::reconnect, user_conversations::validate, user_conversations::end,
        user_conversations::stats, user_conversations::delete,
        replies::find, replies::events, replies::cancel,
        feeds::events, feeds::conversation_events,
        sockets::guest, sockets::user, sockets::user_v1, sockets::conversation,
        audit::list, audit::verify, audit::export,
        health::health, health::health_alias, health::health_v1, health::live, health::ready,
        docs::document, docs::swagger, docs::swagger_file, docs::redoc, docs::redoc_file,
        pages::index, pages::asset, pages::favicon,
    ),
    tags(
        (name = "identity", description = "Accounts, login sessions and keys"),
        (name = "oauth", description = "Tokens for OAuth clients (RFC 6749)"),
        (name = "users", description = "Everybody, for who manages users"),
        (name = "conversations", description = "Conversations, messages and the replies to them"),
        (name = "transfer", description = "Conversations as files, and from elsewhere"),
        (name = "sharing", description = "Links by which anyone reads a conversation"),
        (name = "openai", description = "For programs written against the OpenAI SDKs: change the base URL and the key. Errors have OpenAI's shape: `{error: {message, type, param, code}}`"),
        (name = "personas", description = "Whom the assistant can be"),
        (name = "projects", description = "Workspaces with prompts and members"),
        (name = "files", description = "Files of projects"),
        (name = "Family A: sessions and personas", description = "For clients of a backend with sessions and personas, and guests"),
        (name = "Family B: chats", description = "For clients of a backend with chats and an SSE stream"),
        (name = "Family C: conversations in one request", description = "For clients of a backend with conversations, FAQs and analytics"),
        (name = "Family D: user-scoped conversations", description = "For clients of a backend with conversations under their user"),
        (name = "Family E: projects", description = "For clients of a backend with projects"),
        (name = "feeds", description = "What happens, from whichever device"),
        (name = "sockets", description = "Several conversations over one WebSocket, both ways"),
        (name = "audit", description = "What happened, and whether its log is as it was written"),
        (name = "operations", description = "Health"),
        (name = "documentation", description = "This document and its readers"),
        (name = "pages", description = "The chat page"),
    ),
    security(("access_token" = [])),
    modifiers(&AccessToken, &RateLimits, &Refusals, &OptionalBodies),
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
