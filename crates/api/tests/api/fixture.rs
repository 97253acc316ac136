//! Services over mocks, and one request to them.

use std::sync::Arc;

use actix_web::{
    body::MessageBody,
    dev::ServiceResponse,
    http::header::CONTENT_TYPE,
    test::{TestRequest, call_service, init_service, read_body},
    web::Data,
};
use chrono::{DateTime, TimeDelta, Utc};
use futures::future::BoxFuture;
use repartee_api::{EdgeSettings, JsonEventEncoder, Services, app};
use repartee_application::{
    accounts::{AccountPorts, AccountRules, AccountService},
    conversations::ConversationService,
    health::HealthService,
    messages::MessageService,
    models::ModelCatalogue,
    ports::{
        AccessClaims, MockClock, MockCommonPasswords, MockConversationRepository,
        MockDatabaseProbe, MockGenerationLog, MockIdGenerator, MockLoginSessionRepository,
        MockMessageRepository, MockPasswordHasher, MockTokenSigner, MockTurnRepository,
        MockUserRepository, Principal, Spawner,
    },
    replies::{ReplyPorts, ReplyRules, ReplyService},
};
use repartee_domain::{
    ConversationId, LoginSessionId, UserId,
    accounts::{PasswordPolicy, Role, SessionLifetime},
    conversations::{Conversation, Subject},
};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) const NOW: DateTime<Utc> = DateTime::from_timestamp_nanos(1_800_000_000_123_456_000);
pub(crate) const USER: UserId = UserId::from_uuid(Uuid::from_u128(1));
pub(crate) const CONVERSATION: ConversationId = ConversationId::from_uuid(Uuid::from_u128(2));
const SESSION: LoginSessionId = LoginSessionId::from_uuid(Uuid::from_u128(3));

/// Mocks that a test adds its expectations to. The token `good` is the user's.
#[derive(Default)]
pub(crate) struct Fixture {
    pub(crate) users: MockUserRepository,
    pub(crate) hasher: MockPasswordHasher,
    pub(crate) conversations: MockConversationRepository,
    pub(crate) messages: MockMessageRepository,
    pub(crate) is_database_away: bool,
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

    fn services(self) -> Services {
        let ids = Arc::new(ids());
        let clock = Arc::new(clock());
        let models = Arc::new(ModelCatalogue::Listed(Vec::new()));
        let conversations = Arc::new(self.conversations);
        let replies = ReplyPorts {
            conversations: conversations.clone(),
            turns: Arc::new(MockTurnRepository::new()),
            log: Arc::new(MockGenerationLog::new()),
            encoder: Arc::new(JsonEventEncoder),
            models: models.clone(),
            spawner: Arc::new(NoTasks),
            clock: clock.clone(),
            ids: ids.clone(),
        };
        let rules = ReplyRules {
            operator_message: None,
            default_message: "Help.".into(),
            replayable: std::time::Duration::from_mins(10),
        };
        let mut database = MockDatabaseProbe::new();
        let is_reachable = !self.is_database_away;
        database.expect_is_reachable().returning(move || is_reachable);
        let edge = EdgeSettings {
            body_limit_bytes: 1024,
            cors_origins: vec!["https://chat.example.com".into()],
        };
        Services {
            accounts: Data::new(accounts(self.users, self.hasher, &clock, &ids)),
            conversations: Data::new(ConversationService::new(
                conversations.clone(),
                Arc::new(MockTurnRepository::new()),
                Arc::new(MockGenerationLog::new()),
                clock.clone(),
                ids.clone(),
            )),
            messages: Data::new(MessageService::new(
                conversations,
                Arc::new(self.messages),
                clock.clone(),
                ids.clone(),
            )),
            replies: Data::new(ReplyService::new(replies, rules)),
            health: Data::new(HealthService::new(Arc::new(database), models, clock)),
            edge: Data::new(edge),
            ids,
        }
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

fn accounts(
    users: MockUserRepository,
    hasher: MockPasswordHasher,
    clock: &Arc<MockClock>,
    ids: &Arc<MockIdGenerator>,
) -> AccountService {
    let mut sessions = MockLoginSessionRepository::new();
    sessions.expect_principal().returning(|session, _| {
        Ok((session == SESSION).then_some(Principal { user: USER, role: Role::User }))
    });
    let mut signer = MockTokenSigner::new();
    signer.expect_verify().returning(|token, _| {
        (token == "good").then_some(AccessClaims {
            user: USER,
            session: SESSION,
            token: Uuid::from_u128(9),
            issued_at: NOW,
            expires_at: NOW + TimeDelta::minutes(30),
        })
    });
    signer.expect_sign().returning(|_| Ok("an-access-token".into()));
    signer
        .expect_hash_refresh_token()
        .returning(|_| repartee_domain::accounts::RefreshTokenHash([0; 32]));
    let mut common_passwords = MockCommonPasswords::new();
    common_passwords.expect_contains().return_const(false);
    let ports = AccountPorts {
        users: Arc::new(users),
        sessions: Arc::new(sessions),
        hasher: Arc::new(hasher),
        common_passwords: Arc::new(common_passwords),
        signer: Arc::new(signer),
        clock: clock.clone(),
        ids: ids.clone(),
    };
    let rules = AccountRules {
        is_registration_open: true,
        password: PasswordPolicy::default(),
        access: TimeDelta::minutes(30),
        session: SessionLifetime { idle: TimeDelta::days(7), absolute: TimeDelta::days(30) },
    };
    AccountService::new(ports, rules)
}

fn clock() -> MockClock {
    let mut clock = MockClock::new();
    clock.expect_now().return_const(NOW);
    clock
}

fn ids() -> MockIdGenerator {
    let mut ids = MockIdGenerator::new();
    ids.expect_id().return_const(Uuid::from_u128(77));
    ids.expect_random().return_const([0; 32]);
    ids
}

/// No reply is begun here.
struct NoTasks;

impl Spawner for NoTasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        drop(task);
    }
}
