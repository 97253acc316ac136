//! Users, their conversations, and the turns that they take.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use hyper::Method;
use serde_json::{Value, json};

use super::{
    client::{Call, Client, Turn},
    reply::Surface,
};

/// More sign-ups than this would be a load test of the password hash.
pub(super) const MOST_USERS: usize = 1_000;
/// Messages that a conversation has before it is measured.
const HISTORY: usize = 20;
const PASSWORD: &str = "Correct-Horse-7-Battery";
const QUESTION: &str =
    "And what would you say to somebody who asks the same thing once more, a little later?";
const ANSWER: &str = "That depends on what was said before: the second time a question is asked, it is seldom the same \
    question. I would begin with what has changed since then, and only after that repeat what still holds.";

/// A model whose name tells how many words it says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Model {
    pub(super) words: usize,
    pub(super) gap_ms: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) token: String,
    pub(super) id: String,
    email: String,
}

#[derive(Debug, Clone)]
pub(super) struct Conversation {
    pub(super) token: String,
    pub(super) id: String,
}

/// Registers users, one after the other.
pub(super) struct Registrar {
    client: Client,
    /// Makes the addresses of this run differ from those of every other on the same database.
    tag: String,
    count: usize,
}

impl Registrar {
    pub(super) fn new(server: SocketAddr, tag: &str) -> Self {
        Self { client: Client::new(server), tag: tag.to_lowercase(), count: 0 }
    }

    pub(super) async fn register(&mut self) -> Result<Account> {
        ensure!(self.count < MOST_USERS, "no more than {MOST_USERS} users are registered");
        let email = format!("bench-{}-{}@example.com", self.tag, self.count);
        self.count += 1;
        let body = json!({"email": email, "password": PASSWORD});
        let call = Call::new(Method::POST, "/api/v1/auth/register", None, &body)?;
        let answer = self
            .client
            .json(&call)
            .await
            .with_context(|| format!("user {} can't be registered", self.count))?;
        let id = text(&answer["user"], "id")?;
        Ok(Account { token: text(&answer, "access_token")?, id, email })
    }
}

impl Account {
    pub(super) fn log_in(&self) -> Result<Call> {
        let body = json!({"email": self.email, "password": PASSWORD});
        Call::new(Method::POST, "/api/v1/auth/login", None, &body)
    }

    pub(super) async fn converse(&self, client: &mut Client) -> Result<Conversation> {
        let body = json!({"title": "Benchmark"});
        let call = Call::new(Method::POST, "/api/v1/conversations", Some(&self.token), &body)?;
        let answer = client.json(&call).await.context("no conversation can be created")?;
        Ok(Conversation { token: self.token.clone(), id: text(&answer, "id")? })
    }

    /// A conversation that has said something already.
    pub(super) async fn converse_on(&self, client: &mut Client) -> Result<Conversation> {
        let conversation = self.converse(client).await?;
        for (role, content) in history() {
            let message = match role {
                "user" => json!({"content": content, "reply": false}),
                _ => json!({"content": content, "role": role}),
            };
            let call = Call::new(Method::POST, &conversation.path(), Some(&self.token), &message)?;
            client.json(&call).await.context("no message can be stored")?;
        }
        Ok(conversation)
    }
}

impl Conversation {
    fn path(&self) -> String {
        format!("/api/v1/conversations/{}/messages", self.id)
    }

    /// Asks any model.
    pub(super) fn ask(&self, model: &str) -> Result<Call> {
        let body = json!({"content": QUESTION, "model": model});
        Call::new(Method::POST, &self.path(), Some(&self.token), &body)
    }

    pub(super) fn turn(&self, model: Model, streamed: bool) -> Result<Turn> {
        let call = self.ask(&model.name())?;
        let call = if streamed { call.accepting_events() } else { call };
        Ok(Turn { call, surface: Surface::Server, streamed, words: model.words })
    }
}

impl Model {
    pub(super) fn name(self) -> String {
        format!("mock-{}-{}", self.words, self.gap_ms)
    }

    /// The same turn, asked of the upstream itself.
    pub(super) fn direct_turn(self, streamed: bool) -> Result<Turn> {
        let mut messages =
            vec![json!({"role": "system", "content": "You are a helpful assistant."})];
        messages.extend(history().map(|(role, content)| json!({"role": role, "content": content})));
        messages.push(json!({"role": "user", "content": QUESTION}));
        let mut body = json!({"model": self.name(), "messages": messages, "stream": streamed});
        if streamed {
            body["stream_options"] = json!({"include_usage": true});
        }
        let call = Call::new(Method::POST, "/v1/chat/completions", None, &body)?;
        Ok(Turn { call, surface: Surface::Upstream, streamed, words: self.words })
    }
}

/// Questions and answers in turn: who says what.
fn history() -> impl Iterator<Item = (&'static str, &'static str)> {
    [("user", QUESTION), ("assistant", ANSWER)].into_iter().cycle().take(HISTORY)
}

fn text(answer: &Value, name: &str) -> Result<String> {
    let text =
        answer[name].as_str().with_context(|| format!("the answer has no {name:?}: {answer}"))?;
    Ok(text.to_owned())
}
