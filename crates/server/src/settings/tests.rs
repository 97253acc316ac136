//! The settings as a whole, from sources that a test makes up.

mod external;
mod layering;
mod models;
mod refusals;
mod showing;
mod well_known;

use secrecy::ExposeSecret;

use super::{Settings, SettingsError, Sources};

const STRONG: &str = "c2f1a09b7d3e4855b6a7f8091a2b3c4d";

fn variables(pairs: &[(&str, &str)]) -> Sources {
    let owned = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Sources::default().with_variables(owned)
}

fn load(pairs: &[(&str, &str)]) -> Settings {
    Settings::load(&variables(pairs)).unwrap()
}

fn refusal(sources: &Sources) -> String {
    Settings::load(sources).unwrap_err().to_string()
}

fn database_url(settings: &Settings) -> &str {
    settings.database.url.expose_secret()
}
