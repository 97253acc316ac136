//! `/api/v1/personas`: the catalogue, and editing it.

mod body;
pub(crate) mod compat;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{ETAG, LOCATION},
    web::{Data, Json, Path, Query},
};
use repartee_application::{
    AppError,
    personas::{PersonaService, SeenPersona},
    ports::PersonaFilter,
};
use repartee_domain::{PersonaId, personas::Persona};
use serde::Deserialize;
use utoipa::IntoParams;

pub(crate) use self::body::PersonaBody;
use self::body::{ChangePersonaBody, NewPersonaBody};
use crate::{
    ApiError,
    auth::Caller,
    body::JsonBody,
    cursor::{Cursor, ListBody, PageQuery},
    edge::{entity_tag, if_match},
    idempotency::idempotency_key,
    problem::Problem,
    query,
    visitor::Visitor,
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FilterQuery {
    /// `true` or `false`. Only managers and administrators see inactive ones.
    #[param(value_type = Option<bool>)]
    is_active: Option<String>,
}

/// The catalogue of personas, in the order of their ids.
///
/// No token is needed. `system_prompt` is there for managers and administrators, and so are inactive
/// personas.
#[utoipa::path(
    get, path = "/api/v1/personas", tag = "personas", params(FilterQuery, PageQuery),
    security((), ("access_token" = [])),
    responses(
        (status = 200, body = ListBody<PersonaBody>),
        (status = 401, description = "`unauthenticated`: the token is no good, or guests aren't let in", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    Visitor(actor): Visitor,
    filter: Query<FilterQuery>,
    page: Query<PageQuery>,
    personas: Data<PersonaService>,
) -> Result<Json<ListBody<PersonaBody>>, ApiError> {
    let is_active = query::flag("is_active", filter.is_active.as_deref())?;
    let page = personas.list(&actor, PersonaFilter { is_active }, page.parse()?).await?;
    Ok(Json(ListBody::of(page)))
}

/// Adds a persona. For managers and administrators.
///
/// Names are unique. There may be 200 personas.
#[utoipa::path(
    post, path = "/api/v1/personas", tag = "personas", request_body = NewPersonaBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "A name for this request, like a UUID: repeated with the same body within 24 hours it answers the same persona", example = "3f1f0c5e-9f5d-4d4e-8a3e-0a2b6c7d8e9f")),
    responses(
        (status = 201, body = PersonaBody, headers(("Location" = String), ("ETag" = String))),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden` or `not_for_keys`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`name_taken`, `too_many_personas`, or `already_done`: what was made under this key was deleted since", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields` or `idempotency_key_reused`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn make(
    Caller(actor): Caller,
    request: HttpRequest,
    body: JsonBody,
    personas: Data<PersonaService>,
) -> Result<HttpResponse, ApiError> {
    let wish: NewPersonaBody = body.parse()?;
    let key = idempotency_key(&request, None, &[body.bytes()])?;
    let persona = personas.make(&actor, wish.into(), key).await?;
    let location = format!("/api/v1/personas/{}", persona.id);
    let tag = entity_tag(persona.version);
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, location))
        .insert_header((ETAG, tag))
        .json(PersonaBody::from(edited(persona))))
}

/// One persona. No token is needed.
#[utoipa::path(
    get, path = "/api/v1/personas/{persona_id}", tag = "personas",
    params(
        ("persona_id" = i64, Path, description = "Its id"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` that was read"),
    ),
    security((), ("access_token" = [])),
    responses(
        (status = 200, body = PersonaBody, headers(("ETag" = String))),
        (status = 304, description = "It is as it was read"),
        (status = 401, description = "`unauthenticated`: the token is no good, or guests aren't let in", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`persona_not_found`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn find(
    Visitor(actor): Visitor,
    id: Path<String>,
    personas: Data<PersonaService>,
) -> Result<HttpResponse, ApiError> {
    Ok(answer(personas.find(&actor, persona_id(&id)?).await?))
}

/// Changes the fields that are named. For managers and administrators.
///
/// Conversations with the persona speak with the new prompt from their next reply on. One that is no
/// longer active stays with the conversations that have it, and no other may choose it.
#[utoipa::path(
    put, path = "/api/v1/personas/{persona_id}", tag = "personas", request_body = ChangePersonaBody,
    params(
        ("persona_id" = i64, Path, description = "Its id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was read"),
    ),
    responses(
        (status = 200, body = PersonaBody, headers(("ETag" = String))),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden` or `not_for_keys`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`persona_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`name_taken` or `stale_write`", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "`version_mismatch`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn change(
    Caller(actor): Caller,
    request: HttpRequest,
    id: Path<String>,
    body: JsonBody,
    personas: Data<PersonaService>,
) -> Result<HttpResponse, ApiError> {
    let id = persona_id(&id)?;
    let changes: ChangePersonaBody = match body.parse() {
        Ok(changes) => changes,
        Err(error) => {
            // A missing resource is told before a bad body.
            personas.find(&actor, id).await?;
            return Err(error);
        }
    };
    let expected = if_match(&request)?;
    let persona = personas.change(&actor, id, changes.into(), expected).await?;
    Ok(answer(edited(persona)))
}

/// Deletes a persona, for good. For managers and administrators. Its conversations go on without.
#[utoipa::path(
    delete, path = "/api/v1/personas/{persona_id}", tag = "personas",
    params(("persona_id" = i64, Path, description = "Its id")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden` or `not_for_keys`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`persona_not_found`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn delete(
    Caller(actor): Caller,
    id: Path<String>,
    personas: Data<PersonaService>,
) -> Result<HttpResponse, ApiError> {
    personas.delete(&actor, persona_id(&id)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// An id from a path. What no id could be is not there.
fn persona_id(text: &str) -> Result<PersonaId, ApiError> {
    text.parse().map_err(|_| AppError::PERSONA_NOT_FOUND.into())
}

/// To whoever edits it.
fn edited(persona: Persona) -> SeenPersona {
    SeenPersona { persona, shows_prompt: true }
}

fn answer(seen: SeenPersona) -> HttpResponse {
    let tag = entity_tag(seen.persona.version);
    HttpResponse::Ok().insert_header((ETAG, tag)).json(PersonaBody::from(seen))
}

impl Cursor for PersonaId {
    fn to_bytes(&self) -> Vec<u8> {
        self.get().to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(i64::from_be_bytes).map(Self::new)
    }
}
