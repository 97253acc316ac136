//! Who is known here.

mod api_key;
mod email;
mod guessing;
mod login_session;
mod password;
mod role;
mod user;
mod username;

pub use api_key::{ApiKey, NewApiKey, Scope, Scopes, UnknownScope};
pub use email::Email;
pub use guessing::{counted_name, wait_after};
pub use login_session::{LoginSession, RefreshTokenHash, RefreshTokenState, SessionLifetime};
pub use password::{PasswordPolicy, PasswordProblem};
pub use role::{Role, UnknownRole};
pub use user::{Profile, ProfileChanges, User};
pub use username::Username;
