//! The connection to one provider.

use std::{net::IpAddr, sync::Arc, time::Duration};

use repartee_application::ports::{
    ChatRequest, ChatStream, Clock, EmbeddingRequest, Embeddings, ModelError, ModelStatus,
};
use reqwest::{
    RequestBuilder, Response, StatusCode, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap},
    redirect,
};
use tokio::sync::Semaphore;

use super::{
    InvalidSettings, OpenAiSettings,
    dialect::{Dialect, KnownDialect},
    errors::Refusal,
    health::Health,
    key::Key,
    reply::{self, MAX_WHOLE, Transcript, broken, malformed},
    request,
    wire::{EmbeddingList, ModelList},
};

/// How long the list of models may take.
const LISTING: Duration = Duration::from_secs(10);
/// The longest list of vectors: 2,048 texts of 3,072 numbers each. Bytes.
const MAX_EMBEDDINGS: usize = 96 << 20;
/// Such lists that are read at once; more wait.
const EMBEDDING_AT_ONCE: usize = 4;
const USER_AGENT: &str = concat!("repartee/", env!("CARGO_PKG_VERSION"));

/// Asks one provider over one pool of connections.
pub(super) struct Client {
    http: reqwest::Client,
    completions: Url,
    embeddings: Url,
    models: Url,
    key: Key,
    clock: Arc<dyn Clock>,
    dialect: KnownDialect,
    embedding: Semaphore,
    health: Arc<Health>,
}

impl Client {
    pub(super) fn new(
        settings: OpenAiSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, InvalidSettings> {
        let base = base_url(&settings.base_url).ok_or(InvalidSettings::BaseUrl)?;
        let key = Key::new(settings.api_key);
        let mut headers = HeaderMap::new();
        if let Some(header) = key.header() {
            headers.insert(AUTHORIZATION, header.map_err(|_| InvalidSettings::ApiKey)?);
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .default_headers(headers)
            .connect_timeout(settings.connect_timeout)
            .tcp_nodelay(true)
            // Another host would be sent the question, and the key.
            .redirect(redirect::Policy::none());
        if base.scheme() == "http" {
            // No redirect is followed, so that no certificate is ever looked at: reading the
            // system's would take most of the time that the server takes to start.
            builder = builder.tls_certs_only([]);
        }
        if is_loopback(&base) {
            // HTTP_PROXY is meant for the world outside; a proxy's own loopback is another one.
            builder = builder.no_proxy();
        }
        Ok(Self {
            http: builder.build().map_err(InvalidSettings::Tls)?,
            completions: endpoint(&base, "chat/completions"),
            embeddings: endpoint(&base, "embeddings"),
            models: endpoint(&base, "models"),
            key,
            clock,
            dialect: KnownDialect::default(),
            embedding: Semaphore::new(EMBEDDING_AT_ONCE),
            health: Arc::default(),
        })
    }

    pub(super) fn status(&self) -> ModelStatus {
        self.health.status()
    }

    pub(super) async fn stream(&self, request: &ChatRequest) -> Result<ChatStream, ModelError> {
        let mut dialect = self.dialect.get();
        let response = loop {
            let response = self.send(self.completion(request, dialect)?).await?;
            if response.status().is_success() {
                break response;
            }
            let refusal = self.refusal(response).await;
            match self.dialect.learn(dialect, &refusal) {
                // Each thing is learnt once, so that this comes to an end.
                Some(other) => dialect = other,
                None => return Err(refusal.into_error(&self.key)),
            }
        };
        let transcript = Transcript::new(self.key.clone(), request.passed.is_some());
        if is_json(&response) {
            let reply = self
                .read(response, MAX_WHOLE)
                .await
                .and_then(|json| reply::whole(&json, transcript));
            return self.noted(reply);
        }
        Ok(reply::streamed(response, transcript, Arc::clone(&self.health)))
    }

    pub(super) async fn models(&self) -> Result<Vec<String>, ModelError> {
        let response = self.send(self.http.get(self.models.clone()).timeout(LISTING)).await?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await.into_error(&self.key));
        }
        let models = self.read(response, MAX_WHOLE).await.and_then(|json| {
            let list: ModelList = serde_json::from_slice(&json).map_err(|e| malformed(&e))?;
            let names: Vec<_> = list.data.into_iter().map(|model| model.id).collect();
            if names.is_empty() { Err(broken("the provider has no models")) } else { Ok(names) }
        });
        self.noted(models)
    }

