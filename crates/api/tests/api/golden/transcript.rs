//! A reply as it was recorded, behind mocks.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use repartee_application::ports::{
    Change, Changes, Done, EventKind, LoggedEvent, StoredChange, StoredGeneration, UsedKey, Watched,
};
use repartee_domain::{
    GenerationId, MessageId,
    messages::{Message, MessageRole},
    replies::{Generation, GenerationState},
};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use sha2::{Digest, Sha256};

use crate::fixture::{CONVERSATION, Fixture, NOW, USER, conversation};

#[derive(Clone)]
pub(super) struct Transcript {
    pub(super) generation: GenerationId,
    question: MessageId,
    message: MessageId,
    pub(super) events: Vec<(EventKind, Bytes)>,
}

#[derive(Deserialize)]
struct Recorded {
    generation_id: String,
    user_message_id: String,
    message_id: String,
    events: Vec<RecordedEvent>,
}

#[derive(Deserialize)]
struct RecordedEvent {
    kind: String,
    data: Box<RawValue>,
}

impl Transcript {
    pub(super) fn read(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let text = fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        let recorded: Recorded = serde_json::from_str(&text).unwrap();
        let events = recorded.events.into_iter().map(|event| {
            (EventKind::from_name(&event.kind).unwrap(), event.data.get().to_owned().into())
        });
        Self {
            generation: recorded.generation_id.parse().unwrap(),
            question: recorded.user_message_id.parse().unwrap(),
            message: recorded.message_id.parse().unwrap(),
            events: events.collect(),
        }
    }

    /// A frame that asks a socket for it.
    pub(super) fn resume(&self, mut data: Value) -> Value {
        data["generation_id"] = self.generation.to_string().into();
        json!({"type": "resume", "data": data})
    }

    /// The reply is over, and all of it is stored.
    pub(super) fn fixture(&self) -> Fixture {
        self.fixture_asked(asked())
    }

    /// The same, for what was asked for under a key.
    pub(super) fn fixture_asked(&self, fingerprint: [u8; 32]) -> Fixture {
        let mut fixture = self.knowing(Some(self.last()));
        fixture.feed.expect_watch().returning(|_, _| stream::pending().boxed());
        let used = UsedKey { fingerprint, done: Done::Turn(self.generation) };
        fixture.keys.expect_find().returning(move |_, _, _, _| Ok(Some(used)));
        let question = self.question();
        fixture.messages.expect_find().returning(move |_, _| Ok(Some(question.clone())));
        fixture
    }

    /// The reply is written while the feed is read: its changes are 2 and 3.
    pub(super) fn feed_fixture(&self) -> Fixture {
        let mut fixture = self.knowing(None);
        let transcript = self.clone();
        fixture.log.checkpoint();
        fixture.log.expect_subscribe().returning(move |_, after| {
            let events = transcript.after(after).into_iter().map(Arc::new);
            Ok(Some(stream::iter(events).boxed()))
        });
        fixture.feed.expect_watch().returning(|_, watched| match watched {
            Watched::Changes => stream::iter([()]).chain(stream::pending()).boxed(),
            Watched::SessionEnds => stream::pending().boxed(),
        });
        let transcript = self.clone();
        let asked = AtomicUsize::new(0);
        fixture.feed.expect_changes_after().returning(move |_, _, after, _| {
            // The end is there when it is looked for the second time.
            let is_over = asked.fetch_add(1, SeqCst) > 0;
            let changes = transcript.changes().into_iter();
            let changes: Vec<_> =
                changes.filter(|one| one.seq > after && (is_over || one.seq < 3)).collect();
            let read_to = changes.last().map_or(after, |change| change.seq);
            Ok(Some(Changes { changes, read_to, has_more: false }))
        });
        fixture
    }

    fn knowing(&self, last_seq: Option<u64>) -> Fixture {
        let mut fixture = Fixture::default();
        fixture.conversations.expect_find().returning(|_, _| Ok(Some(conversation())));
        let stored = StoredGeneration {
            generation: self.generation(),
            state: match self.events.last().unwrap().0 {
                EventKind::Interrupted => GenerationState::Interrupted,
                _ => GenerationState::Completed,
            },
            attempts: 1,
            last_seq,
            ended_at: last_seq.map(|_| NOW),
        };
        fixture.turns.expect_find().returning(move |_, _| Ok(Some(stored.clone())));
        let transcript = self.clone();
        fixture.turns.expect_events_after().returning(move |_, after| Ok(transcript.after(after)));
        fixture.log.expect_subscribe().returning(|_, _| Ok(None));
        fixture
    }

    fn after(&self, after: u64) -> Vec<LoggedEvent> {
        let numbered = (1..).zip(&self.events).filter(|(seq, _)| *seq > after);
        numbered
            .map(|(seq, (kind, data))| LoggedEvent::new(self.generation, seq, *kind, data.clone()))
            .collect()
    }

    fn last(&self) -> u64 {
        self.events.len() as u64
    }

    fn changes(&self) -> Vec<StoredChange> {
        let stored = |seq, change| StoredChange { seq, conversation: Some(CONVERSATION), change };
        let generation = || Box::new(self.generation());
        let end = self.after(self.last() - 1).pop().unwrap();
        vec![
            stored(2, Change::GenerationStarted(generation())),
            stored(3, Change::GenerationEnded(generation(), end)),
        ]
    }

    fn generation(&self) -> Generation {
        Generation {
            id: self.generation,
            owner: USER,
            api_key: None,
            conversation: CONVERSATION,
            user_message: self.question,
            message: self.message,
            model: "smart".into(),
            created_at: NOW,
        }
    }

    fn question(&self) -> Message {
        Message::said(
            self.question,
            "ABCDEFGHI0".parse().unwrap(),
            CONVERSATION,
            None,
            MessageRole::User,
            Message::parse_content("Which tea keeps me awake?".into()).unwrap(),
            NOW,
        )
    }
}

/// What the turn in the tests asks for: method, path and body.
fn asked() -> [u8; 32] {
    let route = "/api/v1/conversations/{conversation_id}/messages";
    about_the_conversation(["POST", route, "{\"content\":\"Which tea keeps me awake?\"}"])
}

/// Of the parts, each with its length before it; then of that and the conversation's id.
pub(super) fn about_the_conversation<'a>(parts: impl IntoIterator<Item = &'a str>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let conversation = CONVERSATION.as_uuid();
    Sha256::new().chain_update(hash.finalize()).chain_update(conversation).finalize().into()
}
