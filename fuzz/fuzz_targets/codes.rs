//! What a path may hold where it names a resource.
#![no_main]

use libfuzzer_sys::fuzz_target;
use repartee_domain::{
    Code, ConversationId, GenerationId, Reference, UserId,
    accounts::{Email, Scopes, Username},
};

fn reads_back<const N: usize>(text: &str) {
    if let Ok(code) = text.parse::<Code<N>>() {
        assert_eq!(code.as_str(), text);
    }
}

fuzz_target!(|bytes: &[u8]| {
    if let Some(code) = Code::<16>::from_random(bytes.iter().copied()) {
        reads_back::<16>(code.as_str());
    }
    let Ok(text) = str::from_utf8(bytes) else { return };
    reads_back::<10>(text);
    reads_back::<12>(text);
    reads_back::<16>(text);
    let _ = Reference::<ConversationId, 12>::parse(text);
    let _ = Reference::<UserId, 16>::parse(text);
    if let Ok(id) = text.parse::<GenerationId>() {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    if let Ok(email) = Email::parse(text) {
        assert_eq!(Email::parse(email.as_str()), Ok(email.clone()), "folding it again changes nothing");
    }
    if let Ok(name) = Username::parse(text) {
        assert!(Username::parse(name.as_str()).is_ok());
    }
    if let Ok(scopes) = text.parse::<Scopes>() {
        assert_eq!(scopes.to_string().parse(), Ok(scopes));
    }
});
