//! Vectors.

use super::*;
use crate::ports::Embeddings;

impl Asking {
    fn embedding(answers: impl IntoIterator<Item = Result<Embeddings, ModelError>>) -> Self {
        let asking = Self::answering([]);
        asking.replies.model.embeddings.lock().unwrap().extend(answers);
        asking
    }

    async fn embed(&self, tokens: u32) -> Result<Embedded, AppError> {
        let texts = if tokens == 0 { vec!["green tea".into()] } else { Vec::new() };
        let fields = vec![("input", "[\"green tea\"]".into())];
        let wish = NewEmbedding { model: "main".into(), texts, tokens, fields };
        self.service.embed(&ACTOR, wish).await
    }
}

fn vectors(prompt_tokens: Option<u32>) -> Embeddings {
    Embeddings { data: "[1]".into(), prompt_tokens }
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_and_answered_is_passed_through_and_what_it_used_is_counted() {
    let asking = Asking::embedding([Ok(vectors(Some(5)))]);
    let embedded = asking.embed(0).await.unwrap();
    assert_eq!((embedded.model.as_str(), embedded.data.as_str()), ("main", "[1]"));
    assert_eq!((embedded.usage.prompt_tokens, embedded.usage.estimated), (5, false));
    assert_eq!(asking.settled(), [5]);
    let asked = asking.replies.model.embedded.lock().unwrap()[0].clone();
    assert_eq!(asked.fields, [("input", "[\"green tea\"]".to_owned())]);
    let budget = asking.ledger.wishes.lock().unwrap()[0].budget;
    assert_eq!((budget.prompt, budget.reply), (13, 0), "a token is no shorter than a byte");
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_does_not_count_is_counted_here() {
    let asking = Asking::embedding([Ok(vectors(None)), Ok(vectors(None))]);
    let usage = asking.embed(0).await.unwrap().usage;
    assert_eq!((usage.prompt_tokens, usage.estimated), (2, true));
    assert_eq!(asking.embed(7).await.unwrap().usage.prompt_tokens, 7);
    assert_eq!(asking.settled(), [2, 7]);
}

#[tokio::test(start_paused = true)]
async fn trouble_is_tried_again_and_a_fallback_is_not_asked() {
    let away = || Err(ModelError::RateLimited { retry_after: None });
    let asking = Asking::embedding([away(), Ok(vectors(Some(5)))]);
    assert!(asking.embed(0).await.is_ok());

    let asking = Asking::embedding([away(), away(), away()]);
    assert_eq!(asking.embed(0).await.err().unwrap().classify().1, "model_failed");
    assert!(asking.replies.fallback.embedded.lock().unwrap().is_empty());
    assert_eq!(asking.settled(), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_makes_none_says_so() {
    let asking = Asking::embedding([]);
    let AppError::Invalid(fields) = asking.embed(0).await.err().unwrap() else { panic!() };
    assert_eq!((fields[0].field, fields[0].code), ("model", "unsupported_model"));
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_used_up_is_told_before_anybody_is_asked() {
    let asking = Asking::embedding([Ok(vectors(None))]);
    asking.ledger.answers.lock().unwrap().push_back(Reserved::OverBudget);
    assert_eq!(asking.embed(0).await.err().unwrap().classify().1, "budget_exceeded");
    assert!(asking.replies.model.embedded.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn trouble_with_vectors_does_not_keep_anybody_from_chatting() {
    let away = || Err(ModelError::RateLimited { retry_after: None });
    let asking = Asking::embedding((0..60).map(|_| away()));
    for _ in 0..20 {
        assert_eq!(asking.embed(0).await.err().unwrap().classify().1, "model_failed");
    }
    asking.replies.model.answers.lock().unwrap().push_back(Ok(vec![Text("Yes"), STOP]));
    assert!(asking.begin().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_hangs_up_is_charged_for_what_was_sent() {
    for (tokens, charged) in [(0, 2), (7, 7)] {
        let asking = Asking::answering([]);
        *asking.replies.model.embedding_hangs.lock().unwrap() = true;
        assert!(timeout(Duration::from_secs(1), asking.embed(tokens)).await.is_err());
        settle_in_the_background().await;
        assert_eq!(asking.settled(), [charged]);
    }
}
