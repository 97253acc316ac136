//! Who is known here.

mod email;
mod login_session;
mod password;
mod role;
mod user;
mod username;

pub use email::Email;
pub use login_session::{LoginSession, RefreshTokenHash, RefreshTokenState, SessionLifetime};
pub use password::{PasswordPolicy, PasswordProblem};
pub use role::Role;
pub use user::{Profile, ProfileChanges, User};
pub use username::Username;
