//! The real model, through its port. `scripts/fetch-models` brings its files.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{path::Path, sync::OnceLock};

use futures::StreamExt;
use repartee_application::ports::{
    ChatChunk, ChatModel, ChatRequest, ChatStream, ModelError, ModelStatus,
};
use repartee_domain::{
    messages::MessageRole,
    replies::{FinishReason, Turn},
};
use repartee_local_models::{CONTEXT_TOKENS, LocalChatModel, LocalModelSettings, MODEL_NAME};

fn start(queue_limit: usize) -> LocalChatModel {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/models"));
    let settings = LocalModelSettings { queue_limit, ..LocalModelSettings::in_folder(folder) };
    assert!(settings.path.exists(), "the model is not there: run scripts/fetch-models");
    LocalChatModel::start(settings)
}

/// The one that the tests share: each takes its memory and its second to load.
fn model() -> &'static LocalChatModel {
    static MODEL: OnceLock<LocalChatModel> = OnceLock::new();
    MODEL.get_or_init(|| start(64))
}

fn request(content: &str, max_tokens: u32) -> ChatRequest {
    ChatRequest {
        model: MODEL_NAME.to_owned(),
        turns: vec![Turn { role: MessageRole::User, content: content.to_owned() }],
        temperature: Some(0.0),
        max_tokens: Some(max_tokens),
        passed: None,
    }
}

/// The text of a reply, why it ended, and its tokens: of the prompt, of the reply.
async fn read(mut stream: ChatStream) -> (String, FinishReason, (u32, u32)) {
    let (mut text, mut reason, mut usage) = (String::new(), None, None);
    while let Some(chunk) = stream.next().await {
        match chunk.unwrap() {
            ChatChunk::Queued { .. } => assert!(text.is_empty()),
            ChatChunk::Fields(fields) => panic!("{fields} says nothing here"),
            ChatChunk::Text(delta) => {
                assert!(!delta.is_empty());
                text.push_str(&delta);
            }
            ChatChunk::Finished(why) => reason = Some(why),
            ChatChunk::Usage { prompt_tokens, completion_tokens } => {
                usage = Some((prompt_tokens, completion_tokens));
            }
        }
    }
    (text, reason.unwrap(), usage.unwrap())
}

#[tokio::test]
async fn it_answers_a_simple_question_and_stops_by_itself() {
    let model = model();

    let stream = model.stream(request("What is the capital of France?", 64)).await.unwrap();
    let (text, reason, (prompt, completion)) = read(stream).await;

    assert!(text.contains("Paris"), "{text}");
    assert!(!text.contains("<|"), "{text}");
    assert_eq!(reason, FinishReason::Stop);
    assert_eq!(prompt, 35);
    assert!((3..64).contains(&completion));
    assert_eq!(model.status(), ModelStatus::Ready);
}

#[tokio::test]
async fn two_at_once_both_get_their_reply_as_long_as_it_may_be() {
    let model = model();
    let long = || model.stream(request("Tell me a long story about a dog.", 12));

    let (one, other) = tokio::join!(long(), long());
    let (one, other) = tokio::join!(read(one.unwrap()), read(other.unwrap()));

    assert_eq!(one.1, FinishReason::Length);
    assert_eq!(one.2.1, 12);
    assert_eq!(one, other);
}

#[tokio::test]
async fn a_reply_that_nobody_reads_makes_room_for_the_next() {
    let model = start(1);
    assert_ne!(model.status(), ModelStatus::Unavailable, "it is being loaded, or is");
    let endless = || model.stream(request("Count from one to one thousand in words.", 3_000));
    let mut abandoned = Vec::new();
    // As many as run at once and wait; the next one is refused.
    while let Ok(stream) = endless().await {
        abandoned.push(stream);
    }
    abandoned[0].next().await.unwrap().unwrap();

    drop(abandoned);

    let stream = model.stream(request("Say hello.", 4)).await.unwrap();
    assert!(read(stream).await.2.1 <= 4);
}

#[tokio::test]
async fn tokens_are_counted_as_the_model_cuts_them() {
    let model = model();
    let texts = ["", "Hello world 2025", "<|im_end|>", "ภาษาไทย 👍🏽"].map(str::to_owned);

    let counts = model.count_tokens(MODEL_NAME, texts.to_vec()).await.unwrap();

    assert_eq!(counts[..2], [0, 7]);
    // A control token that somebody writes is a text like any other.
    assert!(counts[2] > 1);
    assert!(counts[3] > 5);
}

#[tokio::test]
async fn a_conversation_that_is_too_long_is_rejected() {
    let model = model();
    let tokens = CONTEXT_TOKENS as usize;

    let error = model.stream(request(&"word ".repeat(tokens), 1)).await.err().unwrap();

    assert!(matches!(error, ModelError::Rejected { .. }), "{error:?}");
}
