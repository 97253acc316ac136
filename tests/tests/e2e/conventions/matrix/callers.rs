//! Everybody there is, and what is theirs.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use repartee_tests::server::{Client, Server, Setup};
use serde_json::{Value, json};

use super::{
    Expected,
    rows::{Access, Row, new_persona},
};
use crate::support::{
    PASSWORD, address, ask, conversation, id_of, id_of_user, list, log_in, register, text, upload,
};

const SECRET: &str = "a secret that the test knows as well as the server";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// Without a token.
    Nobody,
    /// Knows the random id of a guest's conversation, and sends it as if it were a token.
    Guest,
    /// Signed in, and asks for what is somebody else's.
    Stranger,
    /// With a token that was good once.
    Expired,
    /// Signed out since.
    Revoked,
    /// A program whose key is good for something else.
    Unscoped,
    User,
    Manager,
    Admin,
}

impl Caller {
    pub(super) const ALL: [Self; 9] = [
        Self::Nobody,
        Self::Guest,
        Self::Stranger,
        Self::Expired,
        Self::Revoked,
        Self::Unscoped,
        Self::User,
        Self::Manager,
        Self::Admin,
    ];
}

pub(super) struct People<'a> {
    server: &'a Server,
    root: Client,
    /// Whose things the others ask for in vain.
    ada: Client,
    stranger: Client,
    manager: Client,
    expired: String,
    revoked: String,
    key: String,
    count: AtomicUsize,
}

impl<'a> People<'a> {
    pub(super) fn setup(setup: Setup) -> Setup {
        setup
            .with("JWT_SECRET", SECRET)
            .with("REPARTEE__BOOTSTRAP__ADMIN_EMAIL", &address("root"))
            .with("REPARTEE__BOOTSTRAP__ADMIN_PASSWORD", PASSWORD)
    }

    pub(super) async fn meet(server: &'a Server) -> Self {
        let token = |answer: &Value| text(&answer["access_token"]).to_owned();
        let client = |answer: &Value| server.client().with_token(&token(answer));
        let root = client(&log_in(server, "root").await);
        let ada = client(&register(server, "ada").await);
        let stranger = client(&register(server, "grace").await);
        let gone = register(server, "gone").await;
        client(&gone).post("/api/v1/auth/logout", &json!({})).await.expect(204);
        let key = json!({"name": "audio only", "scopes": ["audio"]});
        let key = ada.post("/api/v1/api-keys", &key).await.expect(201);
        let expired = expired(ada.token.as_deref().unwrap());
        let mut people = Self {
            server,
            manager: root.clone(),
            root,
            ada,
            stranger,
            expired,
            revoked: token(&gone),
            key: text(&key["secret"]).to_owned(),
            count: AtomicUsize::new(0),
        };
        people.manager = people.somebody_new("manager").await;
        people
    }

    /// Who asks, and for what. Whoever may gets things of their own, for they may be gone
    /// afterwards.
    pub(super) async fn call(
        &self,
        caller: Caller,
        row: &Row,
        path: &str,
        expected: Expected,
    ) -> (Client, String) {
        let is_allowed = expected == Expected::Allowed;
        let nobody = self.server.client();
        let client = match caller {
            Caller::Nobody => nobody,
            Caller::Guest if is_allowed => nobody,
            Caller::Guest => nobody.with_token("5f2f8f8e-6f0c-4a43-9a3e-5b6c8f6d2a11"),
            Caller::Expired => nobody.with_token(&self.expired),
            Caller::Revoked => nobody.with_token(&self.revoked),
            Caller::Unscoped => nobody.with_token(&self.key),
            Caller::Stranger | Caller::User if is_allowed => self.somebody_new("user").await,
            Caller::Stranger => self.stranger.clone(),
            Caller::User => self.ada.clone(),
            Caller::Manager if is_allowed => self.somebody_new("manager").await,
            Caller::Manager => self.manager.clone(),
            Caller::Admin => self.somebody_new("admin").await,
        };
        let is_somebody = matches!(caller, Caller::User | Caller::Manager | Caller::Admin);
        let owner = match row.access {
            Access::Admins | Access::AdminsOnly if is_allowed => self.somebody_new("user").await,
            _ if is_allowed && is_somebody => client.clone(),
            _ => self.ada.clone(),
        };
        let path = self.filled(path, &owner).await;
        (client, format!("{path}{}", row.query))
    }

