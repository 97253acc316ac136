//! Conversations as files: `…/export` and `…/import`.

mod body;
mod bounded;
mod chatgpt;
mod export;
mod file;

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Path, Payload, Query},
};
use repartee_application::transfer::TransferService;
use serde::Deserialize;
use utoipa::IntoParams;

pub(crate) use self::body::{ConversationFileBody, ImportBody};
use self::export::Format;
use crate::{
    ApiError, auth::Caller, conversations::reference, edge::EdgeSettings, problem::Problem,
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportQuery {
    /// `json` (everything, to be imported again) or `markdown` (the active branch, to be read).
    #[param(example = "json")]
    format: Option<String>,
}

/// A conversation as a file.
///
/// It is sent as it is read, however long it is. JSON has all branches, and says of each message
/// which one it follows; what only this server knows (persona, project, usage, cost) stays here.
#[utoipa::path(
    get, path = "/api/v1/conversations/{conversation_id}/export", tag = "transfer",
    params(("conversation_id" = String, Path, description = "Its id or code"), ExportQuery),
    responses(
        (status = 200, description = "The file, under a name made from the title", content(
            (ConversationFileBody<'static> = "application/json"),
            (String = "text/markdown", example = "# Tea\n\n## User\n\n*2026-11-21 10:00 UTC*\n\nWhich tea keeps me awake?\n"),
        ), headers(("Content-Disposition" = String))),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`conversation_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn export(
    Caller(actor): Caller,
    id: Path<String>,
    query: Query<ExportQuery>,
    transfers: Data<TransferService>,
) -> Result<HttpResponse, ApiError> {
    let id = reference(&id)?;
    let format = Format::parse(query.format.as_deref())?;
    let (conversation, first) = transfers.export(&actor, id, format.branch()).await?;
    Ok(export::answer(transfers, actor, format, conversation, first))
}

/// Brings conversations from elsewhere.
///
/// The body is a file that `…/export` made, a list of such, or the `conversations.json` of a
/// ChatGPT export. Each conversation is stored as a whole or not at all; those that cannot be are
/// skipped, and told with their place and the reason. Of ChatGPT's, what users and the assistant
/// said to each other is taken over, with all branches; pictures and other files are noted as
/// `[image]` and the like. Times are kept, and nothing counts as used.
#[utoipa::path(
    post, path = "/api/v1/conversations/import", tag = "transfer", request_body = ConversationFileBody<'static>,
    params(("Idempotency-Key" = Option<String>, Header, description = "A name for this request, like a UUID: repeated with the same body within 24 hours it stores nothing twice, and goes on where the first was cut off", example = "3f1f0c5e-9f5d-4d4e-8a3e-0a2b6c7d8e9f")),
    responses(
        (status = 201, body = ImportBody),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`: two files of yours are being imported already", body = Problem, content_type = "application/problem+json", headers(("Retry-After" = u32, description = "Seconds"))),
        (status = 503, description = "`unavailable`: too many files are being imported", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`: nothing could be imported; or `idempotency_key_reused`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn import(
    Caller(actor): Caller,
    request: HttpRequest,
    payload: Payload,
    transfers: Data<TransferService>,
    edge: Data<EdgeSettings>,
) -> Result<HttpResponse, ApiError> {
    let permit = transfers.begin_import(&actor).await?;
    let file = file::receive(&request, payload, &edge).await?;
    let import = transfers.import(&actor, permit, file.entries, file.key).await?;
    Ok(HttpResponse::Created().json(ImportBody::from(import)))
}
