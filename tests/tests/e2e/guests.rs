//! Chatting without an account, and with one in the same way.

mod asking;
mod sockets;

use repartee_tests::server::{Answer, Client};
use serde_json::{Value, json};

use crate::support::text;

const CHAT: &str = "/api/chat";
/// What clients choose.
const ONE: &str = "3f1f0c5e-9f5d-4d4e-8a3e-0a2b6c7d8e9f";
const ANOTHER: &str = "7b0e7f1a-2c3d-4e5f-9a6b-1c2d3e4f5a6b";

async fn say(client: &Client, session: Option<&str>, message: &str) -> Answer {
    client.post(CHAT, &json!({"session_id": session, "message": message})).await
}

/// What the model was shown the last time, without the system message.
fn shown(messages: &[Value]) -> Vec<&str> {
    let said = messages.iter().filter(|message| message["role"] != "system");
    said.map(|message| text(&message["content"])).collect()
}
