//! The whole surface on one screen.

use std::collections::BTreeMap;

use actix_web::{
    FromRequest, Handler, HttpResponse, Responder, ResponseError, Route,
    http::{Method, header},
    web::{self, ServiceConfig},
};

use crate::{
    ApiError, accounts, api_keys, audit, chat, chats, conversations, docs, feeds, files, health,
    messages, models, oauth, openai, pages, personas, projects, replies, search, sessions, sharing,
    sockets, transfer, user_conversations,
};

const OF_USER: &str = "/api/v1/users/{user_id}/conversations";
const ONE_OF_USER: &str = "/api/v1/users/{user_id}/conversations/{conversation_id}";

/// Every route with its methods. What is not in here does not exist.
pub(crate) fn routes() -> RouteTable {
    let parts = [identity, conversing, earlier_clients, running];
    parts.into_iter().fold(RouteTable::default(), |table, part| part(table))
}

fn identity(table: RouteTable) -> RouteTable {
    table
        .post("/api/v1/auth/register", accounts::register)
        .post("/api/v1/auth/login", accounts::log_in)
        .post("/api/v1/auth/refresh", accounts::refresh)
        .post("/api/v1/auth/logout", accounts::log_out)
        .post("/api/v1/auth/ticket", accounts::ticket)
        .get("/api/v1/auth/sessions", accounts::devices::list)
        .delete("/api/v1/auth/sessions/{session_id}", accounts::devices::sign_out)
        .post("/api/v1/auth/password/forgot", accounts::recovery::forgot_password)
        .post("/api/v1/auth/password/reset", accounts::recovery::reset_password)
        .post("/api/v1/auth/email/verify", accounts::recovery::verify_email)
        .post("/api/v1/auth/email/resend", accounts::recovery::resend_verification)
        .get("/api/v1/users/me", accounts::profile)
        .patch("/api/v1/users/me", accounts::change_profile)
        .put("/api/v1/users/me", accounts::replace_profile)
        .get("/api/v1/api-keys", api_keys::list)
        .post("/api/v1/api-keys", api_keys::make)
        .delete("/api/v1/api-keys/{key_id}", api_keys::revoke)
        .post("/oauth/token", oauth::token)
        .post("/oauth/revoke", oauth::revoke)
        .post("/oauth/introspect", oauth::introspect)
        .get("/.well-known/oauth-authorization-server", oauth::metadata)
        .get("/.well-known/jwks.json", oauth::public_keys)
        .post("/api/v1/users/me/password", accounts::recovery::change_password)
        .get("/api/v1/users", accounts::users::list)
        .post("/api/v1/users", accounts::users::make)
        .get("/api/v1/users/{user_id}", accounts::users::find)
        .patch("/api/v1/users/{user_id}", accounts::users::change)
        .delete("/api/v1/users/{user_id}", accounts::users::delete)
}

/// Conversations, their messages, and the replies being written, from whichever device.
fn conversing(table: RouteTable) -> RouteTable {
    table
        .get("/api/v1/conversations", conversations::list)
        .post("/api/v1/conversations", conversations::create)
        .get("/api/v1/conversations/{conversation_id}", conversations::find)
        .patch("/api/v1/conversations/{conversation_id}", conversations::change)
        .put("/api/v1/conversations/{conversation_id}", conversations::replace)
        .delete("/api/v1/conversations/{conversation_id}", conversations::delete)
        .get("/api/v1/conversations/{conversation_id}/stats", conversations::stats::stats)
        .get("/api/v1/conversations/{conversation_id}/messages", messages::list)
        .post("/api/v1/conversations/{conversation_id}/messages", messages::send)
        .patch(
            "/api/v1/conversations/{conversation_id}/messages/{message_id}",
            messages::branches::edit,
        )
        .post(
            "/api/v1/conversations/{conversation_id}/messages/{message_id}/regenerate",
            messages::branches::regenerate,
        )
        .put(
            "/api/v1/conversations/{conversation_id}/messages/{message_id}/feedback",
            messages::feedback::rate,
        )
        .get(messages::STREAM_CHAT, messages::stream_chat)
        .get("/api/v1/search", search::search)
        // As files, and for others to read
        .get("/api/v1/conversations/{conversation_id}/export", transfer::export)
        .post("/api/v1/conversations/import", transfer::import)
        .post("/api/v1/conversations/{conversation_id}/share", sharing::share)
        .delete("/api/v1/conversations/{conversation_id}/share", sharing::unshare)
        .get("/api/v1/shared/{token}", sharing::shared)
        // What shapes a reply
        .get("/api/v1/personas", personas::list)
        .post("/api/v1/personas", personas::make)
        .get("/api/v1/personas/{persona_id}", personas::find)
        .put("/api/v1/personas/{persona_id}", personas::change)
        .delete("/api/v1/personas/{persona_id}", personas::delete)
        .get("/api/v1/projects", projects::list)
        .post("/api/v1/projects", projects::make)
        .get("/api/v1/projects/{project_id}", projects::find)
        .patch("/api/v1/projects/{project_id}", projects::change)
        .delete("/api/v1/projects/{project_id}", projects::delete)
        .get("/api/v1/projects/{project_id}/members", projects::members::list)
        .put("/api/v1/projects/{project_id}/members/{member_id}", projects::members::put)
        .delete("/api/v1/projects/{project_id}/members/{member_id}", projects::members::remove)
        .get("/api/v1/projects/{project_id}/prompts", projects::prompts::list)
        .post("/api/v1/projects/{project_id}/prompts", projects::prompts::make)
        .get("/api/v1/projects/{project_id}/prompts/{prompt_id}", projects::prompts::find)
        .put("/api/v1/projects/{project_id}/prompts/{prompt_id}", projects::prompts::change)
        .delete("/api/v1/projects/{project_id}/prompts/{prompt_id}", projects::prompts::delete)
        .get(
            "/api/v1/projects/{project_id}/prompts/{prompt_id}/versions",
            projects::prompts::versions,
        )
        .get("/api/v1/projects/{project_id}/files", files::list)
        .post("/api/v1/projects/{project_id}/files", files::upload)
        .get("/api/v1/projects/{project_id}/files/{file_id}", files::find)
        .delete("/api/v1/projects/{project_id}/files/{file_id}", files::delete)
        .get("/api/v1/projects/{project_id}/files/{file_id}/content", files::content)
        .get("/api/v1/models", models::list)
        // Replies being written
        .get("/api/v1/generations/{generation_id}", replies::find)
        .get("/api/v1/generations/{generation_id}/events", replies::events)
        .post("/api/v1/generations/{generation_id}/cancel", replies::cancel)
        // What happens, from whichever device
        .get("/api/v1/events", feeds::events)
        .get("/api/v1/conversations/{conversation_id}/events", feeds::conversation_events)
        // WebSockets
        .get("/ws/chat", sockets::guest)
        .get("/ws/chat/{user_id}", sockets::user)
        .get("/api/v1/chat/ws/{user_id}", sockets::user_v1)
        .get("/ws/{conversation_id}", sockets::conversation)
}

