//! Who is let in, from which page, and who isn't.

use repartee_tests::server::{Engine, Setup};
use serde_json::json;

use crate::support::{conversation, id_of, id_of_user, somebody};

#[tokio::test]
async fn who_may_not_come_in_is_refused_before_the_upgrade() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let (ada, grace) = (somebody(&server, "ada").await, somebody(&server, "grace").await);
    let (hers, theirs) = (id_of_user(&ada).await, id_of_user(&grace).await);
    let conversation = conversation(&grace).await;
    let token = ada.token.clone().unwrap();
    for path in ["/ws/chat/", "/api/v1/chat/ws/"] {
        let own = format!("{path}{hers}");
        assert_eq!(ada.try_socket(&format!("{path}{theirs}"), &[]).await.unwrap_err().status, 403);
        for (client, query) in [
            (&ada.without_token(), String::new()),
            (&ada.with_token("nonsense"), String::new()),
            (&ada.without_token(), "?token=nonsense".to_owned()),
            (&ada.without_token(), "?token=".to_owned()),
            (&ada.without_token(), "?ticket=nonsense".to_owned()),
            (&ada.without_token(), format!("?ticket={token}")),
        ] {
            let refused = client.try_socket(&format!("{own}{query}"), &[]).await.unwrap_err();
            assert_eq!(refused.status, 401, "{query}");
            assert_eq!(refused.body["code"], "unauthenticated", "{query}");
        }
    }
    let path = format!("/ws/{}", id_of(&conversation));
    assert_eq!(ada.try_socket(&path, &[]).await.unwrap_err().status, 404);
    assert_eq!(ada.without_token().try_socket(&path, &[]).await.unwrap_err().status, 401);
    // Without an upgrade there is nothing to talk over.
    let plain = ada.get(&format!("/ws/chat/{hers}")).await;
    assert!((400..500).contains(&plain.status), "{}", plain.status);
}

#[tokio::test]
async fn the_page_has_to_be_of_this_server_or_of_a_known_one() {
    let setup = Setup::on(Engine::Sqlite).with("CORS_ORIGINS", "https://chat.example.com");
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let path = format!("/ws/chat/{}", id_of_user(&ada).await);
    let same = format!("http://{}", ada.authority());
    for origin in [&*same, "https://chat.example.com"] {
        let mut socket = ada.try_socket(&path, &[("Origin", origin)]).await.expect(origin);
        socket.send("ping", json!({})).await;
        assert_eq!(socket.next().await.kind, "pong");
    }
    for origin in [
        "https://evil.example.com",
        "https://chat.example.com.evil.example",
        "http://chat.example.com",
        "https://chat.example.com:8443",
        "http://127.0.0.1:1",
        "null",
        "",
    ] {
        let refused = ada.try_socket(&path, &[("Origin", origin)]).await.unwrap_err();
        assert_eq!(refused.status, 403, "{origin:?}");
    }
}
