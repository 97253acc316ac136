//! The documented requests of earlier backends' clients, as they send them.

mod across;
mod family_a;
mod family_b;
mod family_c;
mod family_d;

use serde_json::Value;

use crate::support::{list, text};

const NOBODYS: &str = "01939c2e-7b9a-7000-8000-000000000000";

fn ids(page: &Value) -> Vec<&str> {
    list(&page["data"]).iter().map(|one| text(&one["id"])).collect()
}