/// For programs written against the OpenAI SDKs, and the clients of earlier backends.
fn earlier_clients(table: RouteTable) -> RouteTable {
    table
        // Programs written against the OpenAI SDKs
        .post("/v1/chat/completions", openai::chat::complete)
        .post("/v1/embeddings", openai::embeddings::embed)
        .get("/v1/models", openai::models::list)
        .get("/v1/models/{model_id}*", openai::models::find)
        // Family A: sessions and personas, for guests too
        .get("/api/personas", personas::compat::list)
        .get("/api/personas/{persona_id}", personas::compat::find)
        .get("/api/sessions", sessions::list)
        .post("/api/sessions", sessions::create)
        .put("/api/sessions/{conversation_id}", sessions::change)
        .delete("/api/sessions/{conversation_id}", sessions::archive)
        .post("/api/chat", chat::send)
        .get("/api/chat/stream", sockets::chat_stream)
        // Family B
        .get("/api/v1/chats", chats::list)
        .post("/api/v1/chats", chats::create)
        .get("/api/v1/chats/{conversation_id}", chats::find)
        .put("/api/v1/chats/{conversation_id}", chats::change)
        .delete("/api/v1/chats/{conversation_id}", chats::archive)
        // Family C
        .post("/api/v1/chat/send", chat::v1::send)
        // Family D
        .get(OF_USER, user_conversations::list)
        .post(OF_USER, user_conversations::create)
        .get("/api/v1/users/{user_id}/conversations/recent", user_conversations::recent)
        .delete(ONE_OF_USER, user_conversations::delete)
        .post(
            "/api/v1/users/{user_id}/conversations/{conversation_id}/reconnect",
            user_conversations::reconnect,
        )
        .get(
            "/api/v1/users/{user_id}/conversations/{conversation_id}/validate",
            user_conversations::validate,
        )
        .post(
            "/api/v1/users/{user_id}/conversations/{conversation_id}/end",
            user_conversations::end,
        )
        .get(
            "/api/v1/users/{user_id}/conversations/{conversation_id}/stats",
            user_conversations::stats,
        )
        // Family E: projects
        .post("/users/register", accounts::compat::register)
        .post("/users/login", accounts::compat::log_in)
        .get("/projects", projects::compat::list)
        .post("/projects", projects::compat::make)
        .get("/projects/{project_id}/prompts", projects::compat::list_prompts)
        .post("/projects/{project_id}/prompts", projects::compat::make_prompt)
        .put("/projects/prompts/{prompt_id}", projects::compat::change_prompt)
        .delete("/projects/prompts/{prompt_id}", projects::compat::delete_prompt)
        .get("/projects/{project_id}/files", files::compat::list)
        .post("/projects/{project_id}/files", files::compat::upload)
        .get("/projects/files/{file_id}", files::compat::content)
        .delete("/projects/files/{file_id}", files::compat::delete)
        .post("/chat", projects::compat::chat)
}

