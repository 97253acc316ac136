//! `/api/v1/models`.

use actix_web::web::{Data, Json};
use repartee_application::models::{ListedModel, ModelService};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{ApiError, auth::Caller, cursor::ListBody, problem::Problem};

/// A model that may be asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelBody {
    /// What to ask for.
    #[schema(example = "smart")]
    id: String,
    /// Prompt and reply together.
    #[schema(example = 128_000)]
    context_tokens: u32,
    /// The longest reply; null leaves it to the provider.
    #[schema(example = 16_384)]
    max_output_tokens: Option<u32>,
    /// Of a million tokens of the prompt, in the currency that the operator counts in.
    #[schema(example = 2.0)]
    input_price: f64,
    /// Of a million tokens of the reply.
    #[schema(example = 8.0)]
    output_price: f64,
    /// Asked where a request names none.
    is_default: bool,
}

impl From<ListedModel> for ModelBody {
    fn from(model: ListedModel) -> Self {
        Self {
            id: model.id,
            context_tokens: model.window.context_tokens,
            max_output_tokens: model.max_output_tokens,
            input_price: per_million(model.price.input),
            output_price: per_million(model.price.output),
            is_default: model.is_default,
        }
    }
}

/// The models that may be asked for, the default first; a key sees those that it may ask.
#[utoipa::path(
    get, path = "/api/v1/models", tag = "conversations",
    responses(
        (status = 200, body = ListBody<ModelBody>),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`insufficient_scope`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`model_unavailable`: the provider does not say which models it has", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    Caller(actor): Caller,
    models: Data<ModelService>,
) -> Result<Json<ListBody<ModelBody>>, ApiError> {
    let data = models.list(&actor).await?.into_iter().map(Into::into).collect();
    Ok(Json(ListBody { data, next_cursor: None }))
}

/// From nano-units a token, as price lists quote it.
fn per_million(price: u32) -> f64 {
    f64::from(price) / 1000.0
}
