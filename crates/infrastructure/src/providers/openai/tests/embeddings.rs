//! Texts put into vectors.

use super::*;

fn texts() -> EmbeddingRequest {
    let fields = vec![("input", "[\"Hé\", \"llo\"]".to_owned()), ("dimensions", "2".to_owned())];
    EmbeddingRequest { model: "small".to_owned(), fields }
}

#[tokio::test]
async fn fields_and_vectors_are_passed_on_as_they_came() {
    let answer = r#"{"object":"list","data":[{"embedding":[0.10, 2e-3]}],"model":"x","usage":{"prompt_tokens":5,"total_tokens":5}}"#;
    let server = Server::answering([Answer::json(200, answer)]).await;

    let embeddings = model(&server).embed(texts()).await.unwrap();

    assert_eq!(embeddings.data, r#"[{"embedding":[0.10, 2e-3]}]"#);
    assert_eq!(embeddings.prompt_tokens, Some(5));
    let asked = &server.requests()[0];
    assert!(asked.head.starts_with("post /v1/embeddings http/1.1"), "{}", asked.head);
    assert_eq!(asked.body, r#"{"model":"small","dimensions":2,"input":["Hé", "llo"]}"#);
}

#[tokio::test]
async fn what_is_no_list_of_vectors_is_broken() {
    for answer in ["{}", r#"{"data":null}"#, r#"{"data":{}}"#, "[", r#"{"error":"no"}"#] {
        let server = Server::answering([Answer::json(200, answer)]).await;
        let error = model(&server).embed(texts()).await.err().unwrap();
        assert!(matches!(error, ModelError::Broken(_)), "{answer}: {error:?}");
    }
}

#[tokio::test]
async fn a_server_that_only_writes_says_so_and_is_no_worse_for_it() {
    for status in [405, 501, 500] {
        let server = Server::answering([Answer::json(status, "{}")]).await;
        let model = model(&server);
        let before = model.status();
        let error = model.embed(texts()).await.err().unwrap();
        assert_eq!(matches!(error, ModelError::NoEmbeddings), status != 500, "{error:?}");
        assert_eq!(model.status(), before);
    }
}

#[tokio::test]
async fn a_provider_that_has_none_refuses() {
    let server = Server::answering([Answer::json(404, "{}")]).await;
    let error = model(&server).embed(texts()).await.err().unwrap();
    assert!(matches!(error, ModelError::UnknownModel { .. }), "{error:?}");
}
