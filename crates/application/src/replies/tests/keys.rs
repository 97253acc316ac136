//! What a key may ask.

use std::sync::Arc;

use repartee_domain::accounts::ApiKey;

use super::{STOP, refused};
use crate::{
    Actor, AppError, Credential,
    accounts::fixture::good_key,
    replies::{
        Begun, NewMessage, ReplyOptions,
        fixture::{ACTOR, CONVERSATION, Fixture, Step::Text, read},
    },
};

/// Sends a question with a key that may ask these models alone.
async fn send(fixture: &Fixture, models: &[&str], model: Option<&str>) -> Result<Begun, AppError> {
    let models = Some(models.iter().map(|&name| name.to_owned()).collect());
    let key = ApiKey { models, ..ApiKey::clone(&good_key("chat").key) };
    let actor = Actor { credential: Credential::Key(Arc::new(key)), ..ACTOR };
    let model = model.map(str::to_owned);
    let message = NewMessage {
        content: "Why?".into(),
        options: ReplyOptions { model, ..ReplyOptions::default() },
        ..NewMessage::default()
    };
    fixture.service.send(&actor, CONVERSATION.into(), message, None).await
}

#[tokio::test(start_paused = true)]
async fn another_model_is_refused_and_nothing_is_stored() {
    for (allowed, model) in [("spare", None), ("spare", Some("main")), ("main", Some("spare"))] {
        let fixture = Fixture::answering([]);
        let refused = send(&fixture, &[allowed], model).await.err().unwrap();
        assert_eq!(refused.classify().1, "model_not_allowed");
        assert!(fixture.turns.0.lock().unwrap().begun.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_fallback_that_may_not_be_asked_is_left_out() {
    for (allowed, text) in [(vec!["main"], ""), (vec!["main", "spare"], "Spare.")] {
        let fixture = Fixture::answering([refused()]);
        fixture.fallback.answers.lock().unwrap().push_back(Ok(vec![Text("Spare."), STOP]));

        read(send(&fixture, &allowed, None).await.unwrap().events).await;

        assert_eq!(fixture.finished().ended.reply.content.as_str(), text);
    }
}
