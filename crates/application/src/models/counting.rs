//! What a model is asked at the most, and what it used.

use repartee_domain::replies::Usage;

use super::Model;

impl Model {
    /// The longest reply to ask for; `None` leaves it to the provider.
    pub(crate) fn max_tokens(&self, asked: Option<u32>) -> Option<u32> {
        match (asked, self.max_output_tokens) {
            (Some(asked), Some(most)) => Some(asked.min(most)),
            (asked, most) => asked.or(most),
        }
    }

    /// Counts what the provider did not. The last text is the reply, the others are the prompt.
    pub(crate) async fn count(&self, texts: Vec<String>) -> Usage {
        // Four bytes a token is what English comes to, where even counting fails.
        let rough: Vec<_> = texts.iter().map(|text| text.len().div_ceil(4)).collect();
        let counts = match self.provider.count_tokens(&self.upstream, texts).await {
            Ok(counts) => counts,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot count tokens");
                rough
            }
        };
        let tokens =
            |counts: &[usize]| u32::try_from(counts.iter().sum::<usize>()).unwrap_or(u32::MAX);
        let (reply, prompt) = counts.split_last().unwrap_or((&0, &[]));
        Usage {
            prompt_tokens: tokens(prompt),
            completion_tokens: tokens(&[*reply]),
            estimated: true,
        }
    }
}
