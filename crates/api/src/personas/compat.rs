//! `/api/personas`: the catalogue for clients that know no pages.

use actix_web::{
    HttpResponse,
    web::{Data, Json, Path},
};
use repartee_application::personas::PersonaService;

use super::PersonaBody;
use crate::{ApiError, problem::Problem, visitor::Visitor};

/// All active personas, as one array in the order of their ids. No token is needed.
#[utoipa::path(
    get, path = "/api/personas", tag = "Family A: sessions and personas",
    security((), ("access_token" = [])),
    responses(
        (status = 200, body = Vec<PersonaBody>),
        (status = 401, description = "`unauthenticated`: the token is no good, or guests aren't let in", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    Visitor(actor): Visitor,
    personas: Data<PersonaService>,
) -> Result<Json<Vec<PersonaBody>>, ApiError> {
    let catalogue = personas.catalogue(&actor).await?;
    Ok(Json(catalogue.into_iter().map(PersonaBody::from).collect()))
}

/// One persona. No token is needed.
#[utoipa::path(
    get, path = "/api/personas/{persona_id}", tag = "Family A: sessions and personas",
    params(("persona_id" = i64, Path, description = "Its id")),
    security((), ("access_token" = [])),
    responses(
        (status = 200, body = PersonaBody, headers(("ETag" = String))),
        (status = 401, description = "`unauthenticated`: the token is no good, or guests aren't let in", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`persona_not_found`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn find(
    visitor: Visitor,
    id: Path<String>,
    personas: Data<PersonaService>,
) -> Result<HttpResponse, ApiError> {
    super::find(visitor, id, personas).await
}
