//! `/api/v1/search`.

mod body;

use actix_web::web::{Data, Json, Query};
use repartee_application::search::SearchService;
use serde::Deserialize;
use utoipa::IntoParams;

use self::body::HitBody;
use crate::{
    ApiError,
    auth::Caller,
    conversations::reference,
    cursor::{ListBody, PageQuery},
    problem::Problem,
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SearchQuery {
    /// Words, all of which have to be there, the last one perhaps cut short; `"in quotation marks"`
    /// next to each other. Case and accents make no difference.
    #[param(required, min_length = 1, max_length = 200, example = "green tea")]
    q: Option<String>,
    /// Only in this conversation.
    conversation_id: Option<String>,
}

/// Own messages and titles in which something stands, the best first.
///
/// Archived and ended conversations are searched as well; a reply once it has ended. Where a script
/// does not separate words (Thai, Chinese, Japanese), any part is found. What was just said is found
/// within about half a second. A title weighs more than a message; of what is equally good the newer
/// comes first. Of a word that is everywhere the newest 1,000 messages and titles are ranked.
///
/// A `snippet` is text in pieces, those that match marked: nothing has to be escaped or counted.
#[utoipa::path(
    get, path = "/api/v1/search", tag = "conversations", params(SearchQuery, PageQuery),
    responses(
        (status = 200, body = ListBody<HitBody>),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`insufficient_scope`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`conversation_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn search(
    Caller(actor): Caller,
    query: Query<SearchQuery>,
    page: Query<PageQuery>,
    search: Data<SearchService>,
) -> Result<Json<ListBody<HitBody>>, ApiError> {
    let SearchQuery { q, conversation_id } = query.into_inner();
    let conversation = conversation_id.as_deref().map(reference).transpose()?;
    let page = search.search(&actor, q.unwrap_or_default(), conversation, page.parse()?).await?;
    Ok(Json(ListBody::of(page)))
}
