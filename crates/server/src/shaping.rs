//! What shapes replies, put together: personas and projects.

use std::sync::Arc;

use repartee_application::{
    personas::PersonaService,
    projects::{ProjectChatPorts, ProjectChatService, ProjectService},
    prompts::PromptService,
    replies::ReplyService,
};
use repartee_infrastructure::persistence::{
    SeaConversationRepository, SeaIdempotencyKeys, SeaPersonaRepository, SeaProjectConversations,
    SeaProjectRepository, SeaPromptRepository, SeaUserDirectory,
};

use crate::ground::Ground;

pub(crate) struct Shaping {
    pub(crate) personas: PersonaService,
    pub(crate) projects: ProjectService,
    pub(crate) prompts: PromptService,
    pub(crate) chats: ProjectChatService,
}

pub(crate) fn shaping(ground: &Ground, replies: &ReplyService) -> Shaping {
    let Ground { database, clock, ids, .. } = ground;
    let keys = Arc::new(SeaIdempotencyKeys::new(database.clone()));
    let personas = Arc::new(SeaPersonaRepository::new(database.clone()));
    let projects = Arc::new(SeaProjectRepository::new(database.clone()));
    let prompts = Arc::new(SeaPromptRepository::new(database.clone()));
    let users = Arc::new(SeaUserDirectory::new(database.clone()));
    let chats = ProjectChatPorts {
        projects: projects.clone(),
        running: Arc::new(SeaProjectConversations::new(database.clone())),
        conversations: Arc::new(SeaConversationRepository::new(database.clone())),
        clock: clock.clone(),
        ids: ids.clone(),
    };
    Shaping {
        chats: ProjectChatService::new(chats, replies.clone()),
        personas: PersonaService::new(personas, keys.clone(), clock.clone()),
        projects: ProjectService::new(projects.clone(), users, keys.clone(), clock.clone()),
        prompts: PromptService::new(projects, prompts, keys, clock.clone()),
    }
}
