//! `ETag`, `If-Match` and `If-None-Match`.

use repartee_tests::server::{Answer, Client, Engine, Setup};
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::support::{conversation, somebody};

async fn read(client: &Client, path: &str, known: &str) -> Answer {
    Answer::to(client.request(Method::GET, path).header("If-None-Match", known)).await
}

fn change(client: &Client, path: &str) -> RequestBuilder {
    let body = match path {
        "/api/v1/users/me" => json!({"first_name": "Ada"}),
        _ => json!({"title": "Tea"}),
    };
    client.request(Method::PATCH, path).json(&body)
}

#[tokio::test]
async fn what_is_known_is_not_sent_again() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    for path in ["/api/v1/users/me", &conversation] {
        let tag = ada.get(path).await.header("etag").to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            let answer = read(&ada, path, &known).await;
            assert_eq!((answer.status, answer.text()), (304, String::new()), "{known}");
            assert_eq!(answer.header("etag"), tag);
            assert_eq!(answer.header("content-length"), "", "of what is not there");
        }
        assert_eq!(read(&ada, path, "\"another\"").await.status, 200);

        Answer::to(change(&ada, path)).await.expect(200);
        let changed = read(&ada, path, &tag).await;
        assert_eq!(changed.status, 200);
        assert_ne!(changed.header("etag"), tag);
    }
    // Only what was found has a version.
    let missing = "/api/v1/conversations/01939c2e-7b9a-7000-8000-000000000000";
    assert_eq!(read(&ada, missing, "*").await.status, 404);
}

#[tokio::test]
async fn a_change_is_made_to_what_was_read_alone() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    for path in ["/api/v1/users/me", &conversation] {
        let if_match =
            async |tags: &str| Answer::to(change(&ada, path).header("If-Match", tags)).await;
        let first = ada.get(path).await.header("etag").to_owned();
        let second = if_match(&first).await;
        let second = (second.expect(200), second.header("etag").to_owned()).1;
        for stale in [&first, &format!("W/{second}"), "", "tea", "\"999\""] {
            if_match(stale).await.problem(412, "version_mismatch");
        }
        assert_eq!(ada.get(path).await.header("etag"), second, "nothing was changed");
        let third = if_match(&format!("{first}, {second}")).await;
        third.expect(200);
        if_match("*").await.expect(200);
    }
}
