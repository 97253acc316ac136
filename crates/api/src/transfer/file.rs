//! A file of conversations on its way in: one copy of it in memory, taken apart off the async
//! threads, one conversation at a time.

use actix_web::{
    HttpMessage, HttpRequest,
    web::{self, Bytes, Payload},
};
use futures::{Stream, StreamExt, stream};
use repartee_application::{IdempotencyKey, ports::PortError, transfer::Entry};
use repartee_domain::{
    FieldError,
    transfer::{Draft, MAX_CONVERSATIONS},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::{
    body::{ConversationFileBody, FORMAT},
    bounded::list,
    chatgpt::ChatGptBody,
};
use crate::{
    ApiError,
    body::{field_problem, is_json, parse_json, read},
    edge::EdgeSettings,
    idempotency::idempotency_key,
    problem::FieldProblem,
};

pub(super) struct File<S> {
    pub(super) entries: S,
    pub(super) key: Option<IdempotencyKey>,
}

pub(super) async fn receive(
    request: &HttpRequest,
    payload: Payload,
    edge: &EdgeSettings,
) -> Result<File<impl Stream<Item = Entry> + use<>>, ApiError> {
    let bytes = read(payload.into_inner(), edge.upload_limit_bytes, edge.upload_timeout).await?;
    if !is_json(request.content_type()) {
        return Err(ApiError::UnsupportedMediaType { expected: "application/json" });
    }
    let apart = web::block(move || (Sha256::digest(&bytes), split(&bytes))).await;
    let (hash, parts) = apart.map_err(lost)?;
    let (parts, key) = (parts?, idempotency_key(request, None, &[&hash])?);
    let entries = stream::iter(parts).then(|part| async move {
        let entry = web::block(move || entry(&part)).await;
        entry.unwrap_or_else(|_| Entry { title: None, draft: Err(unreadable("")) })
    });
    Ok(File { entries, key })
}

/// The conversations of a file, as parts of it.
fn split(bytes: &Bytes) -> Result<Vec<Bytes>, ApiError> {
    if bytes.trim_ascii_start().starts_with(b"{") {
        let whole: &RawValue = parse_json(bytes)?;
        return Ok(vec![bytes.slice_ref(whole.get().as_bytes())]);
    }
    let Parts(parts) = parse_json(bytes)?;
    Ok(parts.into_iter().map(|part| bytes.slice_ref(part.get().as_bytes())).collect())
}

#[derive(Deserialize)]
struct Parts<'a>(
    #[serde(borrow, deserialize_with = "list::<_, _, MAX_CONVERSATIONS>")] Vec<&'a RawValue>,
);

/// What a conversation is known by.
#[derive(Deserialize)]
struct Marks<'a> {
    format: Option<String>,
    #[serde(borrow)]
    title: Option<&'a RawValue>,
    #[serde(borrow)]
    mapping: Option<&'a RawValue>,
}

fn entry(part: &[u8]) -> Entry {
    let Ok(marks) = serde_json::from_slice::<Marks<'_>>(part) else {
        return Entry { title: None, draft: Err(unreadable("expected an object")) };
    };
    let title = marks.title.and_then(|title| serde_json::from_str(title.get()).ok());
    let draft = match (marks.format.as_deref(), marks.mapping) {
        (Some(FORMAT), _) => parsed::<ConversationFileBody<'_>>(part).and_then(Draft::try_from),
        (None, Some(_)) => parsed::<ChatGptBody>(part).map(Draft::from),
        _ => {
            let detail = format!("expected the format {FORMAT:?}, or a conversation of ChatGPT's");
            Err(FieldError::new("format", "unknown_format", detail))
        }
    };
    let title = title.or_else(|| draft.as_ref().ok()?.about.title.clone().flatten());
    Entry { title, draft }
}

fn parsed<T: DeserializeOwned>(part: &[u8]) -> Result<T, FieldError> {
    let mut json = serde_json::Deserializer::from_slice(part);
    let parsed: Result<T, _> = serde_path_to_error::deserialize(&mut json);
    parsed.map_err(|error| {
        let place = error.path().to_string();
        let FieldProblem { field, detail, .. } = field_problem(place, error.inner());
        unreadable(&format!("{field}: {detail}"))
    })
}

fn unreadable(detail: &str) -> FieldError {
    FieldError::new("conversation", "invalid", detail)
}

fn lost(error: actix_web::error::BlockingError) -> ApiError {
    PortError::Unavailable(error.to_string().into()).into()
}
