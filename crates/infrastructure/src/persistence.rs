//! `SeaORM` repositories over SQLite and PostgreSQL.

mod connection;
mod conversations;
mod database;
mod entity;
mod error;
mod login_sessions;
mod messages;
mod postgres;
mod sqlite;
mod stored;
mod turns;
mod users;

pub use connection::{Reader, Transaction};
pub use conversations::SeaConversationRepository;
pub use database::{Database, DatabaseError, DatabaseSettings, Migration};
pub use login_sessions::SeaLoginSessionRepository;
pub use messages::SeaMessageRepository;
pub use turns::SeaTurnRepository;
pub use users::SeaUserRepository;
