//! Passwords and tokens.

mod common_passwords;
mod jwt;
mod password_hasher;

pub use common_passwords::CommonPasswordList;
pub use jwt::{JwtSettings, JwtSigner, WeakSecret};
pub use password_hasher::Argon2Hasher;
