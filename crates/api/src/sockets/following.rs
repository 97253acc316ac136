//! The replies that a socket tells of.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use futures::StreamExt;
use repartee_application::ports::{EventStream, LoggedEvent};
use repartee_domain::{ConversationId, GenerationId};

/// Replies followed at once.
const MOST: usize = 16;

#[derive(Default)]
pub(super) struct Following(Vec<Followed>);

struct Followed {
    generation: GenerationId,
    conversation: ConversationId,
    events: EventStream,
}

/// What comes next of a reply; `None` when no more comes, though it had no end.
pub(super) struct Next {
    pub(super) generation: GenerationId,
    pub(super) conversation: ConversationId,
    pub(super) event: Option<Arc<LoggedEvent>>,
}

impl Following {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= MOST
    }

    pub(super) fn has(&self, generation: GenerationId) -> bool {
        self.0.iter().any(|followed| followed.generation == generation)
    }

    /// Follows a reply; anew, where it was followed already.
    pub(super) fn follow(
        &mut self,
        generation: GenerationId,
        conversation: ConversationId,
        events: EventStream,
    ) {
        self.0.retain(|followed| followed.generation != generation);
        self.0.push(Followed { generation, conversation, events });
    }

    /// The next event of any of them; each gets its turn. Never, where there is none.
    pub(super) async fn next(&mut self) -> Next {
        poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        for at in 0..self.0.len() {
            let followed = &mut self.0[at];
            let Poll::Ready(event) = followed.events.poll_next_unpin(context) else { continue };
            let (generation, conversation) = (followed.generation, followed.conversation);
            if event.as_ref().is_none_or(|event| event.kind.is_terminal()) {
                self.0.remove(at);
            } else {
                self.0[at..].rotate_left(1);
            }
            return Poll::Ready(Next { generation, conversation, event });
        }
        Poll::Pending
    }
}
