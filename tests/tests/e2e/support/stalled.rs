//! A reader that stops reading and keeps its connection.

use std::time::Duration;

use repartee_tests::server::Client;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

/// Little waits for it in the kernel of its side, so that the server notices soon.
const RECEIVE_BUFFER: u32 = 4096;

#[derive(Debug)]
pub(crate) struct Stalled {
    stream: TcpStream,
    /// Of the last event that it read.
    pub(crate) last_id: String,
}

impl Stalled {
    /// Asks for a stream and reads its first events, at least one.
    pub(crate) async fn reading(client: &Client, path: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(RECEIVE_BUFFER).unwrap();
        let mut stream = socket.connect(client.authority().parse().unwrap()).await.unwrap();
        let token = client.token.as_deref().unwrap();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nAccept: text/event-stream\r\n\r\n",
            client.authority()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut read = String::new();
        let mut buffer = [0; 1024];
        // The first block of a feed has an id and no event; a reply's has neither.
        while last_id(&read).is_none() {
            let count = timeout(Duration::from_secs(10), stream.read(&mut buffer)).await;
            let count = count.expect("nothing comes").unwrap();
            assert!(count > 0, "the stream ends: {read}");
            read.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
        assert!(read.starts_with("HTTP/1.1 200"), "{read}");
        Self { last_id: last_id(&read).unwrap(), stream }
    }

    /// Reads what is still to come, to the end or the break; whether the reply's end was in it.
    pub(crate) async fn reads_the_end(mut self) -> bool {
        let mut read = Vec::new();
        let reading = timeout(Duration::from_secs(10), self.stream.read_to_end(&mut read));
        // A reset is an end as well.
        drop(reading.await.expect("the connection is still open"));
        String::from_utf8_lossy(&read).contains("event: done")
    }
}

/// Of the last block that is there with its end.
fn last_id(read: &str) -> Option<String> {
    let whole = &read[..read.rfind("\n\n")?];
    let at = whole.rfind("\nid: ")?;
    whole[at + 5..].lines().next().map(str::to_owned)
}
