//! A guest's conversation on a socket that speaks the native frames.

use repartee_domain::conversations::ConversationChanges;

use super::{
    ask::{About, Answer, Asker, Refusal, Work},
    frames,
    incoming::StartConversation,
};
use crate::{ApiError, chat::session_id};

impl Asker {
    /// Begins a conversation, or goes on in the one that `session_id` names: the socket is then that
    /// guest's.
    pub(super) fn start_as_guest(self, start: StartConversation) -> Work {
        Box::pin(async move {
            let entered = self.enter(start).await;
            entered.map_err(|error| Refusal { error, about: About::default() })
        })
    }

    async fn enter(&self, start: StartConversation) -> Result<Answer, ApiError> {
        let session = session_id(start.session_id.as_deref())?;
        let about = ConversationChanges::try_from(start.about)?;
        self.admit().await?;
        let visit = self.services.guests.open(&self.actor, session, about, None).await?;
        let frame = frames::conversation_started(visit.conversation, Some(visit.session));
        Ok(Answer::Entered { actor: Box::new(visit.actor), frame })
    }
}
