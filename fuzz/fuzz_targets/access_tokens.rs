//! What comes as an access token: nonsense, and what is signed with the right key but says anything.
#![no_main]

use std::sync::LazyLock;

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use libfuzzer_sys::fuzz_target;
use repartee_application::ports::TokenSigner;
use repartee_infrastructure::security::{JwtSettings, JwtSigner, SigningKey};
use secrecy::ExposeSecret;

const NOW: DateTime<Utc> = DateTime::from_timestamp_nanos(1_800_000_000_000_000_000);
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const LEEWAY: TimeDelta = TimeDelta::seconds(30);

static SIGNER: LazyLock<JwtSigner> = LazyLock::new(|| {
    JwtSigner::new(JwtSettings {
        key: SigningKey::from_secret(SECRET.into()).expect("the secret is long enough"),
        previous_keys: Vec::new(),
        issuer: "repartee".into(),
        audience: "repartee".into(),
    })
});
static KEY: LazyLock<hmac::Key> =
    LazyLock::new(|| hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()));

fn signed(header: &[u8], claims: &[u8]) -> String {
    let encode = |part: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(part);
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = hmac::sign(&KEY, message.as_bytes());
    format!("{message}.{}", encode(signature.as_ref()))
}

// A header and claims, a zero byte between them; or a whole token.
fuzz_target!(|bytes: &[u8]| {
    if let Ok(token) = str::from_utf8(bytes) {
        assert!(SIGNER.verify(token, NOW).is_none(), "nobody guesses a signature");
    }
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let (Some(header), Some(claims)) = (parts.next(), parts.next()) else { return };
    let Some(access) = SIGNER.verify(&signed(header, claims), NOW) else { return };
    assert!(NOW < access.expires_at + LEEWAY && access.issued_at - LEEWAY <= NOW);
    let again = SIGNER.sign(&access).expect("what was signed can be signed");
    assert_eq!(SIGNER.verify(again.expose_secret(), NOW), Some(access));
});
