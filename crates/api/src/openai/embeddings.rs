//! `POST /v1/embeddings` (OpenAI API reference, "Create embeddings").

use actix_web::web::{Data, Json};
use repartee_application::{
    AppError,
    completions::{CompletionService, Embedded, NewEmbedding},
    ports::PortError,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{
    ToSchema,
    openapi::schema::{ArrayBuilder, Object, OneOfBuilder, Schema, Type},
};

use super::{
    OpenAiErrorBody,
    fields::{Raw, fields},
};
use crate::{
    ApiError,
    auth::Caller,
    body::{JsonBody, parse_json},
};

/// Fields that are not here are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct NewEmbeddingsBody {
    #[schema(example = "text-embedding-3-small", min_length = 1, max_length = 200)]
    model: String,
    /// A text, or a list of them; tokens, or a list of lists of them.
    #[schema(schema_with = input, example = "Which tea keeps me awake?")]
    input: Box<RawValue>,
    /// `float` or `base64`.
    #[schema(value_type = Option<String>)]
    encoding_format: Raw,
    #[schema(value_type = Option<u32>)]
    dimensions: Raw,
    #[schema(value_type = Option<String>)]
    user: Raw,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EmbeddingsBody {
    /// `list`.
    object: &'static str,
    /// As the provider gave them.
    #[schema(value_type = Vec<Object>, example = json!([{"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}]))]
    data: Box<RawValue>,
    /// The model that answered.
    #[schema(example = "text-embedding-3-small")]
    model: String,
    usage: EmbeddingUsageBody,
}

/// What was used; counted here where the provider does not say it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EmbeddingUsageBody {
    #[serde(rename = "prompt_tokens")]
    prompt: u32,
    #[serde(rename = "total_tokens")]
    total: u32,
}

/// What is to be put into vectors.
#[derive(Deserialize)]
#[serde(untagged, expecting = "must be a text, a list of texts, or tokens")]
enum Input {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    ManyTokens(Vec<Vec<u32>>),
}

/// Has texts put into vectors by a provider that does so; what the client says and what the provider
/// answers are passed through. Nothing is stored but the tokens that were used. Fallbacks of a model
/// are not asked: their vectors would be others.
#[utoipa::path(
    post, path = "/v1/embeddings", tag = "openai", operation_id = "openai_embed",
    request_body = NewEmbeddingsBody,
    responses(
        (status = 200, body = EmbeddingsBody),
        (status = 400, description = "`malformed_json`, a field that is wrong (`required`, `invalid`), or `unsupported_model`: the model makes no embeddings, as the one in the process", body = OpenAiErrorBody),
        (status = 401, description = "`invalid_api_key`", body = OpenAiErrorBody),
        (status = 403, description = "`insufficient_scope` or `model_not_allowed`", body = OpenAiErrorBody),
        (status = 404, description = "`model_not_found`", body = OpenAiErrorBody),
        (status = 429, description = "`too_many_generations`, or `insufficient_quota`: the month's tokens are used up (`x-should-retry: false`)", body = OpenAiErrorBody, headers(("Retry-After" = u32, description = "Seconds"))),
        (status = 502, description = "`model_failed` or `model_rejected`", body = OpenAiErrorBody),
        (status = 503, description = "`model_unavailable` or `shutting_down`", body = OpenAiErrorBody),
        (status = 504, description = "`model_timeout`", body = OpenAiErrorBody),
    ),
)]
pub(crate) async fn embed(
    Caller(actor): Caller,
    body: JsonBody,
    completions: Data<CompletionService>,
) -> Result<Json<EmbeddingsBody>, ApiError> {
    let body: NewEmbeddingsBody = body.parse()?;
    let embedded = completions.embed(&actor, body.try_into()?).await?;
    Ok(Json(embedded.try_into()?))
}

impl TryFrom<NewEmbeddingsBody> for NewEmbedding {
    type Error = ApiError;

    fn try_from(body: NewEmbeddingsBody) -> Result<Self, ApiError> {
        let input: Input = parse_json(body.input.get().as_bytes())
            .map_err(|_| invalid("must be a text, a list of texts, or tokens"))?;
        let (texts, tokens) = match input {
            Input::Text(text) => (vec![text], 0),
            Input::Texts(texts) => (texts, 0),
            Input::Tokens(tokens) => (Vec::new(), tokens.len()),
            Input::ManyTokens(lists) => (Vec::new(), lists.iter().map(Vec::len).sum()),
        };
        if tokens == 0 && (texts.is_empty() || texts.iter().any(String::is_empty)) {
            return Err(invalid("must not be empty, nor may one of its texts be"));
        }
        Ok(Self {
            model: body.model,
            texts,
            tokens: u32::try_from(tokens).unwrap_or(u32::MAX),
            fields: fields([
                ("input", Some(body.input)),
                ("encoding_format", body.encoding_format),
                ("dimensions", body.dimensions),
                ("user", body.user),
            ])?,
        })
    }
}

fn input() -> Schema {
    let number = || Object::with_type(Type::Integer);
    let item = OneOfBuilder::new()
        .item(Object::with_type(Type::String))
        .item(number())
        .item(ArrayBuilder::new().items(number()));
    let text = OneOfBuilder::new().item(Object::with_type(Type::String));
    Schema::OneOf(text.item(ArrayBuilder::new().items(item)).build())
}

fn invalid(detail: &str) -> ApiError {
    ApiError::invalid("input", "invalid", detail)
}

impl TryFrom<Embedded> for EmbeddingsBody {
    type Error = ApiError;

    fn try_from(embedded: Embedded) -> Result<Self, ApiError> {
        let prompt = embedded.usage.prompt_tokens;
        Ok(Self {
            object: "list",
            data: RawValue::from_string(embedded.data)
                .map_err(|error| AppError::from(PortError::Corrupt(error.into())))?,
            model: embedded.model,
            usage: EmbeddingUsageBody { prompt, total: prompt },
        })
    }
}
