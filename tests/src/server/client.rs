//! A client that shares no code with the server.

use std::time::Duration;

use reqwest::{
    Method, RequestBuilder,
    header::{ACCEPT, HeaderMap},
};
use serde_json::Value;

use super::{Events, Feed, Refused, Socket, fail, secrets};

/// No answer takes this long; one that does is a failure.
const LIMIT: Duration = Duration::from_mins(2);

const LONGEST_STREAM: Duration = Duration::from_mins(5);

/// Somebody who calls, with a token or without.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    pub token: Option<String>,
}

/// An answer that has arrived.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
    what: String,
}

impl Client {
    pub(super) fn new(url: &str) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(LIMIT)
            .build();
        let http = http.unwrap_or_else(|error| fail("a client", &error.into()));
        Self { http, url: url.to_owned(), token: None }
    }

    /// The same server, as somebody else.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        secrets::note("a bearer token", token);
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    #[must_use]
    pub fn without_token(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    /// A request that is yet to be sent; a path may have a query.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::to(self.request(Method::GET, path)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        Answer::to(self.request(Method::DELETE, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::to(self.request(Method::POST, path).json(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        Answer::to(self.request(Method::PATCH, path).json(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        Answer::to(self.request(Method::PUT, path).json(body)).await
    }

    /// Sends `body` and reads the events that come back.
    pub async fn stream(&self, path: &str, body: &Value) -> Events {
        let request = self.request(Method::POST, path).header(ACCEPT, "text/event-stream");
        Events::of(request.timeout(LONGEST_STREAM).json(body)).await
    }

    /// Reads events, after the one named where one is.
    pub async fn resume(&self, path: &str, last_event_id: Option<&str>) -> Events {
        Events::of(self.after(path, last_event_id)).await
    }

    /// Reads a change feed, after the cursor where there is one.
    pub async fn feed(&self, path: &str, cursor: Option<&str>) -> Feed {
        Feed::of(self.after(path, cursor)).await.unwrap_or_else(|error| fail("no feed", &error))
    }

    fn after(&self, path: &str, last_event_id: Option<&str>) -> RequestBuilder {
        // A stream may be read for as long as it takes.
        let request = self.request(Method::GET, path).timeout(LONGEST_STREAM);
        match last_event_id {
            Some(id) => request.header("Last-Event-ID", id),
            None => request,
        }
    }

    /// Opens a WebSocket.
    ///
    /// # Panics
    /// Where it isn't let in.
    pub async fn socket(&self, path: &str) -> Socket {
        let opened = self.try_socket(path, &[]).await;
        opened.unwrap_or_else(|refused| panic!("{path} is refused: {refused:?}"))
    }

    /// As [`Client::socket`], with further headers and where it may be refused before the upgrade.
    pub async fn try_socket(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Socket, Refused> {
        let url = self.url.replacen("http://", "ws://", 1) + path;
        Socket::open(&url, self.token.as_deref(), headers).await
    }

    /// `host:port`, for who speaks TCP themselves.
    pub fn authority(&self) -> &str {
        self.url.trim_start_matches("http://")
    }
}

impl Answer {
    /// Sends a request and waits for all of its answer.
    pub async fn to(request: RequestBuilder) -> Self {
        let sent = Self::try_to(request).await;
        sent.unwrap_or_else(|error| fail("no answer", &error.into()))
    }

    /// As [`Answer::to`], where the server may be gone.
    pub async fn try_to(request: RequestBuilder) -> reqwest::Result<Self> {
        let (client, request) = request.build_split();
        let request = request?;
        secrets::note_body(request.body().and_then(|body| body.as_bytes()).unwrap_or_default());
        let what = format!("{} {}", request.method(), request.url());
        let response = client.execute(request).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await?.to_vec();
        secrets::note_body(&bytes);
        Ok(Self { status, headers, bytes, what })
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// A header, or an empty text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body, of an answer with this status.
    ///
    /// # Panics
    /// Where the status is another one.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.what, self.text());
        self.json()
    }

    /// The body of a problem with this status and code, whose shape is checked.
    ///
    /// # Panics
    /// Where it is anything else.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.expect(status);
        assert_eq!(problem["code"], code, "{}: {problem}", self.what);
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.what);
        assert_eq!(problem["status"], status, "{}: {problem}", self.what);
        assert_eq!(problem["request_id"], self.header("x-request-id"), "{}", self.what);
        assert!(problem["type"].is_string() && problem["title"].is_string(), "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
        problem
    }

    /// The error of the OpenAI-compatible surface, whose shape is checked.
    ///
    /// # Panics
    /// Where it is anything else.
    #[track_caller]
    pub fn openai_error(&self, status: u16, kind: &str, code: &str) -> Value {
        let error = self.expect(status)["error"].take();
        assert_eq!((&error["type"], &error["code"]), (&kind.into(), &code.into()), "{}", self.what);
        assert_eq!(self.header("content-type"), "application/json", "{}", self.what);
        assert!(!self.header("x-request-id").is_empty(), "{}", self.what);
        assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{error}");
        assert!(error.get("param").is_some(), "{error}");
        error
    }
}
