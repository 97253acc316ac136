//! A WebSocket client that is not the server's.

use std::{pin::Pin, time::Duration};

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::{Instant, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        self, Message,
        client::IntoClientRequest,
        protocol::frame::{
            Frame as RawFrame,
            coding::{Data, OpCode},
        },
    },
};

use super::{Event, fail};

/// A server that says nothing for this long is a failure.
const LIMIT: Duration = Duration::from_mins(2);

/// An open socket. Dropping it closes the connection without a word.
pub struct Socket {
    stream: Pin<Box<WebSocketStream<TcpStream>>>,
}

/// `{"type": …, "data": {…}}`
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    pub kind: String,
    pub data: Value,
    /// As it came.
    pub text: String,
}

/// Why a socket was not opened.
#[derive(Debug)]
pub struct Refused {
    /// Of the HTTP answer.
    pub status: u16,
    pub body: Value,
}

/// How a socket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// With a close frame of this code.
    With(u16),
    /// Without any.
    Abruptly,
}

impl Frame {
    /// Whether nothing more may come of the reply that it is about.
    pub fn is_terminal(&self) -> bool {
        let terminal =
            ["message_completed", "message_failed", "message_cancelled", "message_interrupted"];
        terminal.contains(&&*self.kind)
    }

    pub fn seq(&self) -> u64 {
        self.data["seq"].as_u64().unwrap_or_default()
    }

    pub fn generation(&self) -> &str {
        self.data["generation_id"].as_str().unwrap_or_default()
    }

    /// Whether it tells what `event` tells an SSE reader: the same content in another envelope.
    pub fn tells(&self, event: &Event, conversation: &str) -> bool {
        let mut data = event.json();
        data["conversation_id"] = json!(conversation);
        data["generation_id"] = json!(event.id.split(':').next());
        data["seq"] = json!(event.seq());
        self.event_name() == event.name && self.data == data
    }

    /// What an SSE reader of the same reply sees it called; empty for what is about no reply.
    pub fn event_name(&self) -> &str {
        match &*self.kind {
            "message_started" => "start",
            "message_delta" => "delta",
            "message_completed" => "done",
            "message_failed" => "failed",
            "message_cancelled" => "cancelled",
            "message_interrupted" => "interrupted",
            kind @ ("queued" | "sources") => kind,
            _ => "",
        }
    }

    /// The text that it adds to its reply.
    pub fn added(&self) -> &str {
        if self.kind != "message_delta" {
            return "";
        }
        self.data["text"].as_str().unwrap_or_default()
    }
}

