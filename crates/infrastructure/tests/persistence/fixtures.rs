//! People, conversations and turns to store. A number makes each of them unlike the others.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use repartee_application::ports::{
    ChangeKind, Checkpoint, ConversationRepository, EventKind, FinishedTurn, LeaseOwner,
    LoggedEvent, NewKey, NewTurn, PasswordHash, Question, SecretHash, TurnBegun, TurnBudget,
    TurnRepository, UserRepository,
};
use repartee_domain::{
    ConversationId, GenerationId, LoginSessionId, MessageId, RefreshTokenId, Text, UserId, Version,
    accounts::{Email, LoginSession, Profile, RefreshTokenHash, Role, User, Username},
    audit::{Action, AuditActor, AuditEntry},
    conversations::{Branching, Conversation, Shape, Subject},
    messages::{Message, MessageRole},
    replies::{FinishReason, Generation, Outcome, Price, Usage, Written},
};
use uuid::Uuid;

use crate::databases::TestDatabase;

pub(crate) const NOW: DateTime<Utc> = DateTime::from_timestamp_nanos(1_800_000_000_123_456_000);
pub(crate) const HERE: LeaseOwner = LeaseOwner(Uuid::from_u128(0xa));
/// What a saved conversation is told as, where it does not matter.
pub(crate) const UPDATED: ChangeKind = ChangeKind::ConversationUpdated;
pub(crate) const ELSEWHERE: LeaseOwner = LeaseOwner(Uuid::from_u128(0xb));

/// No turn is too late.
pub(crate) const SEEN_ALL: u64 = i64::MAX as u64;

/// Seconds after [`NOW`].
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    NOW + TimeDelta::seconds(seconds)
}

/// What the audit log is told, where it does not matter what.
pub(crate) fn entry() -> AuditEntry {
    AuditEntry::new(AuditActor::System, Action::LoggedIn, NOW)
}

pub(crate) fn user_id(n: u32) -> UserId {
    UserId::from_uuid(uuid(1, n))
}

pub(crate) fn conversation_id(n: u32) -> ConversationId {
    ConversationId::from_uuid(uuid(2, n))
}

pub(crate) fn session_id(n: u32) -> LoginSessionId {
    LoginSessionId::from_uuid(uuid(3, n))
}

pub(crate) fn token_id(n: u32) -> RefreshTokenId {
    RefreshTokenId::from_uuid(uuid(4, n))
}

pub(crate) fn message_id(n: u32) -> MessageId {
    MessageId::from_uuid(uuid(5, n))
}

pub(crate) fn generation_id(n: u32) -> GenerationId {
    GenerationId::from_uuid(uuid(6, n))
}

fn uuid(kind: u128, n: u32) -> Uuid {
    Uuid::from_u128((kind << 64) | u128::from(n))
}

fn code<const N: usize>(n: u32) -> repartee_domain::Code<N> {
    format!("{n:0>N$}").parse().unwrap()
}

pub(crate) fn password(text: &str) -> PasswordHash {
    PasswordHash(text.to_owned().into())
}

