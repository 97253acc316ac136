//! `GET /v1/models` (OpenAI API reference, "Models").

use actix_web::web::{Data, Json, Path};
use repartee_application::models::{ListedModel, ModelService};
use serde::Serialize;
use utoipa::ToSchema;

use super::OpenAiErrorBody;
use crate::{ApiError, auth::Caller};

/// A model as OpenAI describes one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OpenAiModelBody {
    /// What to ask for.
    #[schema(example = "smart")]
    id: String,
    /// `model`.
    object: &'static str,
    /// Since when this server offers it. Seconds since 1970.
    created: i64,
    /// Who offers it: this server.
    owned_by: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OpenAiModelsBody {
    /// `list`.
    object: &'static str,
    data: Vec<OpenAiModelBody>,
}

impl From<ListedModel> for OpenAiModelBody {
    fn from(model: ListedModel) -> Self {
        Self {
            id: model.id,
            object: "model",
            created: model.since.timestamp(),
            owned_by: "repartee",
        }
    }
}

/// The models that may be asked for, the default first; a key sees those that it may ask.
#[utoipa::path(
    get, path = "/v1/models", tag = "openai", operation_id = "openai_list_models",
    responses(
        (status = 200, body = OpenAiModelsBody),
        (status = 401, description = "`invalid_api_key`", body = OpenAiErrorBody),
        (status = 403, description = "`insufficient_scope`", body = OpenAiErrorBody),
        (status = 503, description = "`model_unavailable`: the provider does not say which models it has", body = OpenAiErrorBody),
    ),
)]
pub(crate) async fn list(
    Caller(actor): Caller,
    models: Data<ModelService>,
) -> Result<Json<OpenAiModelsBody>, ApiError> {
    let data = models.list(&actor).await?.into_iter().map(Into::into).collect();
    Ok(Json(OpenAiModelsBody { object: "list", data }))
}

/// One model. Its name may have slashes.
#[utoipa::path(
    get, path = "/v1/models/{model_id}", tag = "openai", operation_id = "openai_find_model",
    params(("model_id" = String, Path, description = "What it is asked for by")),
    responses(
        (status = 200, body = OpenAiModelBody),
        (status = 401, description = "`invalid_api_key`", body = OpenAiErrorBody),
        (status = 403, description = "`insufficient_scope`", body = OpenAiErrorBody),
        (status = 404, description = "`model_not_found`", body = OpenAiErrorBody),
        (status = 503, description = "`model_unavailable`: the provider does not say which models it has", body = OpenAiErrorBody),
    ),
)]
pub(crate) async fn find(
    Caller(actor): Caller,
    id: Path<String>,
    models: Data<ModelService>,
) -> Result<Json<OpenAiModelBody>, ApiError> {
    Ok(Json(models.find(&actor, &id).await?.into()))
}
