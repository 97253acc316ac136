//! Chatting in a project, for clients that name a project and no conversation.

use std::sync::Arc;

use repartee_domain::{
    ConversationId, ProjectId,
    conversations::{Conversation, Shape, Subject},
    projects::ProjectDeed,
};

use super::member;
use crate::{
    Actor, AppError, IdempotencyKey, Permission,
    ports::{
        Clock, ConversationReference, ConversationRepository, IdGenerator, PortError,
        ProjectConversations, ProjectRepository,
    },
    replies::{Begun, NewMessage, ReplyService},
};

/// For a conversation that is replaced each time that it is looked at.
const TRIES: u32 = 3;

pub struct ProjectChatService {
    ports: ProjectChatPorts,
    replies: ReplyService,
}

pub struct ProjectChatPorts {
    pub projects: Arc<dyn ProjectRepository>,
    pub running: Arc<dyn ProjectConversations>,
    pub conversations: Arc<dyn ConversationRepository>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdGenerator>,
}

impl ProjectChatService {
    pub fn new(ports: ProjectChatPorts, replies: ReplyService) -> Self {
        Self { ports, replies }
    }

    /// Sends a message to the conversation that is named, or else to the one that the caller has
    /// running in the project. Where they have none that takes messages, one begins, unless the
    /// message cannot be sent.
    ///
    /// # Errors
    /// [`AppError::NotFound`] where they are no member, or the conversation is none of theirs in
    /// this project.
    pub async fn send(
        &self,
        actor: &Actor,
        project: ProjectId,
        named: Option<ConversationReference>,
        message: NewMessage,
        key: Option<IdempotencyKey>,
    ) -> Result<Begun, AppError> {
        actor.may(Permission::Chat)?;
        member(&*self.ports.projects, actor, project, ProjectDeed::Read).await?;
        let conversation = match named {
            Some(named) => {
                let found = self.ports.conversations.find(actor.user, named).await?;
                let found = found.filter(|found| found.subject.shape.project == Some(project));
                found.ok_or(AppError::CONVERSATION_NOT_FOUND)?.id
            }
            None => self.running(actor, project, &message).await?,
        };
        self.replies.send(actor, conversation.into(), message, key).await
    }

    async fn running(
        &self,
        actor: &Actor,
        project: ProjectId,
        first: &NewMessage,
    ) -> Result<ConversationId, AppError> {
        let ProjectChatPorts { running, clock, ids, .. } = &self.ports;
        for _ in 0..TRIES {
            let found = running.find(actor.user, project).await?;
            if let Some(found) = &found
                && found.accept_message().is_ok()
                && found.subject.shape.project == Some(project)
            {
                return Ok(found.id);
            }
            first.check_whole()?;
            let id = ConversationId::from_uuid(ids.id());
            let shape = Shape { project: Some(project), ..Shape::default() };
            let subject = Subject { shape, ..Subject::default() };
            let begun = Conversation::begin(id, ids.code(), actor.user, subject, clock.now());
            let instead_of = found.map(|found| found.id);
            if running.begin(project, begun, instead_of).await? {
                return Ok(id);
            }
            // Another request of theirs was faster: its conversation is the one.
        }
        Err(PortError::Stale.into())
    }
}

#[cfg(test)]
mod tests {
    use repartee_domain::{UserId, conversations::ConversationStatus, projects::ProjectRole};
    use uuid::Uuid;

    use super::{super::fixture::*, *};
    use crate::{
        ports::{MockConversationRepository, MockIdGenerator, MockProjectConversations},
        replies::fixture::{CONVERSATION, Fixture, Step},
    };

    const OLD: ConversationId = ConversationId::from_uuid(Uuid::from_u128(60));

    fn conversation(id: ConversationId, owner: UserId) -> Conversation {
        let shape = Shape { project: Some(PROJECT), ..Shape::default() };
        let subject = Subject { shape, ..Subject::default() };
        Conversation::begin(id, "ABCDEFGHIJ01".parse().unwrap(), owner, subject, NOW)
    }

