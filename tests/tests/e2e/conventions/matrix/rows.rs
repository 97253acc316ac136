//! The table: one row for each operation.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use self::{Access::*, Body::*};
use crate::support::{PASSWORD, address};

/// Who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Whoever calls; no token is looked at.
    Anybody,
    /// Without a token as a guest; a bad one is refused all the same.
    Guests,
    /// Whoever it is about their own things.
    SignedIn,
    /// As [`Access::SignedIn`], and any key.
    Profile,
    /// Whoever is signed in; a key never manages an account.
    Account,
    /// A program that says which key it has, or whoever is signed in.
    Clients,
    /// Whose it is; it isn't there for anybody else.
    Owner,
    /// As [`Access::Owner`], and any key of theirs.
    OwnProfile,
    /// Whoever the path names; anybody else is told that they may not.
    Himself,
    Managers,
    Admins,
    /// Administrators; nobody else learns whether somebody else is there.
    AdminsOnly,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Body {
    None,
    Json(fn() -> Value),
    Form(&'static str),
    /// A form with a file.
    File,
}

pub(super) struct Row {
    pub(super) operation: &'static str,
    pub(super) access: Access,
    /// The status for whoever may.
    pub(super) answers: u16,
    pub(super) query: &'static str,
    pub(super) body: Body,
}

/// `(operation, who may, what whoever may is answered, body, query)`
const fn row(
    operation: &'static str,
    access: Access,
    answers: u16,
    body: Body,
    query: &'static str,
) -> Row {
    Row { operation, access, answers, query, body }
}

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("POST /api/v1/auth/register", Anybody, 422, Json(|| json!({})), ""),
    row("POST /api/v1/auth/login", Anybody, 422, Json(|| json!({})), ""),
    row("POST /api/v1/auth/refresh", Anybody, 422, Json(|| json!({})), ""),
    row("POST /api/v1/auth/logout", Account, 204, Json(|| json!({})), ""),
    row("POST /api/v1/auth/ticket", Account, 200, None, ""),
    row("GET /api/v1/auth/sessions", Account, 200, None, ""),
    row("DELETE /api/v1/auth/sessions/{session_id}", Owner, 204, None, ""),
    row("POST /api/v1/auth/password/forgot", Anybody, 422, Json(|| json!({})), ""),
    row("POST /api/v1/auth/password/reset", Anybody, 422, Json(|| json!({})), ""),
    row("POST /api/v1/auth/email/verify", Anybody, 422, Json(|| json!({})), ""),
    row("POST /api/v1/auth/email/resend", Account, 202, None, ""),
    row("GET /api/v1/users/me", Profile, 200, None, ""),
    row("PATCH /api/v1/users/me", Account, 200, Json(|| json!({"first_name": "A"})), ""),
    row("PUT /api/v1/users/me", Account, 200, Json(|| json!({"first_name": "A"})), ""),
    row("POST /api/v1/users/me/password", Account, 204, Json(new_password), ""),
    row("GET /api/v1/api-keys", Account, 200, None, ""),
    row("POST /api/v1/api-keys", Account, 201, Json(|| json!({"name": "A script"})), ""),
    row("DELETE /api/v1/api-keys/{key_id}", Owner, 204, None, ""),
    row("POST /oauth/token", Anybody, 400, Form("grant_type=refresh_token&refresh_token=none"), ""),
    row("POST /oauth/revoke", Anybody, 200, Form("token=none"), ""),
    row("POST /oauth/introspect", Clients, 200, Form("token=none"), ""),
    row("GET /.well-known/oauth-authorization-server", Anybody, 200, None, ""),
    row("GET /.well-known/jwks.json", Anybody, 200, None, ""),
    row("GET /api/v1/users", Managers, 200, None, ""),
    row("POST /api/v1/users", Admins, 201, Json(new_user), ""),
    row("GET /api/v1/users/{user_id}", OwnProfile, 200, None, ""),
    row("PATCH /api/v1/users/{user_id}", AdminsOnly, 200, Json(|| json!({"is_active": false})), ""),
    row("DELETE /api/v1/users/{user_id}", AdminsOnly, 204, None, ""),
    row("GET /api/v1/conversations", SignedIn, 200, None, ""),
    row("POST /api/v1/conversations", SignedIn, 201, Json(|| json!({"title": "Tea"})), ""),
    row("GET /api/v1/conversations/{conversation_id}", Owner, 200, None, ""),
    row("PATCH /api/v1/conversations/{conversation_id}", Owner, 200, Json(|| json!({"title": "Tea"})), ""),
    row("PUT /api/v1/conversations/{conversation_id}", Owner, 200, Json(|| json!({"title": "Tea"})), ""),
    row("DELETE /api/v1/conversations/{conversation_id}", Owner, 204, None, ""),
    row("GET /api/v1/conversations/{conversation_id}/messages", Owner, 200, None, ""),
    row("POST /api/v1/conversations/{conversation_id}/messages", Owner, 200, Json(|| json!({"content": "Hello", "model": "mock-1-0"})), ""),
    row("POST /api/v1/conversations/{conversation_id}/messages/{message_id}/regenerate", Owner, 200, Json(|| json!({"model": "mock-1-0"})), ""),
    // Of a reply, which is not edited.
    row("PATCH /api/v1/conversations/{conversation_id}/messages/{message_id}", Owner, 422, Json(|| json!({"content": "Hello"})), ""),
    row("PUT /api/v1/conversations/{conversation_id}/messages/{message_id}/feedback", Owner, 200, Json(|| json!({"rating": "up"})), ""),
    row("GET /api/v1/stream/chat/{conversation_id}", Owner, 200, None, "?message=Hello&model=mock-1-0"),
    row("GET /api/v1/conversations/{conversation_id}/stats", Owner, 200, None, ""),
    row("GET /api/v1/search", SignedIn, 200, None, "?q=tea"),
    row("GET /api/v1/models", SignedIn, 200, None, ""),
    row("POST /v1/chat/completions", SignedIn, 200, Json(|| json!({"model": "mock-1-0", "messages": [{"role": "user", "content": "Hello"}]})), ""),
    row("POST /v1/embeddings", SignedIn, 200, Json(|| json!({"model": "mock-1-0", "input": "Green tea"})), ""),
    row("GET /v1/models", SignedIn, 200, None, ""),
    row("GET /v1/models/{model_id}", SignedIn, 200, None, ""),
    row("GET /api/v1/chats", SignedIn, 200, None, ""),
    row("POST /api/v1/chats", SignedIn, 201, Json(|| json!({"title": "Tea"})), ""),
    row("GET /api/v1/chats/{conversation_id}", Owner, 200, None, ""),
    row("PUT /api/v1/chats/{conversation_id}", Owner, 200, Json(|| json!({"title": "Tea"})), ""),
    row("DELETE /api/v1/chats/{conversation_id}", Owner, 204, None, ""),
    row("POST /api/v1/chat/send", SignedIn, 200, Json(|| json!({"message": "Hello"})), ""),
    row("GET /api/v1/conversations/{conversation_id}/export", Owner, 200, None, ""),
    row("POST /api/v1/conversations/import", SignedIn, 201, Json(new_file), ""),
    row("POST /api/v1/conversations/{conversation_id}/share", Owner, 201, None, ""),
    // It has no link.
    row("DELETE /api/v1/conversations/{conversation_id}/share", Owner, 404, None, ""),
    row("GET /api/v1/shared/{token}", Anybody, 200, None, ""),
    row("GET /api/v1/users/{user_id}/conversations", Himself, 200, None, ""),
    row("POST /api/v1/users/{user_id}/conversations", Himself, 201, Json(|| json!({"title": "Tea"})), ""),
    row("GET /api/v1/users/{user_id}/conversations/recent", Himself, 200, None, ""),
    row("POST /api/v1/users/{user_id}/conversations/{conversation_id}/reconnect", Himself, 200, None, ""),
    row("GET /api/v1/users/{user_id}/conversations/{conversation_id}/validate", Himself, 200, None, ""),
    row("POST /api/v1/users/{user_id}/conversations/{conversation_id}/end", Himself, 200, None, ""),
    row("GET /api/v1/users/{user_id}/conversations/{conversation_id}/stats", Himself, 200, None, ""),
    row("DELETE /api/v1/users/{user_id}/conversations/{conversation_id}", Himself, 204, None, ""),
    row("GET /api/v1/personas", Guests, 200, None, ""),
    row("POST /api/v1/personas", Managers, 201, Json(new_persona), ""),
    row("GET /api/v1/personas/{persona_id}", Guests, 200, None, ""),
    row("PUT /api/v1/personas/{persona_id}", Managers, 200, Json(|| json!({"icon": "🍵"})), ""),
    row("DELETE /api/v1/personas/{persona_id}", Managers, 204, None, ""),
    row("GET /api/v1/projects", SignedIn, 200, None, ""),
    row("POST /api/v1/projects", SignedIn, 201, Json(|| json!({"name": "Tea"})), ""),
    row("GET /api/v1/projects/{project_id}", Owner, 200, None, ""),
    row("PATCH /api/v1/projects/{project_id}", Owner, 200, Json(|| json!({"name": "Tea"})), ""),
    row("DELETE /api/v1/projects/{project_id}", Owner, 204, None, ""),
    row("GET /api/v1/projects/{project_id}/members", Owner, 200, None, ""),
    row("PUT /api/v1/projects/{project_id}/members/{member_id}", Owner, 200, Json(|| json!({"role": "editor"})), ""),
    row("DELETE /api/v1/projects/{project_id}/members/{member_id}", Owner, 204, None, ""),
    row("GET /api/v1/projects/{project_id}/files", Owner, 200, None, ""),
    row("POST /api/v1/projects/{project_id}/files", Owner, 201, File, ""),
    row("GET /api/v1/projects/{project_id}/files/{file_id}", Owner, 200, None, ""),
    row("DELETE /api/v1/projects/{project_id}/files/{file_id}", Owner, 204, None, ""),
    row("GET /api/v1/projects/{project_id}/files/{file_id}/content", Owner, 200, None, ""),
    row("GET /api/v1/projects/{project_id}/prompts", Owner, 200, None, ""),
    row("POST /api/v1/projects/{project_id}/prompts", Owner, 201, Json(|| json!({"content": "Hm."})), ""),
    row("GET /api/v1/projects/{project_id}/prompts/{prompt_id}", Owner, 200, None, ""),
    row("PUT /api/v1/projects/{project_id}/prompts/{prompt_id}", Owner, 200, Json(|| json!({"content": "Hm."})), ""),
    row("DELETE /api/v1/projects/{project_id}/prompts/{prompt_id}", Owner, 204, None, ""),
    row("GET /api/v1/projects/{project_id}/prompts/{prompt_id}/versions", Owner, 200, None, ""),
    row("POST /users/register", Anybody, 422, Json(|| json!({})), ""),
    row("POST /users/login", Anybody, 422, Json(|| json!({})), ""),
    row("GET /projects", SignedIn, 200, None, ""),
    row("POST /projects", SignedIn, 201, Json(|| json!({"name": "Tea"})), ""),
    row("GET /projects/{project_id}/files", Owner, 200, None, ""),
    row("POST /projects/{project_id}/files", Owner, 201, File, ""),
    row("GET /projects/files/{file_id}", Owner, 200, None, ""),
    row("DELETE /projects/files/{file_id}", Owner, 204, None, ""),
    row("GET /projects/{project_id}/prompts", Owner, 200, None, ""),
    row("POST /projects/{project_id}/prompts", Owner, 201, Json(|| json!({"content": "Hm."})), ""),
    row("PUT /projects/prompts/{prompt_id}", Owner, 200, Json(|| json!({"content": "Hm."})), ""),
    row("DELETE /projects/prompts/{prompt_id}", Owner, 204, None, ""),
    // In a project that nobody has.
    row("POST /chat", SignedIn, 404, Json(|| json!({"project_id": 0, "message": "Hello"})), ""),
    row("GET /api/personas", Guests, 200, None, ""),
    row("GET /api/personas/{persona_id}", Guests, 200, None, ""),
    row("GET /api/sessions", SignedIn, 200, None, ""),
    row("POST /api/sessions", SignedIn, 201, Json(|| json!({"title": "Tea"})), ""),
    row("PUT /api/sessions/{conversation_id}", Owner, 200, Json(|| json!({"title": "Tea"})), ""),
    row("DELETE /api/sessions/{conversation_id}", Owner, 204, None, ""),
    row("POST /api/chat", Guests, 200, Json(|| json!({"message": "Hello"})), ""),
    row("GET /api/chat/stream", Guests, 426, None, ""),
    row("GET /api/v1/generations/{generation_id}", Owner, 200, None, ""),
    row("GET /api/v1/generations/{generation_id}/events", Owner, 200, None, ""),
    row("POST /api/v1/generations/{generation_id}/cancel", Owner, 200, None, ""),
    row("GET /api/v1/events", SignedIn, 200, None, ""),
    row("GET /api/v1/conversations/{conversation_id}/events", Owner, 200, None, ""),
    row("GET /ws/chat", Anybody, 426, None, ""),
    row("GET /ws/chat/{user_id}", Himself, 426, None, ""),
    row("GET /api/v1/chat/ws/{user_id}", Himself, 426, None, ""),
    row("GET /ws/{conversation_id}", Owner, 426, None, ""),
    row("GET /api/v1/audit-logs", Admins, 200, None, ""),
    row("GET /api/v1/audit-logs/verify", Admins, 200, None, ""),
    row("GET /api/v1/audit-logs/export", Admins, 200, None, ""),
    row("GET /health", Anybody, 200, None, ""),
    row("GET /api/health", Anybody, 200, None, ""),
    row("GET /api/v1/health", Anybody, 200, None, ""),
    row("GET /health/live", Anybody, 200, None, ""),
    row("GET /health/ready", Anybody, 200, None, ""),
    row("GET /openapi.json", Anybody, 200, None, ""),
    row("GET /docs", Anybody, 200, None, ""),
    row("GET /redoc", Anybody, 200, None, ""),
    row("GET /", Anybody, 200, None, ""),
    row("GET /favicon.ico", Anybody, 200, None, ""),
    row("GET /docs/{file}", Anybody, 404, None, ""),
    row("GET /redoc/{file}", Anybody, 404, None, ""),
    row("GET /assets/{file}", Anybody, 404, None, ""),
];

fn new_password() -> Value {
    json!({"current_password": PASSWORD, "new_password": "difference-engine-2"})
}

fn new_file() -> Value {
    json!({"format": "repartee.conversation", "version": 1, "conversation": {}, "messages": []})
}

/// One that is not there yet.
pub(super) fn new_persona() -> Value {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("Persona {}", COUNT.fetch_add(1, Ordering::Relaxed));
    json!({"name": name, "system_prompt": "Be somebody."})
}

/// Somebody who is not there yet.
fn new_user() -> Value {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("made{}", COUNT.fetch_add(1, Ordering::Relaxed));
    json!({"email": address(&name), "password": PASSWORD})
}
