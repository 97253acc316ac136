//! What access tokens are signed with.

use std::{fs, path::Path};

use repartee_infrastructure::security::{JwtSettings, JwtSigner, SigningKey};

use crate::{StartError, settings::Settings};

/// The key in the file where there is one, else the secret.
pub(crate) fn signer(settings: &Settings) -> Result<JwtSigner, StartError> {
    let auth = &settings.auth;
    let key = if let Some(path) = &auth.key_file {
        read("auth.key_file", path)?
    } else {
        let secret = settings.signing_secret().map_err(StartError::Secret)?;
        SigningKey::from_secret(secret).map_err(|error| StartError::Settings(error.to_string()))?
    };
    let previous = auth.previous_key_files.iter();
    let previous = previous.map(|path| read("auth.previous_key_files", path));
    Ok(JwtSigner::new(JwtSettings {
        key,
        previous_keys: previous.collect::<Result<_, _>>()?,
        issuer: auth.issuer.clone(),
        audience: auth.audience.clone(),
    }))
}

fn read(name: &str, path: &Path) -> Result<SigningKey, StartError> {
    let refused =
        |reason: String| StartError::Settings(format!("{name}: {}: {reason}", path.display()));
    let pem = fs::read(path).map_err(|error| refused(error.to_string()))?;
    SigningKey::from_pem(&pem).map_err(|error| refused(error.to_string()))
}
