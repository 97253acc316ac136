//! Accounts: registering, signing in, staying signed in, signing out, one's own profile.

mod passwords;
mod profile;
mod registration;
mod sessions;
mod tokens;
