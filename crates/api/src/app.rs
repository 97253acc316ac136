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
    accounts::{
        AccountService, Authenticator, RecoveryService, StreamAccessService, UserAdminService,
    },
    api_keys::ApiKeyService,
    audit::{AuditService, AuditTrail},
    completions::CompletionService,
    conversations::ConversationService,
    feeds::FeedService,
    files::FileService,
    guests::GuestService,
    health::HealthService,
    limits::LimitService,
    messages::MessageService,
    models::ModelService,
    oauth::OauthService,
    personas::PersonaService,
    ports::IdGenerator,
    projects::{ProjectChatService, ProjectService},
    prompts::PromptService,
    replies::ReplyService,
    search::SearchService,
    sharing::SharingService,
    transfer::TransferService,
};

use crate::{
    ApiError,
    edge::{EdgeSettings, cors, not_modified, refuse_ambiguous_framing, security_headers},
    limits::limit_addresses,
    openai,
    refusals::tell_refusals,
    request_id::request_context,
    routes::routes,
    streams::Streams,
};

/// What the handlers call. Each is its own `web::Data`, so that a signature tells what a handler
/// uses.
#[derive(Clone)]
pub struct Services {
    pub authenticator: Data<Authenticator>,
    pub accounts: Data<AccountService>,
    pub api_keys: Data<ApiKeyService>,
    pub oauth: Data<OauthService>,
    pub recovery: Data<RecoveryService>,
    pub users: Data<UserAdminService>,
    pub completions: Data<CompletionService>,
    pub conversations: Data<ConversationService>,
    pub messages: Data<MessageService>,
    pub personas: Data<PersonaService>,
    pub projects: Data<ProjectService>,
    pub prompts: Data<PromptService>,
    pub project_chats: Data<ProjectChatService>,
    pub files: Data<FileService>,
    pub models: Data<ModelService>,
    pub replies: Data<ReplyService>,
    pub search: Data<SearchService>,
    pub sharing: Data<SharingService>,
    pub transfers: Data<TransferService>,
    pub feeds: Data<FeedService>,
    pub guests: Data<GuestService>,
    pub access: Data<StreamAccessService>,
    pub audit: Data<AuditService>,
    pub trail: Data<AuditTrail>,
    pub streams: Data<Streams>,
    pub health: Data<HealthService>,
    pub limits: Data<LimitService>,
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
    let Services {
        authenticator,
        accounts,
        api_keys,
        oauth,
        recovery,
        users,
        completions,
        conversations,
        messages,
        personas,
        projects,
        prompts,
        project_chats,
        files,
        models,
        replies,
        search,
        sharing,
        transfers,
        feeds,
        guests,
        access,
        audit,
        trail,
        streams,
        health,
        limits,
        edge,
        ids,
    } = services;
    let query = web::QueryConfig::default()
        .error_handler(|error, _| ApiError::invalid("query", "invalid", error.to_string()).into());
    let cors = cors(&edge);
    App::new()
        .app_data(authenticator)
        .app_data(accounts)
        .app_data(api_keys)
        .app_data(oauth)
        .app_data(recovery)
        .app_data(users)
        .app_data(completions)
        .app_data(conversations)
        .app_data(messages)
        .app_data(personas)
        .app_data(projects)
        .app_data(prompts)
        .app_data(project_chats)
        .app_data(files)
        .app_data(models)
        .app_data(replies)
        .app_data(search)
        .app_data(sharing)
        .app_data(transfers)
        .app_data(feeds)
        .app_data(guests)
        .app_data(access)
        .app_data(audit)
        .app_data(trail)
        .app_data(streams)
        .app_data(health)
        .app_data(limits)
        .app_data(edge)
        .app_data(query)
        .configure(|config| routes().register(config))
        .wrap(from_fn(tell_refusals))
        .wrap(from_fn(limit_addresses))
        .wrap(from_fn(not_modified))
        .wrap(NormalizePath::new(TrailingSlash::Trim))
        .wrap(from_fn(refuse_ambiguous_framing))
        .wrap(cors)
        .wrap(from_fn(security_headers))
        .wrap(from_fn(openai::speak))
        .wrap(from_fn(move |request, next| {
            let ids = Arc::clone(&ids);
            async move { request_context(ids.as_ref(), request, next).await }
        }))
}
