//! Accounts: registering, signing in, staying signed in, signing out, one's own profile; programs
//! with keys, OAuth clients, and people from elsewhere.

mod administration;
mod api_keys;
mod deletion;
mod devices;
mod external;
mod families;
mod guessing;
mod hiding;
mod key_pairs;
mod oauth;
mod passwords;
mod profile;
mod recovery;
mod registration;
mod sessions;
mod tokens;
