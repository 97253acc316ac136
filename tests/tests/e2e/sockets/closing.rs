//! Sockets that the server closes, and what it says why.

use std::time::Duration;

use repartee_tests::server::{Closed, Engine, Server, Setup};
use serde_json::json;

use crate::support::{
    WITHIN_A_SECOND, conversation, id_of, id_of_user, log_in, messages, on_both_databases,
    on_replicas, register, settled, socket, somebody, text, words,
};

on_both_databases!(
    logging_out_closes_the_sockets_of_that_session,
    a_socket_that_goes_away_leaves_its_reply_to_be_finished,
);
on_replicas!(logging_out_elsewhere_closes_the_sockets);

async fn assert_log_out_closes(server: &Server, at: &Server) {
    let registered = register(server, "ada").await;
    let phone = server.client().with_token(text(&registered["access_token"]));
    let other = log_in(server, "ada").await;
    let laptop = server.client().with_token(text(&other["access_token"]));
    let user = id_of_user(&phone).await;
    let conversation = conversation(&phone).await;
    let mut sockets = [
        phone.socket(&format!("/ws/chat/{user}")).await,
        phone.socket(&format!("/ws/{}", id_of(&conversation))).await,
        phone.socket(&format!("/api/v1/chat/ws/{user}")).await,
    ];
    let mut kept = socket(&laptop).await;
    // One of them is in the middle of a reply.
    let body =
        json!({"conversation_id": id_of(&conversation), "content": "x", "model": "mock-40-20"});
    sockets[0].send("send_message", body).await;
    sockets[0].wait_for("message_delta").await;

    let elsewhere = at.client().with_token(phone.token.as_deref().unwrap());
    elsewhere.post("/api/v1/auth/logout", &json!({})).await.expect(204);

    for socket in &mut sockets {
        assert_eq!(socket.closed(WITHIN_A_SECOND).await, Closed::With(4401));
    }
    kept.send("ping", json!({})).await;
    assert_eq!(kept.next().await.kind, "pong");
    // The reply belongs to the server.
    let stored = settled(&laptop, &conversation).await;
    assert_eq!(stored[1]["content"], words(40));
}

async fn logging_out_closes_the_sockets_of_that_session(setup: Setup) {
    let server = setup.start().await;
    assert_log_out_closes(&server, &server).await;
}

async fn logging_out_elsewhere_closes_the_sockets(setup: Setup) {
    let [here, there] = setup.replicas().await;
    assert_log_out_closes(&here, &there).await;
}

async fn a_socket_that_goes_away_leaves_its_reply_to_be_finished(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let mut socket = socket(&ada).await;
    let body =
        json!({"conversation_id": id_of(&conversation), "content": "x", "model": "mock-20-20"});
    socket.send("send_message", body).await;
    socket.wait_for("message_delta").await;

    drop(socket);

    settled(&ada, &conversation).await;
    let stored = messages(&ada, &conversation).await;
    assert_eq!(
        (&stored[1]["status"], &stored[1]["content"]),
        (&json!("complete"), &json!(words(20)))
    );
}

#[tokio::test]
async fn a_deleted_conversation_leaves_no_socket_of_its_own() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let path = format!("/ws/{}", id_of(&conversation));
    let mut socket = ada.socket(&path).await;
    ada.delete(&conversation).await.expect(204);
    let body = json!({"conversation_id": id_of(&conversation), "content": "Hello?"});
    socket.send("send_message", body).await;
    // Told, or closed: but never answered by a reply.
    let next = socket.try_next(Duration::from_secs(10)).await;
    assert!(
        next.is_err()
            || next.is_ok_and(|frame| {
                frame.kind == "error" && frame.data["code"] == "conversation_not_found"
                    || frame.kind == "conversation_ended"
            })
    );
    assert_eq!(ada.try_socket(&path, &[]).await.unwrap_err().status, 404);
}