    /// The ids of new conversations are that of the one which replies are fixed to.
    fn service(role: Option<ProjectRole>, running: MockProjectConversations) -> ProjectChatService {
        let mut conversations = MockConversationRepository::new();
        conversations.expect_find().returning(|owner, named| {
            Ok(match named {
                named if named == OLD.into() => {
                    Some(Conversation { subject: Subject::default(), ..conversation(OLD, owner) })
                }
                named if named == CONVERSATION.into() => Some(conversation(CONVERSATION, owner)),
                _ => None,
            })
        });
        let mut ids = MockIdGenerator::new();
        ids.expect_id().return_const(CONVERSATION.as_uuid());
        ids.expect_random().return_const([7; 32]);
        let ports = ProjectChatPorts {
            projects: Arc::new(joined(role)),
            running: Arc::new(running),
            conversations: Arc::new(conversations),
            clock: Arc::new(clock()),
            ids: Arc::new(ids),
        };
        let replies = Fixture::answering([Ok(vec![Step::Text("Hm.")])]).service;
        ProjectChatService::new(ports, replies)
    }

    async fn send(
        service: &ProjectChatService,
        named: Option<ConversationId>,
        content: &str,
    ) -> Result<ConversationId, &'static str> {
        let message = NewMessage { content: content.into(), ..NewMessage::default() };
        let named = named.map(Into::into);
        let sent = service.send(&actor(), PROJECT, named, message, None).await;
        sent.map(|begun| begun.question.conversation).map_err(|error| error.classify().1)
    }

    const VIEWER: Option<ProjectRole> = Some(ProjectRole::Viewer);

    #[tokio::test(start_paused = true)]
    async fn the_running_conversation_goes_on() {
        let mut running = MockProjectConversations::new();
        running.expect_find().returning(|user, _| Ok(Some(conversation(CONVERSATION, user))));
        assert_eq!(send(&service(VIEWER, running), None, "Tea?").await, Ok(CONVERSATION));
    }

    #[tokio::test(start_paused = true)]
    async fn another_begins_where_there_is_none_that_takes_messages_here() {
        let ended = |user| Conversation {
            status: ConversationStatus::Ended { at: NOW },
            ..conversation(OLD, user)
        };
        let moved = |user| Conversation { subject: Subject::default(), ..conversation(OLD, user) };
        for found in [None, Some(ended(actor().user)), Some(moved(actor().user))] {
            let old = found.as_ref().map(|found| found.id);
            let mut running = MockProjectConversations::new();
            running.expect_find().return_once(move |_, _| Ok(found));
            running
                .expect_begin()
                .withf(move |project, begun, instead_of| {
                    *project == PROJECT
                        && begun.subject.shape.project == Some(PROJECT)
                        && *instead_of == old
                })
                .once()
                .returning(|_, _, _| Ok(true));
            assert_eq!(send(&service(VIEWER, running), None, "Tea?").await, Ok(CONVERSATION));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_that_begin_at_once_the_slower_joins_the_other() {
        let mut running = MockProjectConversations::new();
        let mut found = [None, Some(conversation(CONVERSATION, actor().user))].into_iter();
        running.expect_find().returning(move |_, _| Ok(found.next().unwrap()));
        running.expect_begin().once().returning(|_, _, _| Ok(false));
        assert_eq!(send(&service(VIEWER, running), None, "Tea?").await, Ok(CONVERSATION));
    }

    #[tokio::test]
    async fn nothing_is_begun_for_who_is_no_member_nor_for_what_cannot_be_sent() {
        let nobody = service(None, MockProjectConversations::new());
        assert_eq!(send(&nobody, None, "Tea?").await, Err("project_not_found"));
        let mut running = MockProjectConversations::new();
        running.expect_find().returning(|_, _| Ok(None));
        assert_eq!(send(&service(VIEWER, running), None, " ").await, Err("invalid_fields"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_conversation_that_is_named_has_to_be_in_the_project() {
        let service = service(VIEWER, MockProjectConversations::new());
        assert_eq!(send(&service, Some(CONVERSATION), "Tea?").await, Ok(CONVERSATION));
        let nobodys = ConversationId::from_uuid(Uuid::from_u128(99));
        for named in [OLD, nobodys] {
            let refused = send(&service, Some(named), "Tea?").await;
            assert_eq!(refused, Err("conversation_not_found"));
        }
    }
}
