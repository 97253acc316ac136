//! A feed's events on SSE. What a reply's event says is made once, however many read it.

use std::borrow::Cow;

use bytes::Bytes;
use repartee_application::{
    feeds::{FeedEvent, FeedItem},
    ports::{Change, Envelope, EventKind, LoggedEvent},
};
use repartee_domain::ConversationId;
use serde_json::Value;

use super::body::{ConversationData, DeletedData, MOST_CONTENT, MessageCreatedData, StartedData};
use crate::json::{self, splice};

/// The event with its id, which differs from reader to reader.
pub(super) fn frame(event: &FeedEvent) -> Bytes {
    let rest = match &event.item {
        FeedItem::Delta(delta) => {
            delta.framed(Envelope::Feed, |delta| delta_frame(delta, event.conversation))
        }
        FeedItem::Change(change) => {
            block(change.kind().as_str(), &change_data(change, event.conversation))
        }
        FeedItem::Reset => block("reset", b"{}"),
    };
    let id = format!("id: {}\n", event.cursor);
    [id.as_bytes(), &rest].concat().into()
}

/// All but the id. JSON escapes line breaks, so the data is one line.
fn block(name: &str, data: &[u8]) -> Bytes {
    [b"event: ", name.as_bytes(), b"\ndata: ", data, b"\n\n"].concat().into()
}

fn delta_frame(event: &LoggedEvent, conversation: Option<ConversationId>) -> Bytes {
    let conversation = conversation.map(|id| id.to_string()).unwrap_or_default();
    let (generation, seq) = (event.generation, event.seq);
    let head = format!(
        "{{\"conversation_id\":\"{conversation}\",\"generation_id\":\"{generation}\",\"seq\":{seq}"
    );
    block("generation.delta", &splice(&head, &event.data))
}

fn change_data(change: &Change, conversation: Option<ConversationId>) -> Bytes {
    match change {
        Change::ConversationCreated(now)
        | Change::ConversationUpdated(now)
        | Change::ConversationArchived(now) => json::to_bytes(&ConversationData::of(now)),
        Change::ConversationDeleted => json::to_bytes(&DeletedData::of(conversation)),
        Change::MessageCreated(message) => json::to_bytes(&MessageCreatedData::of(message)),
        Change::GenerationStarted(generation) => json::to_bytes(&StartedData::of(generation)),
        Change::GenerationEnded(generation, end) => ended(generation.conversation, end),
        // Told to nobody; a feed leaves it out.
        Change::SessionEnded => Bytes::from_static(b"{}"),
    }
}

fn ended(conversation: ConversationId, end: &LoggedEvent) -> Bytes {
    let (generation, seq, outcome) = (end.generation, end.seq, outcome(end.kind));
    let head = format!(
        "{{\"conversation_id\":\"{conversation}\",\"generation_id\":\"{generation}\",\
         \"seq\":{seq},\"outcome\":\"{outcome}\""
    );
    splice(&head, &brief(&end.data))
}

fn outcome(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Done => "completed",
        kind => kind.as_str(),
    }
}

/// The stored data without a text that is too long for a feed.
fn brief(data: &[u8]) -> Cow<'_, [u8]> {
    if data.len() <= MOST_CONTENT {
        return data.into();
    }
    let Ok(mut value) = serde_json::from_slice::<Value>(data) else { return data.into() };
    let Some(message) = value.get_mut("message").and_then(Value::as_object_mut) else {
        return data.into();
    };
    let is_long = |content: &Value| content.as_str().is_some_and(|text| text.len() > MOST_CONTENT);
    if !message.get("content").is_some_and(is_long) {
        return data.into();
    }
    message.insert("content".to_owned(), Value::Null);
    message.insert("content_omitted".to_owned(), true.into());
    value.to_string().into_bytes().into()
}