pub(crate) fn user(n: u32) -> User {
    User {
        id: user_id(n),
        code: code(n),
        email: Email::parse(&format!("user{n}@example.com")).unwrap(),
        role: Role::User,
        is_active: true,
        profile: Profile {
            username: Some(Username::parse(&format!("User {n}")).unwrap()),
            first_name: Some("Åsa 👩‍🚀".into()),
            last_name: Some("דניאל".into()),
            language: Some("sv-SE".into()),
            preferences: Some(r#"{ "b": 1.50, "a": "ไทย", "b": 2 }"#.into()),
        },
        email_verified_at: Some(at(1)),
        last_login_at: None,
        created_at: NOW,
        updated_at: at(2),
        version: Version::FIRST,
    }
}

/// The first token of a session.
pub(crate) fn session(n: u32, user: u32) -> LoginSession {
    LoginSession {
        id: session_id(n),
        token: token_id(n),
        user: user_id(user),
        token_hash: token_hash(n),
        user_agent: Some("Browser/1.0 (🙂)".into()),
        ip: Some("2001:db8::1".into()),
        signed_in_at: NOW,
        expires_at: at(600),
        created_at: NOW,
    }
}

pub(crate) fn token_hash(n: u32) -> RefreshTokenHash {
    let mut hash = [7; 32];
    hash[..4].copy_from_slice(&n.to_le_bytes());
    RefreshTokenHash(hash)
}

pub(crate) fn conversation(n: u32, owner: u32) -> Conversation {
    let subject = Subject {
        title: Some(format!("Conversation {n}")),
        system_message: Some("Be kind. 🙏".into()),
        model: Some("small".into()),
        metadata: Some(r#"{"z":1, "a":2}"#.into()),
        shape: Shape::default(),
    };
    Conversation::begin(conversation_id(n), code(n), user_id(owner), subject, NOW)
}

pub(crate) fn said(n: u32, conversation: u32, text: &str) -> Message {
    Message::said(
        message_id(n),
        code(n),
        conversation_id(conversation),
        None,
        MessageRole::User,
        Text::parse(text.into(), 1_000).unwrap(),
        at(n.into()),
    )
}

/// A turn with the messages 2n and 2n + 1, of the user with the conversation's number.
pub(crate) fn turn(n: u32, conversation: u32) -> NewTurn {
    let question = said(2 * n, conversation, "Why?");
    let id = generation_id(n);
    let now = question.created_at;
    let reply = Message::to_be_written(
        message_id(2 * n + 1),
        code(2 * n + 1),
        &question,
        id,
        "small".into(),
        now,
    );
    let generation = Generation {
        id,
        owner: user_id(conversation),
        api_key: None,
        conversation: conversation_id(conversation),
        user_message: question.id,
        message: reply.id,
        model: "small".into(),
        created_at: now,
    };
    NewTurn {
        question: Question::New(question),
        reply,
        generation,
        lease_owner: HERE,
        lease_until: at(15),
        key: None,
        most_running: 100,
        budget: TurnBudget::default(),
        expires_at: None,
        branching: Branching::Linear,
        seen: SEEN_ALL,
    }
}

/// The same turn, in another conversation.
pub(crate) fn moved(turn: NewTurn, conversation: u32) -> NewTurn {
    let conversation = conversation_id(conversation);
    let question = Message { conversation, ..turn.question.into_message() };
    NewTurn {
        question: Question::New(question),
        reply: Message { conversation, ..turn.reply },
        generation: Generation { conversation, ..turn.generation },
        ..turn
    }
}

pub(crate) fn key(name: &str, expires_at: DateTime<Utc>) -> NewKey {
    NewKey { route: "send", key: name.into(), fingerprint: [3; 32], expires_at }
}

pub(crate) fn secret_hash(n: u8) -> SecretHash {
    SecretHash([n; 32])
}

pub(crate) fn event(n: u32, seq: u64, kind: EventKind, data: &str) -> Arc<LoggedEvent> {
    let data = Bytes::copy_from_slice(data.as_bytes());
    Arc::new(LoggedEvent::new(generation_id(n), seq, kind, data))
}

/// Deltas with the numbers `first` to `last`; the text is their numbers.
pub(crate) fn deltas(n: u32, first: u64, last: u64) -> Checkpoint {
    let texts: Vec<_> = (first..=last).map(|seq| format!("{seq} ")).collect();
    let events = (first..).zip(&texts).map(|(seq, text)| event(n, seq, EventKind::Delta, text));
    Checkpoint { generation: generation_id(n), events: events.collect(), text: texts.concat() }
}

/// The end of a turn, `last_seq` being its terminal event's number.
pub(crate) fn finished(turn: &NewTurn, last_seq: u64, unsaved: Option<Checkpoint>) -> FinishedTurn {
    let written = Written {
        text: "Därför. 🙂".into(),
        model: "fallback".into(),
        usage: Usage { prompt_tokens: 10, completion_tokens: u32::MAX, estimated: true },
        price: Price { input: 1_000, output: 2_000 },
        first_token_at: Some(turn.generation.created_at + TimeDelta::milliseconds(40)),
        attempts: 2,
    };
    let outcome = Outcome::Completed(FinishReason::Stop);
    let ended = turn.generation.clone().end(turn.reply.clone(), outcome, written, at(100));
    let data = Bytes::from_static(b"the end");
    let terminal = LoggedEvent::new(turn.generation.id, last_seq, EventKind::Done, data);
    FinishedTurn { ended, unsaved, terminal: Arc::new(terminal) }
}

impl TestDatabase {
    pub(crate) async fn with_user(&self, n: u32) {
        self.users().register(&user(n), &password("hash"), None, entry()).await.unwrap();
    }

    /// A user with a conversation of the same number.
    pub(crate) async fn with_conversation(&self, n: u32) {
        self.with_user(n).await;
        self.conversations().insert(conversation(n, n), None).await.unwrap();
    }

    /// Turn `n` begun, in the conversation of user `n`.
    pub(crate) async fn with_turn(&self, n: u32) -> NewTurn {
        self.with_conversation(n).await;
        let turn = turn(n, n);
        let begun = self.turns().begin_turn(turn.clone()).await.unwrap();
        assert_eq!(begun, TurnBegun::Begun);
        turn
    }
}
