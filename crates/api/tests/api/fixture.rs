//! One request to the whole application, whose services stand on mocks.

mod mocks;
mod objects;
mod services;

use actix_web::{
    body::{MessageBody, to_bytes},
    dev::ServiceResponse,
    http::header::CONTENT_TYPE,
    test::{TestRequest, call_service, init_service, read_body},
};
use chrono::{DateTime, Utc};
use repartee_api::app;
use repartee_application::{
    limits::LimitRules,
    ports::{
        MockApiKeyRepository, MockAuditLog, MockAuditRecorder, MockConversationRepository,
        MockFeedLog, MockFileRepository, MockGenerationLog, MockGuestRepository,
        MockIdempotencyKeys, MockLoginFailureRepository, MockMessageRepository, MockObjectLedger,
        MockPasswordHasher, MockPersonaRepository, MockProjectRepository, MockPromptRepository,
        MockRateLimiter, MockSearchIndex, MockShapeRepository, MockSharedLinkRepository,
        MockTicketRepository, MockTransferRepository, MockTurnRepository, MockUserDirectory,
        MockUserRepository,
    },
};
use repartee_domain::{
    ConversationId, LoginSessionId, UserId,
    accounts::Role,
    conversations::{Conversation, Subject},
};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) use self::objects::Objects;

pub(crate) const NOW: DateTime<Utc> = DateTime::from_timestamp_nanos(1_800_000_000_123_456_000);
pub(crate) const USER: UserId = UserId::from_uuid(Uuid::from_u128(1));
pub(crate) const CONVERSATION: ConversationId = ConversationId::from_uuid(Uuid::from_u128(2));
pub(crate) const SESSION: LoginSessionId = LoginSessionId::from_uuid(Uuid::from_u128(3));

/// Mocks that a test adds its expectations to. The token `good` is the user's, and so is `brief`,
/// which is good for five seconds.
#[derive(Default)]
pub(crate) struct Fixture {
    pub(crate) users: MockUserRepository,
    pub(crate) directory: MockUserDirectory,
    pub(crate) failures: MockLoginFailureRepository,
    pub(crate) hasher: MockPasswordHasher,
    pub(crate) api_keys: MockApiKeyRepository,
    pub(crate) conversations: MockConversationRepository,
    pub(crate) messages: MockMessageRepository,
    pub(crate) personas: MockPersonaRepository,
    pub(crate) projects: MockProjectRepository,
    pub(crate) prompts: MockPromptRepository,
    pub(crate) files: MockFileRepository,
    pub(crate) objects: Objects,
    pub(crate) ledger: MockObjectLedger,
    pub(crate) shapes: MockShapeRepository,
    pub(crate) search: MockSearchIndex,
    pub(crate) links: MockSharedLinkRepository,
    pub(crate) transfers: MockTransferRepository,
    pub(crate) turns: MockTurnRepository,
    pub(crate) keys: MockIdempotencyKeys,
    pub(crate) feed: MockFeedLog,
    pub(crate) guests: MockGuestRepository,
    pub(crate) tickets: MockTicketRepository,
    pub(crate) log: MockGenerationLog,
    pub(crate) audit: MockAuditLog,
    pub(crate) recorder: MockAuditRecorder,
    /// Whose token is `good`; a user where it is `None`.
    pub(crate) role: Option<Role>,
    pub(crate) limiter: MockRateLimiter,
    pub(crate) limit_rules: LimitRules,
    pub(crate) public_url: Option<String>,
    pub(crate) is_database_away: bool,
    /// The login session ends after it was looked at so often for a stream.
    pub(crate) signed_out_after: Option<usize>,
}

/// An answer, as far as tests look at it.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

pub(crate) fn as_user(request: TestRequest) -> TestRequest {
    request.insert_header(("authorization", "Bearer good"))
}

pub(crate) fn conversation() -> Conversation {
    Conversation::begin(
        CONVERSATION,
        "ABCDEFGHIJ01".parse().unwrap(),
        USER,
        Subject {
            title: Some("Tea".into()),
            metadata: Some("{\"a\":1}".into()),
            ..Subject::default()
        },
        NOW,
    )
}

impl Fixture {
    /// Sends one request to the whole application.
    pub(crate) async fn answer(self, request: TestRequest) -> Answer {
        let service = init_service(app(self.services())).await;
        read(call_service(&service, request.to_request()).await).await
    }

    /// As [`Fixture::answer`], for what is no single JSON value.
    pub(crate) async fn text(self, request: TestRequest) -> (u16, String) {
        let service = init_service(app(self.services())).await;
        let response = call_service(&service, request.to_request()).await;
        let status = response.status().as_u16();
        (status, String::from_utf8(read_body(response).await.to_vec()).unwrap())
    }

    /// As [`Fixture::text`], of an answer whose body breaks off.
    pub(crate) async fn cut_off(self, request: TestRequest) {
        let service = init_service(app(self.services())).await;
        let response = call_service(&service, request.to_request()).await;
        assert!(to_bytes(response.into_body()).await.is_err(), "it is whole");
    }
}

async fn read<B: MessageBody>(response: ServiceResponse<B>) -> Answer {
    let status = response.status().as_u16();
    let headers = response.headers().iter();
    let headers = headers
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    let is_json = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.to_str().unwrap().contains("json"));
    let body = read_body(response).await;
    let body = if is_json { serde_json::from_slice(&body).unwrap() } else { json!(null) };
    Answer { status, headers, body }
}
