//! A server that says exactly what a test wants, byte by byte.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    task::{JoinHandle, JoinSet},
};

/// What one request is answered with.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    head: String,
    /// Each is written on its own; those after the first wait for [`Server::go_on`] where the
    /// answer is stepped.
    pieces: Vec<Vec<u8>>,
    is_stepped: bool,
    ending: Ending,
}

#[derive(Debug, Clone, Copy)]
enum Ending {
    /// The last chunk, after which the connection is good for another request.
    Whole,
    /// The connection is closed in the middle of the body.
    Cut,
    /// Nothing more comes, and the connection stays open.
    Open,
}

#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) head: String,
    pub(super) body: String,
    /// 0 for the first connection that was made, 1 for the next …
    pub(super) connection: usize,
}

pub(super) struct Server {
    pub(super) base_url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    steps: Arc<Semaphore>,
    closed: mpsc::UnboundedReceiver<()>,
    accepting: JoinHandle<()>,
}

impl Answer {
    pub(super) fn new(status: u16, headers: &str, body: &str) -> Self {
        let head = format!("HTTP/1.1 {status} -\r\ntransfer-encoding: chunked\r\n{headers}\r\n");
        let pieces = if body.is_empty() { Vec::new() } else { vec![body.into()] };
        Self { head, pieces, is_stepped: false, ending: Ending::Whole }
    }

    pub(super) fn json(status: u16, body: &str) -> Self {
        Self::new(status, "content-type: application/json\r\n", body)
    }

    pub(super) fn events(text: &str) -> Self {
        Self::new(200, "content-type: text/event-stream\r\n", text)
    }

    /// The same body, in pieces of so many bytes.
    pub(super) fn in_pieces(mut self, size: usize) -> Self {
        self.pieces = self.pieces.concat().chunks(size).map(<[u8]>::to_vec).collect();
        self
    }

    pub(super) fn stepped(mut self) -> Self {
        self.is_stepped = true;
        self
    }

    pub(super) fn cut(mut self) -> Self {
        self.ending = Ending::Cut;
        self
    }

    pub(super) fn left_open(mut self) -> Self {
        self.ending = Ending::Open;
        self
    }
}

impl Server {
    /// Gives the answers in turn; the last one again and again.
    pub(super) async fn answering<const N: usize>(answers: [Answer; N]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let steps = Arc::new(Semaphore::new(0));
        let (tell_closed, closed) = mpsc::unbounded_channel();
        let script = Arc::new(Mutex::new(VecDeque::from(answers)));
        let accepting = {
            let (requests, steps) = (Arc::clone(&requests), Arc::clone(&steps));
            #[expect(clippy::disallowed_methods, reason = "a test's own server")]
            tokio::spawn(async move {
                let mut connections = JoinSet::new();
                for number in 0.. {
                    let (socket, _) = listener.accept().await.unwrap();
                    let connection = Connection {
                        socket,
                        number,
                        requests: Arc::clone(&requests),
                        steps: Arc::clone(&steps),
                        script: Arc::clone(&script),
                    };
                    let tell_closed = tell_closed.clone();
                    connections.spawn(async move {
                        connection.serve().await;
                        let _ = tell_closed.send(());
                    });
                }
            })
        };
        Self { base_url, requests, steps, closed, accepting }
    }

    /// Lets the next piece of a stepped answer out.
    pub(super) fn go_on(&self) {
        self.steps.add_permits(1);
    }

    /// Waits until the other side has closed a connection.
    pub(super) async fn connection_closed(&mut self) {
        self.closed.recv().await.unwrap();
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

struct Connection {
    socket: TcpStream,
    number: usize,
    requests: Arc<Mutex<Vec<Request>>>,
    steps: Arc<Semaphore>,
    script: Arc<Mutex<VecDeque<Answer>>>,
}

impl Connection {
    /// Until either side closes.
    async fn serve(mut self) {
        let mut unread = Vec::new();
        while let Some((head, body)) = self.request(&mut unread).await {
            let connection = self.number;
            self.requests.lock().unwrap().push(Request { head, body, connection });
            let answer = {
                let mut script = self.script.lock().unwrap();
                if script.len() > 1 { script.pop_front() } else { script.front().cloned() }
            };
            if self.answer(answer.unwrap()).await.is_none() {
                return;
            }
        }
    }

    async fn request(&mut self, unread: &mut Vec<u8>) -> Option<(String, String)> {
        loop {
            if let Some(end) = unread.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8(unread[..end].to_vec()).unwrap().to_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                let body_end = end + 4 + length.map_or(0, |length| length.parse().unwrap());
                if unread.len() >= body_end {
                    let body = String::from_utf8(unread[end + 4..body_end].to_vec()).unwrap();
                    unread.drain(..body_end);
                    return Some((head, body));
                }
            }
            if self.socket.read_buf(unread).await.ok()? == 0 {
                return None;
            }
        }
    }

    /// `None` when the connection is over.
    async fn answer(&mut self, answer: Answer) -> Option<()> {
        self.socket.write_all(answer.head.as_bytes()).await.ok()?;
        for (number, piece) in answer.pieces.iter().enumerate() {
            if answer.is_stepped && number > 0 {
                self.steps.acquire().await.ok()?.forget();
            }
            let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
            self.socket.write_all(&chunk).await.ok()?;
            self.socket.flush().await.ok()?;
            tokio::task::yield_now().await;
        }
        match answer.ending {
            Ending::Whole => self.socket.write_all(b"0\r\n\r\n").await.ok(),
            Ending::Cut => None,
            Ending::Open => {
                let _ = self.socket.read(&mut [0; 1]).await;
                None
            }
        }
    }
}
