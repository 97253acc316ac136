//! Passwords and tokens.

mod common_passwords;
mod external;
mod jwt;
mod password_hasher;
mod pbkdf2;

pub use common_passwords::CommonPasswordList;
pub use external::{ExternalIssuer, ExternalIssuerSettings, ExternalKeys, KeySet};
pub use jwt::{JwtSettings, JwtSigner, KeyError, SigningKey};
pub use password_hasher::Argon2Hasher;