    pub(super) async fn embed(&self, request: &EmbeddingRequest) -> Result<Embeddings, ModelError> {
        let body = request::embedding(request)
            .map_err(|error| ModelError::Rejected { reason: error.to_string() })?;
        let request = self.http.post(self.embeddings.clone());
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        // All of an answer is held, and these are long.
        let _place = self.embedding.acquire().await.map_err(broken)?;
        let response = self.send(request).await?;
        let is_none = [StatusCode::NOT_IMPLEMENTED, StatusCode::METHOD_NOT_ALLOWED];
        if is_none.contains(&response.status()) {
            return Err(ModelError::NoEmbeddings);
        }
        if !response.status().is_success() {
            // It says nothing of the models that write.
            let refusal = Refusal::read(response, self.clock.now()).await;
            return Err(refusal.into_error(&self.key));
        }
        let embeddings = self.read(response, MAX_EMBEDDINGS).await.and_then(|json| {
            let list: EmbeddingList<'_> =
                serde_json::from_slice(&json).map_err(|e| malformed(&e))?;
            if !list.data.get().starts_with('[') {
                return Err(broken("there are no vectors in the answer"));
            }
            let prompt_tokens = list.usage.and_then(|usage| usage.prompt_tokens);
            Ok(Embeddings { data: list.data.get().to_owned(), prompt_tokens })
        });
        embeddings.inspect(|_| self.health.succeeded())
    }

    fn completion(
        &self,
        request: &ChatRequest,
        dialect: Dialect,
    ) -> Result<RequestBuilder, ModelError> {
        // A number that JSON cannot hold is all that can be wrong.
        let body = request::body(request, dialect)
            .map_err(|error| ModelError::Rejected { reason: error.to_string() })?;
        Ok(self
            .http
            .post(self.completions.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "text/event-stream")
            .body(body))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, ModelError> {
        request.send().await.map_err(|error| {
            if error.is_connect() {
                self.health.was_unreachable();
            } else {
                self.health.failed();
            }
            ModelError::Unavailable { retry_after: None, source: error.without_url().into() }
        })
    }

    async fn refusal(&self, response: Response) -> Refusal {
        let refusal = Refusal::read(response, self.clock.now()).await;
        if refusal.is_about_the_request() {
            self.health.succeeded();
        } else {
            self.health.failed();
        }
        refusal
    }

    /// The body of an answer that is not a stream.
    async fn read(&self, mut response: Response, most: usize) -> Result<Vec<u8>, ModelError> {
        let mut body = Vec::new();
        while let Some(bytes) = response.chunk().await.map_err(|e| broken(e.without_url()))? {
            if body.len() + bytes.len() > most {
                return Err(broken("the answer is too long"));
            }
            body.extend_from_slice(&bytes);
        }
        Ok(body)
    }

    fn noted<T>(&self, result: Result<T, ModelError>) -> Result<T, ModelError> {
        match &result {
            Ok(_) => self.health.succeeded(),
            Err(_) => self.health.failed(),
        }
        result
    }
}

/// With the version in its path: `/v1` where it names none.
fn base_url(text: &str) -> Option<Url> {
    let mut url = Url::parse(text.trim()).ok()?;
    let has_extras = !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some();
    if has_extras || !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let is_version = |segment: &str| {
        segment.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let has_version = url.path_segments()?.any(is_version);
    let mut path = url.path_segments_mut().ok()?;
    path.pop_if_empty();
    if !has_version {
        path.push("v1");
    }
    drop(path);
    Some(url)
}

fn endpoint(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path()));
    url
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    })
}

/// A server that does not stream answers in plain JSON, whatever it was asked.
fn is_json(response: &Response) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE);
    content_type
        .is_some_and(|value| value.as_bytes().to_ascii_lowercase().starts_with(b"application/json"))
}
