//! One kept-alive connection, and what is asked over it.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, anyhow, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Uri,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpStream, task::JoinSet, time::Instant};

use super::{
    reply::{StreamReader, Surface, excerpt, read_whole},
    words::Faults,
};

/// No answer takes this long; one that does is a failure.
const LIMIT: Duration = Duration::from_mins(2);

/// Connects at the first call, and again after a failure.
pub(super) struct Client {
    address: SocketAddr,
    sender: Option<SendRequest<Full<Bytes>>>,
    /// Drives the connection; ends with the client.
    driver: JoinSet<()>,
}

/// A request that can be sent many times.
#[derive(Debug, Clone)]
pub(super) struct Call {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

/// A turn to take: a question, and how its reply is to be read.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    pub(super) call: Call,
    pub(super) surface: Surface,
    pub(super) streamed: bool,
    /// Words of the reply.
    pub(super) words: usize,
}

/// A turn that was answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    /// From sending to the first word; of a whole reply, to its last byte.
    pub(super) first: Duration,
    pub(super) whole: Duration,
    pub(super) faults: Faults,
}

impl Call {
    pub(super) fn new(
        method: Method,
        path: &str,
        token: Option<&str>,
        body: &Value,
    ) -> Result<Self> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, format!("Bearer {token}").parse()?);
        }
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        Ok(Self { method, uri: path.parse()?, headers, body })
    }

    pub(super) fn accepting_events(mut self) -> Self {
        self.headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        self
    }
}

impl Client {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, sender: None, driver: JoinSet::new() }
    }

    /// Sends `call` and reads its JSON answer, which has to be a success.
    pub(super) async fn json(&mut self, call: &Call) -> Result<Value> {
        let (status, body) = self.whole(call).await?;
        ensure!(status.is_success(), refusal(call, status, &body));
        serde_json::from_slice(&body)
            .with_context(|| format!("{} answered no JSON: {}", call.uri, excerpt(&body)))
    }

    pub(super) async fn take(&mut self, turn: &Turn) -> Result<Taken> {
        let taken = tokio::time::timeout(LIMIT, self.take_unlimited(turn));
        let taken = taken.await.unwrap_or_else(|_| Err(anyhow!("no reply within {LIMIT:?}")));
        if taken.is_err() {
            self.sender = None;
        }
        taken
    }

    async fn take_unlimited(&mut self, turn: &Turn) -> Result<Taken> {
        self.connect().await?;
        let asked = Instant::now();
        let mut response = self.send(&turn.call).await?;
        let status = response.status();
        if !turn.streamed || !status.is_success() {
            let body = response.into_body().collect().await?.to_bytes();
            ensure!(status.is_success(), refusal(&turn.call, status, &body));
            let whole = asked.elapsed();
            return Ok(Taken {
                first: whole,
                whole,
                faults: read_whole(turn.surface, &body, turn.words)?,
            });
        }
        let mut reader = StreamReader::new(turn.surface, turn.words);
        let mut first = None;
        while let Some(frame) = response.body_mut().frame().await {
            if let Ok(data) = frame?.into_data() {
                reader.feed(&data)?;
            }
            if first.is_none() && reader.begun() {
                first = Some(asked.elapsed());
            }
        }
        let whole = asked.elapsed();
        Ok(Taken { first: first.unwrap_or(whole), whole, faults: reader.finish()? })
    }

    /// Sends `call` and feeds what streams back to `reader`, to its end and for as long as it takes.
    pub(super) async fn follow(&mut self, call: &Call, reader: &mut StreamReader) -> Result<()> {
        self.connect().await?;
        let mut response = self.send(call).await?;
        let status = response.status();
        if !status.is_success() {
            let body = response.into_body().collect().await?.to_bytes();
            bail!(refusal(call, status, &body));
        }
        while let Some(frame) = response.body_mut().frame().await {
            if let Ok(data) = frame?.into_data() {
                reader.feed(&data)?;
            }
        }
        ensure!(reader.has_ended(), "the stream stopped without its last event");
        Ok(())
    }

    async fn whole(&mut self, call: &Call) -> Result<(StatusCode, Bytes)> {
        let answer = tokio::time::timeout(LIMIT, async {
            self.connect().await?;
            let response = self.send(call).await?;
            let status = response.status();
            Ok((status, response.into_body().collect().await?.to_bytes()))
        });
        answer.await.unwrap_or_else(|_| Err(anyhow!("{} didn't answer within {LIMIT:?}", call.uri)))
    }

    async fn connect(&mut self) -> Result<()> {
        if self.sender.as_ref().is_some_and(|sender| !sender.is_closed()) {
            return Ok(());
        }
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        self.driver.abort_all();
        self.driver.spawn(async {
            // Its errors come to whoever waits for the answer.
            drop(connection.await);
        });
        self.sender = Some(sender);
        Ok(())
    }

    async fn send(&mut self, call: &Call) -> Result<Response<Incoming>> {
        let sender = self.sender.as_mut().context("no connection")?;
        sender.ready().await?;
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = call.uri.clone();
        *request.headers_mut() = call.headers.clone();
        request.headers_mut().insert(HOST, HeaderValue::from_str(&self.address.to_string())?);
        Ok(sender.send_request(request).await?)
    }
}

fn refusal(call: &Call, status: StatusCode, body: &[u8]) -> String {
    let hint = match status.as_u16() {
        429 => {
            " (a limit of the server: the benchmark needs its users, turns and streams to be let in)"
        }
        401 | 403 => " (the server doesn't know the benchmark's user)",
        _ => "",
    };
    format!("{} {} was answered {status}{hint}: {}", call.method, call.uri, excerpt(body))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::upstream::Upstream;

    fn turn(model: &str, streamed: bool, words: usize) -> Turn {
        let body = json!({"model": model, "stream": streamed, "messages": []});
        let call = Call::new(Method::POST, "/v1/chat/completions", None, &body).unwrap();
        Turn { call, surface: Surface::Upstream, streamed, words }
    }

    fn client(upstream: &Upstream) -> Client {
        Client::new(upstream.base_url().strip_prefix("http://").unwrap().parse().unwrap())
    }

    #[tokio::test]
    async fn turns_are_taken_whole_and_streamed_on_one_connection() {
        let upstream = Upstream::start().await;
        let mut client = client(&upstream);
        let whole = client.take(&turn("mock-8-0", false, 8)).await.unwrap();
        let streamed = client.take(&turn("mock-8-20", true, 8)).await.unwrap();
        assert_eq!([whole.faults, streamed.faults], [Faults::default(); 2]);
        assert!(streamed.whole > streamed.first, "{streamed:?}");
    }

    #[tokio::test]
    async fn a_failure_says_why_and_the_next_turn_connects_again() {
        let upstream = Upstream::start().await;
        let mut client = client(&upstream);
        let refused = client.take(&turn("mock-429", true, 8)).await.unwrap_err().to_string();
        assert!(refused.contains("429") && refused.contains("a limit of the server"), "{refused}");
        for model in ["mock-cut", "mock-errormid", "mock-nodone"] {
            assert!(client.take(&turn(model, true, 16)).await.is_err(), "{model}");
        }
        assert_eq!(client.take(&turn("mock-8-0", true, 9)).await.unwrap().faults.lost, 1);
    }
}
