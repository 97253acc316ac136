//! The application as it is served, and as it is tested.

use std::sync::Arc;

use actix_web::{
    App, Error,
    body::MessageBody,
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    middleware::{NormalizePath, TrailingSlash, from_fn},
    web::{self, Data},
};
use repartee_application::{
    accounts::AccountService, conversations::ConversationService, health::HealthService,
    messages::MessageService, ports::IdGenerator, replies::ReplyService,
};

use crate::{
    ApiError,
    edge::{EdgeSettings, cors, security_headers},
    request_id::request_context,
    routes::routes,
};

/// What the handlers call. Each is its own `web::Data`, so that a signature tells what a handler
/// uses.
#[derive(Clone)]
pub struct Services {
    pub accounts: Data<AccountService>,
    pub conversations: Data<ConversationService>,
    pub messages: Data<MessageService>,
    pub replies: Data<ReplyService>,
    pub health: Data<HealthService>,
    pub edge: Data<EdgeSettings>,
    pub ids: Arc<dyn IdGenerator>,
}

/// Every route with everything around it.
pub fn app(
    services: Services,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    let Services { accounts, conversations, messages, replies, health, edge, ids } = services;
    let query = web::QueryConfig::default()
        .error_handler(|error, _| ApiError::invalid("query", "invalid", error.to_string()).into());
    let cors = cors(&edge);
    App::new()
        .app_data(accounts)
        .app_data(conversations)
        .app_data(messages)
        .app_data(replies)
        .app_data(health)
        .app_data(edge)
        .app_data(query)
        .configure(|config| routes().register(config))
        .wrap(NormalizePath::new(TrailingSlash::Trim))
        .wrap(cors)
        .wrap(from_fn(security_headers))
        .wrap(from_fn(move |request, next| {
            let ids = Arc::clone(&ids);
            async move { request_context(ids.as_ref(), request, next).await }
        }))
}