impl Socket {
    pub(super) async fn open(
        url: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Result<Self, Refused> {
        let opening = timeout(LIMIT, Self::handshake(url, token, headers));
        let opened = opening.await.unwrap_or_else(|_| fail("a socket", &anyhow!("no answer")));
        match opened.unwrap_or_else(|error| fail("a socket", &error)) {
            Ok(stream) => Ok(Self { stream: Box::pin(stream) }),
            Err(refused) => Err(refused),
        }
    }

    async fn handshake(
        url: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Result<Result<WebSocketStream<TcpStream>, Refused>> {
        let mut request = url.into_client_request()?;
        let bearer = token.map(|token| format!("Bearer {token}"));
        let authorization = bearer.iter().map(|value| ("Authorization", value.as_str()));
        for (name, value) in authorization.chain(headers.iter().copied()) {
            let name: tungstenite::http::HeaderName = name.parse()?;
            request.headers_mut().insert(name, value.parse()?);
        }
        let authority = request.uri().authority().context("the URL names nobody")?;
        let socket = TcpSocket::new_v4()?;
        // A reader that stops is to be noticed soon: little waits in the kernel for it.
        socket.set_recv_buffer_size(16 * 1024)?;
        let stream = socket.connect(authority.as_str().parse()?).await?;
        match client_async(request, stream).await {
            Ok((stream, _)) => Ok(Ok(stream)),
            Err(tungstenite::Error::Http(answer)) => {
                let body = answer.body().as_deref().unwrap_or_default();
                let body = serde_json::from_slice(body).unwrap_or_default();
                Ok(Err(Refused { status: answer.status().as_u16(), body }))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Sends `{"type": kind, "data": data}`.
    pub async fn send(&mut self, kind: &str, data: Value) {
        self.send_text(&json!({"type": kind, "data": data}).to_string()).await;
    }

    pub async fn send_text(&mut self, text: &str) {
        self.send_message(Message::text(text)).await;
    }

    pub async fn send_binary(&mut self, bytes: &[u8]) {
        self.send_message(Message::binary(bytes.to_vec())).await;
    }

    /// A text frame with whatever in it.
    pub async fn send_raw_text(&mut self, bytes: &[u8]) {
        let frame = RawFrame::message(bytes.to_vec(), OpCode::Data(Data::Text), true);
        self.send_message(Message::Frame(frame)).await;
    }

    async fn send_message(&mut self, message: Message) {
        let sent = self.stream.send(message).await;
        sent.unwrap_or_else(|error| fail("a frame can't be sent", &error.into()));
    }

    /// Sends a ping of the protocol and waits for its pong; what comes in between is lost.
    ///
    /// # Panics
    /// Where the socket ends instead.
    pub async fn ping(&mut self, payload: &[u8]) {
        self.send_message(Message::Ping(Bytes::copy_from_slice(payload))).await;
        loop {
            match self.message(LIMIT).await {
                Some(Message::Pong(echo)) if echo == payload => return,
                Some(Message::Close(why)) => panic!("closed in place of a pong: {why:?}"),
                Some(_) => {}
                None => panic!("gone in place of a pong"),
            }
        }
    }

    /// The next frame.
    ///
    /// # Panics
    /// Where the socket ends instead.
    pub async fn next(&mut self) -> Frame {
        match self.try_next(LIMIT).await {
            Ok(frame) => frame,
            Err(closed) => panic!("the socket is closed: {closed:?}"),
        }
    }

    /// The next frame within `limit`, or how the socket ended.
    pub async fn try_next(&mut self, limit: Duration) -> Result<Frame, Closed> {
        // The server's pings are no frames.
        let until = Instant::now() + limit;
        loop {
            match self.message(until - Instant::now()).await {
                Some(Message::Text(text)) => {
                    let frame: Value = serde_json::from_str(&text)
                        .unwrap_or_else(|error| fail(&format!("a frame {text}"), &error.into()));
                    let kind = frame["type"].as_str().unwrap_or_default().to_owned();
                    let data = frame["data"].clone();
                    return Ok(Frame { kind, data, text: text.to_string() });
                }
                Some(Message::Close(Some(frame))) => return Err(Closed::With(frame.code.into())),
                Some(Message::Close(None)) | None => return Err(Closed::Abruptly),
                Some(_) => {}
            }
        }
    }

    /// The next frame of this type; others before it are passed over.
    pub async fn wait_for(&mut self, kind: &str) -> Frame {
        loop {
            let frame = self.next().await;
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// So many of the next frames.
    pub async fn take(&mut self, count: usize) -> Vec<Frame> {
        let mut frames = Vec::new();
        while frames.len() < count {
            frames.push(self.next().await);
        }
        frames
    }

    /// All frames up to the end of a reply, and that one.
    pub async fn rest_of_reply(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        loop {
            frames.push(self.next().await);
            if frames.last().is_some_and(Frame::is_terminal) {
                return frames;
            }
        }
    }

    /// Reads on until it ends.
    pub async fn closed(&mut self, limit: Duration) -> Closed {
        let reading = async {
            loop {
                if let Err(closed) = self.try_next(limit).await {
                    return closed;
                }
            }
        };
        let closed = timeout(limit, reading).await;
        closed.unwrap_or_else(|_| fail("the socket", &anyhow!("it isn't closed within {limit:?}")))
    }

    /// Closes it in order, with 1000.
    ///
    /// # Panics
    /// Where the server answers with another code, or none.
    pub async fn close(mut self) {
        let code = tungstenite::protocol::frame::coding::CloseCode::Normal;
        let frame = tungstenite::protocol::CloseFrame { code, reason: "".into() };
        self.send_message(Message::Close(Some(frame))).await;
        assert_eq!(self.closed(LIMIT).await, Closed::With(1000));
    }

    async fn message(&mut self, limit: Duration) -> Option<Message> {
        match timeout(limit, self.stream.next()).await {
            Ok(Some(Ok(message))) => Some(message),
            // However it broke: nothing more comes.
            Ok(Some(Err(_)) | None) => None,
            Err(_) => fail("the next frame", &anyhow!("none comes within {limit:?}")),
        }
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").finish_non_exhaustive()
    }
}
