//! Entities, value objects and the rules that hold without any IO, clock or randomness.
//!
//! One module per room; the same room has the same name in every crate.

pub mod accounts;
pub mod audit;
mod code;
pub mod conversations;
mod field_error;
pub mod files;
mod id;
pub mod limits;
pub mod messages;
pub mod network;
pub mod personas;
pub mod projects;
pub mod replies;
pub mod search;
pub mod sharing;
mod text;
pub mod transfer;
mod version;

pub use code::{CODE_ALPHABET, Code, ConversationCode, MessageCode, UserCode};
pub use field_error::FieldError;
pub use id::{
    ApiKeyId, ConversationId, FileId, GenerationId, LoginSessionId, MessageId, ObjectKey,
    PersonaId, ProjectId, PromptId, Reference, RefreshTokenId, UserId,
};
pub use text::{Text, TextError};
pub use version::Version;
