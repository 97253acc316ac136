//! Connections and routes.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{
    chat::{Prepare, Question},
    embeddings,
    plan::{Behaviour, Plan},
    playback::Playback,
    record::{OpenReply, Record},
};

/// The names that `GET /v1/models` tells; every other one works as well.
const LISTED: [&str; 12] = [
    "mock-64-20",
    "mock-64-0",
    "mock-40-500",
    "mock-12-250",
    "mock-echo",
    "mock-count",
    "mock-empty",
    "mock-slowfirst",
    "mock-hang",
    "mock-hangmid",
    "mock-cut",
    "mock-429-then-ok",
];

const HANG: Duration = Duration::from_mins(10);

type Answer = Response<Playback>;

#[derive(Debug)]
pub(super) struct Shared {
    authorization: Option<String>,
    record: Arc<Record>,
    prepare: Prepare,
}

impl Shared {
    pub(super) fn new(key: Option<&str>, record: Arc<Record>) -> Self {
        let authorization = key.map(|key| format!("Bearer {key}"));
        Self { authorization, record, prepare: Prepare::default() }
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Infallible> {
        let (head, body) = request.into_parts();
        let authorization = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let path = head.uri.path();
        if path.starts_with("/v1/") {
            self.record.count_request();
            if self.authorization.is_some() && self.authorization.as_deref() != authorization {
                return Ok(error(401, "Incorrect API key provided (scripted)."));
            }
        }
        Ok(match (&head.method, path) {
            (&Method::POST, "/v1/chat/completions") => {
                // When the client is gone meanwhile, nobody reads the answer.
                let body = body
                    .collect()
                    .await
                    .map_or_else(|_| Bytes::new(), http_body_util::Collected::to_bytes);
                self.record.keep(authorization, &body);
                self.complete(&body).await
            }
            (&Method::POST, "/v1/embeddings") => {
                let body = body
                    .collect()
                    .await
                    .map_or_else(|_| Bytes::new(), http_body_util::Collected::to_bytes);
                self.record.keep(authorization, &body);
                self.embed(&body).await
            }
            (&Method::GET, "/v1/models") => {
                let models = LISTED.map(
                    |id| json!({"id": id, "object": "model", "created": 0, "owned_by": "repartee"}),
                );
                json_answer(200, &json!({"object": "list", "data": models}))
            }
            (&Method::GET, "/health") => json_answer(200, &json!({"status": "ok"})),
            (&Method::GET, "/mock/stats") => json_answer(200, &json!(self.record.stats())),
            (&Method::POST, "/mock/reset") => {
                self.record.reset();
                json_answer(200, &json!(self.record.stats()))
            }
            _ => error(404, "No such route (scripted)."),
        })
    }

    async fn complete(&self, body: &[u8]) -> Answer {
        let question: Question<'_> = match serde_json::from_slice(body) {
            Ok(question) => question,
            Err(why) => {
                return error(400, &format!("The body is no request for a completion: {why}"));
            }
        };
        let Some(behaviour) = Behaviour::of(&question.model) else {
            return error(
                404,
                &format!("The model {:?} does not exist (scripted).", question.model),
            );
        };
        if let Some(refusal) = self.refuse(&behaviour, &question.model).await {
            return refusal;
        }
        match behaviour {
            Behaviour::Tools if question.has_result() => {
                self.reply(&question, &Plan::result(), body.len())
            }
            Behaviour::Tools => {
                let script = question.tool_call(body.len());
                answer(200, "text/event-stream", Playback::of(script, OpenReply::new(&self.record)))
            }
            Behaviour::Reply(plan) => self.reply(&question, &plan, body.len()),
            _ => self.reply(&question, &Plan::usual(), body.len()),
        }
    }

    /// Any model that answers gives vectors.
    async fn embed(&self, body: &[u8]) -> Answer {
        let request: embeddings::Request = match serde_json::from_slice(body) {
            Ok(request) => request,
            Err(why) => return error(400, &format!("The body is no request for vectors: {why}")),
        };
        let Some(behaviour) = Behaviour::of(&request.model) else {
            return error(
                404,
                &format!("The model {:?} does not exist (scripted).", request.model),
            );
        };
        match self.refuse(&behaviour, &request.model).await {
            Some(refusal) => refusal,
            None => json_answer(200, &request.answer()),
        }
    }

    /// What a model answers that does not do what it is asked this time.
    async fn refuse(&self, behaviour: &Behaviour, model: &str) -> Option<Answer> {
        match *behaviour {
            Behaviour::Refuse { status } => Some(refusal(status, (status == 429).then_some(0))),
            Behaviour::RefuseEveryOther { status } => {
                (self.record.call(model) % 2 == 1).then(|| refusal(status, Some(0)))
            }
            Behaviour::RefuseFirst { status, times, retry_after_s } => {
                (self.record.call(model) <= times).then(|| refusal(status, Some(retry_after_s)))
            }
            Behaviour::Hang => {
                let mut open = OpenReply::new(&self.record);
                tokio::time::sleep(HANG).await;
                open.finish();
                Some(refusal(504, None))
            }
            Behaviour::Tools | Behaviour::Reply(_) => None,
        }
    }

    fn reply(&self, question: &Question<'_>, plan: &Plan, size: usize) -> Answer {
        let script = question.reply(plan, size, &self.prepare);
        let kind = if script.length.is_some() { "application/json" } else { "text/event-stream" };
        answer(200, kind, Playback::of(script, OpenReply::new(&self.record)))
    }
}

/// Serves until it is aborted, and every connection with it.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(serve(stream, Arc::clone(&shared)));
            }
            // Out of descriptors: some connection has to end first.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // Without it, every word after the first waits for the client's acknowledgement.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(|request| shared.answer(request));
    // Connections that are cut by the script, or left by the client, end in an error.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

fn refusal(status: u16, retry_after_s: Option<u64>) -> Answer {
    let mut answer = error(status, "The status that the model's name asked for (scripted).");
    if let Some(seconds) = retry_after_s {
        answer.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    answer
}

/// `{"error": {…}}`, as the real API answers.
fn error(status: u16, message: &str) -> Answer {
    let (kind, code) = match status {
        401 => ("invalid_request_error", "invalid_api_key"),
        404 => ("invalid_request_error", "model_not_found"),
        429 => ("rate_limit_error", "rate_limit_exceeded"),
        400..=499 => ("invalid_request_error", "invalid_request"),
        _ => ("server_error", "server_error"),
    };
    json_answer(
        status,
        &json!({"error": {"message": message, "type": kind, "param": null, "code": code}}),
    )
}

fn json_answer(status: u16, body: &Value) -> Answer {
    answer(status, "application/json", Playback::at_once(Bytes::from(body.to_string())))
}

fn answer(status: u16, kind: &'static str, body: Playback) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
