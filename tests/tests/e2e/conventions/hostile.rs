//! Requests that no friend sends.

use std::time::Duration;

use repartee_tests::server::{Answer, Client, Engine, Server, Setup};
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::somebody;

/// No answer takes this long, except where that is what is tested.
const LIMIT: Duration = Duration::from_secs(30);
const MIB: usize = 1024 * 1024;

struct Connection(TcpStream);

impl Connection {
    async fn open(client: &Client) -> Self {
        Self(TcpStream::connect(client.authority()).await.unwrap())
    }

    /// The other side may close while this is being sent.
    async fn say(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    /// All that is answered until the other side closes.
    async fn answer(mut self) -> String {
        let mut answer = Vec::new();
        let read = timeout(LIMIT, self.0.read_to_end(&mut answer)).await;
        // A reset is an end too.
        drop(read.expect("the connection stays open"));
        String::from_utf8_lossy(&answer).into_owned()
    }
}

async fn assert_well(server: &Server) {
    server.client().get("/health").await.expect(200);
}

#[tokio::test]
async fn a_request_with_a_length_of_both_kinds_is_refused_and_its_connection_closed() {
    let server = Setup::on(Engine::Sqlite).start().await;
    for lengths in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 6",
        "Content-Length: 0\r\nTransfer-Encoding: chunked",
    ] {
        let mut connection = Connection::open(&server.client()).await;
        let smuggled = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
        let request = format!(
            "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\n{lengths}\r\n\r\n0\r\n\r\n{smuggled}"
        );
        connection.say(request.as_bytes()).await;

        let answer = connection.answer().await;

        assert!(answer.starts_with("HTTP/1.1 400"), "{lengths}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "one answer alone: {answer}");
    }
    for lengths in
        ["Content-Length: 6\r\nContent-Length: 5", "Content-Length: +6", "Transfer-Encoding: gzip"]
    {
        let mut connection = Connection::open(&server.client()).await;
        let request =
            format!("POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\n{lengths}\r\n\r\n{{}}    ");
        connection.say(request.as_bytes()).await;
        let answer = connection.answer().await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{lengths}: {answer}");
    }
    assert_well(&server).await;
}

#[tokio::test]
async fn a_head_without_end_costs_no_memory() {
    let server = Setup::on(Engine::Sqlite).start().await;
    assert_well(&server).await;
    let before = server.resident_kib();
    for beginning in ["GET /health HTTP/1.1\r\nHost: x\r\nX-Long: ", "GET /"] {
        let mut all = Vec::new();
        for _ in 0..16 {
            let mut connection = Connection::open(&server.client()).await;
            connection.say(beginning.as_bytes()).await;
            let long = vec![b'a'; 64 * 1024];
            for _ in 0..MIB / long.len() {
                if !connection.say(&long).await {
                    break;
                }
            }
            all.push(connection);
        }
        for connection in all {
            let answer = connection.answer().await;
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
        }
    }
    let grown = server.resident_kib().saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB");
    assert_well(&server).await;
}

#[tokio::test]
async fn a_head_that_trickles_is_not_waited_for() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let mut connection = Connection::open(&server.client()).await;
    connection.say(b"GET /health HTTP/1.1\r\nHost:").await;

    let answer = connection.answer().await;

    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn a_body_that_trickles_is_not_waited_for() {
    let server =
        Setup::on(Engine::Sqlite).with("REPARTEE__HTTP__BODY_TIMEOUT_SECONDS", "1").start().await;
    let mut connection = Connection::open(&server.client()).await;
    connection
        .say(
            b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
              Content-Length: 100\r\n\r\n{",
        )
        .await;

    let answer = connection.answer().await;

    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("\"code\":\"body_timeout\""), "{answer}");
    assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
    assert!(!answer.contains("x-should-retry: "), "it may be sent again: {answer}");
}

#[tokio::test]
async fn json_of_any_depth_is_answered() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    for depth in [127, 128, 40_000] {
        let nested = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        for body in [format!("{{\"metadata\":{nested}}}"), format!("{{\"unknown\":{nested}}}")] {
            let request = ada
                .request(Method::POST, "/api/v1/conversations")
                .header("content-type", "application/json")
                .body(body);
            let answer = Answer::to(request).await;
            assert!([201, 400].contains(&answer.status), "{depth}: {}", answer.text());
        }
    }
    let deep = "[".repeat(200_000);
    let request = ada.request(Method::POST, "/api/v1/conversations");
    let request = request.header("content-type", "application/json").body(deep);
    Answer::to(request).await.problem(400, "malformed_json");
    assert_well(&server).await;
}

#[tokio::test]
async fn what_is_in_the_wrong_place_is_not_said_again() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let client = server.client();
    let misplaced = "my-secret-1, expected";
    for body in [json!(misplaced), json!({"email": [misplaced], "password": {"a": misplaced}})] {
        let answer = client.post("/api/v1/auth/login", &body).await;
        answer.problem(422, "invalid_fields");
        assert!(!answer.text().contains("my-secret-1"), "{}", answer.text());
    }
}

#[tokio::test]
async fn what_the_query_has_too_much_of_changes_nothing() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    ada.get("/api/v1/conversations?tea=green&tea=black&limit=5").await.expect(200);
    let twice = ada.get("/api/v1/conversations?limit=5&limit=6").await;
    assert!([200, 422].contains(&twice.status), "{}", twice.text());
}
