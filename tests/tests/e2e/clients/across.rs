//! One conversation, whichever client it is carried on with.

use repartee_tests::server::{Client, Setup};
use serde_json::{Value, json};

use crate::support::{id_of_user, messages, on_both_databases, somebody, text};

on_both_databases!(a_conversation_begun_on_one_surface_goes_on_on_each_of_the_others);

#[derive(Debug, Clone, Copy)]
enum Surface {
    Native,
    NativeStream,
    Sessions,
    Chats,
    ChatSend,
    UserScoped,
    Projects,
    SocketOfUser,
    SocketOfConversation,
}

const ALL: [Surface; 9] = [
    Surface::Native,
    Surface::NativeStream,
    Surface::Sessions,
    Surface::Chats,
    Surface::ChatSend,
    Surface::UserScoped,
    Surface::Projects,
    Surface::SocketOfUser,
    Surface::SocketOfConversation,
];

struct Ada {
    client: Client,
    id: String,
    project: Value,
}

impl Ada {
    /// Begins a conversation as the clients of a surface do; where that takes a message, one is said.
    async fn begin(&self, surface: Surface) -> String {
        let client = &self.client;
        let said = json!({"message": "Hello"});
        let (made, field) = match surface {
            Surface::Native | Surface::NativeStream | Surface::SocketOfConversation => {
                (client.post("/api/v1/conversations", &json!({})).await.expect(201), "id")
            }
            Surface::Sessions => (client.post("/api/chat", &said).await.expect(200), "session_id"),
            Surface::Chats => (client.post("/api/v1/chats", &json!({})).await.expect(201), "id"),
            Surface::ChatSend => {
                (client.post("/api/v1/chat/send", &said).await.expect(200), "conversation_id")
            }
            Surface::UserScoped => {
                let path = format!("/api/v1/users/{}/conversations/", self.id);
                (client.post(&path, &json!({})).await.expect(201), "id")
            }
            Surface::Projects => {
                let said = json!({"project_id": self.project, "message": "Hello"});
                (client.post("/chat", &said).await.expect(200), "conversation_id")
            }
            Surface::SocketOfUser => {
                let mut socket = client.socket(&format!("/ws/chat/{}", self.id)).await;
                socket.send("start_conversation", json!({})).await;
                (socket.wait_for("conversation_started").await.data, "conversation_id")
            }
        };
        let id = text(&made[field]).to_owned();
        // The clients of projects find what belongs to one.
        let path = format!("/api/v1/conversations/{id}");
        client.patch(&path, &json!({"project_id": self.project})).await.expect(200);
        id
    }

    /// Says something, and gives the reply.
    async fn say(&self, surface: Surface, id: &str) -> String {
        let client = &self.client;
        let native = format!("/api/v1/conversations/{id}/messages");
        let (answer, field) = match surface {
            Surface::Native => {
                let answer = client.post(&native, &json!({"content": "Hello"})).await.expect(200);
                (answer["reply"].clone(), "content")
            }
            Surface::NativeStream => {
                let events =
                    client.stream(&native, &json!({"content": "Hello"})).await.rest().await;
                (events.last().unwrap().json()["message"].clone(), "content")
            }
            Surface::Sessions => {
                let said = json!({"session_id": id, "message": "Hello"});
                (client.post("/api/chat", &said).await.expect(200), "reply")
            }
            Surface::Chats => {
                let path = format!("/api/v1/stream/chat/{id}?message=Hello");
                let events = client.resume(&path, None).await.rest().await;
                (events.last().unwrap().json()["message"].clone(), "content")
            }
            Surface::ChatSend => {
                let said = json!({"conversation_id": id, "message": "Hello"});
                (client.post("/api/v1/chat/send", &said).await.expect(200), "response")
            }
            Surface::UserScoped => {
                let path = format!("{native}/");
                let answer = client.post(&path, &json!({"content": "Hello"})).await.expect(200);
                (answer["reply"].clone(), "content")
            }
            Surface::Projects => {
                let said =
                    json!({"project_id": self.project, "conversation_id": id, "message": "Hello"});
                (client.post("/chat", &said).await.expect(200), "reply")
            }
            Surface::SocketOfUser | Surface::SocketOfConversation => {
                let path = match surface {
                    Surface::SocketOfUser => format!("/ws/chat/{}", self.id),
                    _ => format!("/ws/{id}"),
                };
                let mut socket = client.socket(&path).await;
                let said = json!({"conversation_id": id, "content": "Hello"});
                socket.send("send_message", said).await;
                let completed = socket.wait_for("message_completed").await.data;
                (completed["message"].clone(), "content")
            }
        };
        text(&answer[field]).to_owned()
    }
}

async fn a_conversation_begun_on_one_surface_goes_on_on_each_of_the_others(setup: Setup) {
    let server = setup.with("OPENAI_MODEL", "mock-count").start().await;
    let client = somebody(&server, "ada").await;
    let project = client.post("/projects", &json!({"name": "Tea"})).await.expect(201)["id"].clone();
    let ada = Ada { id: id_of_user(&client).await, client, project };

    for begun_on in ALL {
        let id = ada.begin(begun_on).await;
        let path = format!("/api/v1/conversations/{id}");
        let mut said = messages(&ada.client, &path).await.len();
        for surface in ALL {
            let reply = ada.say(surface, &id).await;
            // The system message, all that was said, and the question.
            let shown = format!("{} messages: system user", said + 2);
            assert!(reply.starts_with(&shown), "{begun_on:?}, {surface:?}: {reply}");
            said += 2;
        }
        assert_eq!(messages(&ada.client, &path).await.len(), said, "{begun_on:?}");
    }
}