    async fn somebody_new(&self, role: &str) -> Client {
        let name = format!("{role}{}", self.count.fetch_add(1, Ordering::Relaxed));
        let body = json!({"email": address(&name), "password": PASSWORD, "role": role});
        self.root.post("/api/v1/users", &body).await.expect(201);
        let tokens = log_in(self.server, &name).await;
        self.server.client().with_token(text(&tokens["access_token"]))
    }

    /// The path to what is the owner's.
    async fn filled(&self, path: &str, owner: &Client) -> String {
        let mut filled = path.to_owned();
        while let Some((before, rest)) = filled.split_once('{') {
            let (name, after) = rest.split_once('}').expect("a closing brace");
            let id = match name {
                "conversation_id" => id_of(&conversation(owner).await).to_owned(),
                "generation_id" => generation(owner).await,
                "message_id" => {
                    let conversation = before.trim_end_matches("/messages/");
                    let turn = ask(owner, conversation, "Hello", "mock-2-0").await.expect(200);
                    text(&turn["reply"]["id"]).to_owned()
                }
                "user_id" => id_of_user(owner).await,
                "session_id" => {
                    let sessions = owner.get("/api/v1/auth/sessions").await.expect(200);
                    text(&list(&sessions["data"])[0]["id"]).to_owned()
                }
                "key_id" => {
                    let made = owner.post("/api/v1/api-keys", &json!({"name": "one"})).await;
                    text(&made.expect(201)["id"]).to_owned()
                }
                "persona_id" => {
                    let made = self.root.post("/api/v1/personas", &new_persona()).await;
                    made.expect(201)["id"].to_string()
                }
                "project_id" => project(owner).await,
                "prompt_id" => {
                    let prompt = json!({"content": "Hm."});
                    let mut prompts = before.trim_end_matches('/').to_owned();
                    if prompts == "/projects/prompts" {
                        prompts = format!("/projects/{}/prompts", project(owner).await);
                    }
                    owner.post(&prompts, &prompt).await.expect(201)["id"].to_string()
                }
                "file_id" => {
                    let mut files = before.trim_end_matches('/').to_owned();
                    if files == "/projects/files" {
                        files = format!("/projects/{}/files", project(owner).await);
                    }
                    upload(owner, &files, "tea", b"Hm.").await.expect(201)["id"].to_string()
                }
                "member_id" => {
                    let root = id_of_user(&self.root).await;
                    let role = json!({"role": "viewer"});
                    owner.put(&format!("{before}{root}"), &role).await.expect(200);
                    root
                }
                "token" => {
                    let share = format!("{}/share", conversation(owner).await);
                    let link = owner.post(&share, &json!({})).await.expect(201);
                    text(&link["token"]).to_owned()
                }
                "model_id" => "mock-echo".to_owned(),
                "file" => "nothing".to_owned(),
                name => panic!("what is {name}?"),
            };
            filled = format!("{before}{id}{after}");
        }
        filled
    }
}

/// The one that they have, for nobody may have too many.
async fn project(owner: &Client) -> String {
    let projects = owner.get("/projects").await.expect(200);
    if let Some(project) = list(&projects).first() {
        return project["id"].to_string();
    }
    let made = owner.post("/projects", &json!({"name": "Tea"})).await;
    made.expect(201)["id"].to_string()
}

async fn generation(owner: &Client) -> String {
    let turn = ask(owner, &conversation(owner).await, "Hello", "mock-2-0").await.expect(200);
    text(&turn["reply"]["generation_id"]).to_owned()
}

/// The same token, of two hours ago.
fn expired(token: &str) -> String {
    let claims = token.split('.').nth(1).expect("claims");
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap();
    let mut claims: Value = serde_json::from_slice(&claims).unwrap();
    for name in ["exp", "iat", "nbf"] {
        claims[name] = json!(claims[name].as_i64().unwrap() - 7_200);
    }
    let header = Header { typ: Some("at+jwt".to_owned()), ..Header::new(Algorithm::HS256) };
    jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}
