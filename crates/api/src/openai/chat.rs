//! `POST /v1/chat/completions` (OpenAI API reference, "Create chat completion").

mod answer;
mod body;
mod chunks;

use actix_web::{HttpResponse, web::Data};
use repartee_application::completions::CompletionService;

use self::{answer::CompletionBody, body::NewCompletionBody};
use super::OpenAiErrorBody;
use crate::{
    ApiError,
    auth::Caller,
    body::JsonBody,
    sse::{Lifetimes, PING_LINE, sse},
};

/// Asks a model. Nothing is stored but the tokens that were used.
///
/// Messages, `tools`, `response_format` and the like reach the provider as they came, and its calls
/// of tools come back so. A model that has no use for a field that was sent refuses the request
/// (`unsupported_parameter`), as the one in the process does with all but texts. `store: true`,
/// `n` other than 1 and `logprobs` are not supported yet. With `stream` the answer is a stream of
/// chunks, and closing it stops the model; what goes wrong after the first chunk is told as
/// `data: {"error": …}`, with no `[DONE]` behind it.
#[utoipa::path(
    post, path = "/v1/chat/completions", tag = "openai", request_body = NewCompletionBody,
    responses(
        (status = 200, description = "The answer, or its stream", content(
            (CompletionBody = "application/json"),
            (String = "text/event-stream", example = "data: {\"id\":\"chatcmpl-01939c2e7b9a70008000000000000001\",\"object\":\"chat.completion.chunk\",\"created\":1800000000,\"model\":\"smart\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Green\"},\"logprobs\":null,\"finish_reason\":null}]}\n\ndata: [DONE]\n\n"),
        )),
        (status = 400, description = "`malformed_json`, or a field that is wrong: `required`, `invalid`, `out_of_range`, `unsupported_parameter`", body = OpenAiErrorBody),
        (status = 401, description = "`invalid_api_key`", body = OpenAiErrorBody),
        (status = 403, description = "`insufficient_scope` or `model_not_allowed`", body = OpenAiErrorBody),
        (status = 404, description = "`model_not_found`", body = OpenAiErrorBody),
        (status = 429, description = "`too_many_generations`, `too_many_streams`, or `insufficient_quota`: the month's tokens are used up (`x-should-retry: false`)", body = OpenAiErrorBody, headers(("Retry-After" = u32, description = "Seconds"))),
        (status = 502, description = "`model_failed` or `model_rejected`", body = OpenAiErrorBody),
        (status = 503, description = "`model_unavailable` or `shutting_down`", body = OpenAiErrorBody),
        (status = 504, description = "`model_timeout`", body = OpenAiErrorBody),
    ),
)]
pub(crate) async fn complete(
    Caller(actor): Caller,
    body: JsonBody,
    lifetimes: Lifetimes,
    completions: Data<CompletionService>,
) -> Result<HttpResponse, ApiError> {
    let body: NewCompletionBody = body.parse()?;
    let Some(stream) = body.stream() else {
        let completion = completions.begin(&actor, body.try_into()?).await?;
        return Ok(HttpResponse::Ok().json(answer::whole(completion).await?));
    };
    let wish = body.try_into()?;
    let lifetime = lifetimes.of(actor.clone())?;
    let completion = completions.begin(&actor, wish).await?;
    Ok(sse(PING_LINE.into(), chunks::chunks(completion, stream), lifetime))
}