/// Administration, operations, documentation and pages.
fn running(table: RouteTable) -> RouteTable {
    table
        .get("/api/v1/audit-logs", audit::list)
        .get("/api/v1/audit-logs/verify", audit::verify)
        .get("/api/v1/audit-logs/export", audit::export)
        // Operations
        .get("/health", health::health)
        .get("/api/health", health::health_alias)
        .get("/api/v1/health", health::health_v1)
        .get("/health/live", health::live)
        .get("/health/ready", health::ready)
        // Documentation and pages
        .get("/openapi.json", docs::document)
        .get("/docs", docs::swagger)
        .get("/docs/{file}", docs::swagger_file)
        .get("/redoc", docs::redoc)
        .get("/redoc/{file}", docs::redoc_file)
        .get("/", pages::index)
        .get("/assets/{file}", pages::asset)
        .get("/favicon.ico", pages::favicon)
}

/// Routes by path, so that a wrong method is told apart from a wrong path.
#[derive(Default)]
pub(crate) struct RouteTable {
    paths: BTreeMap<&'static str, Vec<(Method, Route)>>,
    /// Routes that were given twice, which a test refuses.
    duplicates: Vec<(Method, &'static str)>,
}

impl RouteTable {
    #[must_use]
    fn get<F, Args>(self, path: &'static str, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.add(Method::GET, path, handler)
    }

    #[must_use]
    fn post<F, Args>(self, path: &'static str, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.add(Method::POST, path, handler)
    }

    #[must_use]
    fn put<F, Args>(self, path: &'static str, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.add(Method::PUT, path, handler)
    }

    #[must_use]
    fn patch<F, Args>(self, path: &'static str, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.add(Method::PATCH, path, handler)
    }

    #[must_use]
    fn delete<F, Args>(self, path: &'static str, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.add(Method::DELETE, path, handler)
    }

    fn add<F, Args>(mut self, method: Method, path: &'static str, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let methods = self.paths.entry(path).or_default();
        if methods.iter().any(|(known, _)| *known == method) {
            self.duplicates.push((method.clone(), path));
        }
        let mut route = web::method(method.clone());
        if method == Method::GET {
            // RFC 9110, 9.3.2: what answers GET answers HEAD.
            route = Route::new()
                .guard(actix_web::guard::Any(actix_web::guard::Get()).or(actix_web::guard::Head()));
        }
        methods.push((method, route.to(handler)));
        self
    }

    /// Every route as method and path.
    #[cfg(test)]
    fn list(&self) -> Vec<(Method, &'static str)> {
        let methods = self
            .paths
            .iter()
            // A star takes in slashes, which documentation has no word for.
            .map(|(path, methods)| (path.trim_end_matches('*'), methods))
            .map(|(path, methods)| methods.iter().map(move |(method, _)| (method.clone(), path)));
        methods.flatten().chain(self.duplicates.iter().cloned()).collect()
    }

    /// Registers every route, and says 405 for a known path's other methods and 404 for any
    /// other path.
    pub(crate) fn register(self, config: &mut ServiceConfig) {
        for (path, methods) in self.paths {
            let allow = allowed(methods.iter().map(|(method, _)| method));
            let mut resource = web::resource(path);
            for (_, route) in methods {
                resource = resource.route(route);
            }
            config.service(resource.default_service(web::to(move || {
                let allow = allow.clone();
                async move { method_not_allowed(&allow) }
            })));
        }
        config.default_service(web::to(|| async { ApiError::RouteNotFound.error_response() }));
    }
}

fn allowed<'a>(methods: impl Iterator<Item = &'a Method>) -> String {
    let mut names: Vec<_> = methods.map(Method::as_str).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    names.push("OPTIONS");
    names.join(", ")
}

/// RFC 9110, 15.5.6: says which methods there are.
fn method_not_allowed(allow: &str) -> HttpResponse {
    let mut response = ApiError::MethodNotAllowed.error_response();
    if let Ok(value) = header::HeaderValue::from_str(allow) {
        response.headers_mut().insert(header::ALLOW, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn as_set(routes: Vec<(Method, &str)>) -> BTreeSet<(String, String)> {
        routes.into_iter().map(|(method, path)| (method.to_string(), path.to_owned())).collect()
    }

    #[test]
    fn no_route_is_given_twice() {
        let routes = routes().list();
        assert_eq!(as_set(routes.clone()).len(), routes.len());
    }

    #[test]
    fn every_route_is_documented_and_every_documented_route_exists() {
        let document = crate::openapi();
        let mut documented = BTreeSet::new();
        for (path, item) in document.paths.paths {
            let operations = [
                ("GET", item.get),
                ("POST", item.post),
                ("PUT", item.put),
                ("PATCH", item.patch),
                ("DELETE", item.delete),
            ];
            let here = operations.into_iter().filter(|(_, operation)| operation.is_some());
            documented.extend(here.map(|(method, _)| (method.to_owned(), path.clone())));
        }
        assert_eq!(as_set(routes().list()), documented);
    }
}
