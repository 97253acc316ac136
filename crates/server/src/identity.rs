//! Who is calling, put together.

use std::sync::Arc;

use repartee_application::{
    accounts::{
        AccountService, Authenticator, AuthenticatorPorts, ExternalUsers, RecoveryService,
        StreamAccessPorts, StreamAccessService,
    },
    api_keys::{ApiKeyPorts, ApiKeyService},
    oauth::{OauthPorts, OauthRules, OauthService},
    ports::{FeedLog, IdGenerator, PasswordHasher, TokenSigner},
};
use repartee_infrastructure::{
    persistence::{
        Database, SeaApiKeyRepository, SeaExternalIdentityRepository, SeaIdempotencyKeys,
        SeaLoginSessionRepository, SeaTicketRepository,
    },
    security::ExternalIssuer,
};

use crate::{
    StartError,
    accounts::{self, Accounts, Adapters},
    ground::Ground,
    settings::Settings,
    signing,
};

pub(crate) struct Identity {
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) accounts: Arc<AccountService>,
    pub(crate) recovery: RecoveryService,
    pub(crate) api_keys: ApiKeyService,
    pub(crate) oauth: OauthService,
    pub(crate) access: StreamAccessService,
    pub(crate) signer: Arc<dyn TokenSigner>,
}

/// All look at the same login sessions, so that what the one ends the others know at once.
pub(crate) fn identity(
    settings: &Settings,
    ground: &Ground,
    feed: &Arc<dyn FeedLog>,
) -> Result<Identity, StartError> {
    let Ground { database, clock, ids, .. } = ground;
    let signer: Arc<dyn TokenSigner> = Arc::new(signing::signer(settings)?);
    let hasher: Arc<dyn PasswordHasher> = Arc::new(accounts::hasher(settings));
    let sessions = Arc::new(SeaLoginSessionRepository::new(database.clone()));
    let keys = Arc::new(SeaApiKeyRepository::new(database.clone(), ground.spawner()));
    let authenticator = Arc::new(Authenticator::new(AuthenticatorPorts {
        sessions: sessions.clone(),
        keys: keys.clone(),
        signer: signer.clone(),
        clock: clock.clone(),
        external: external(settings, database, &hasher, ids)?,
    }));
    let rules = accounts::rules(settings);
    let adapters = Adapters { sessions: sessions.clone(), hasher, signer: signer.clone() };
    let Accounts { accounts, recovery } = accounts::accounts(settings, ground, adapters)?;
    let api_keys = ApiKeyService::new(ApiKeyPorts {
        keys: keys.clone(),
        idempotency: Arc::new(SeaIdempotencyKeys::new(database.clone())),
        signer: signer.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
    });
    let oauth = OauthPorts {
        accounts: accounts.clone(),
        authenticator: authenticator.clone(),
        sessions,
        keys,
        signer: signer.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
    };
    let oauth_rules = OauthRules { access: rules.access, issuer: settings.auth.issuer.clone() };
    let streams = StreamAccessPorts {
        tickets: Arc::new(SeaTicketRepository::new(database.clone())),
        authenticator: authenticator.clone(),
        feed: feed.clone(),
        signer: signer.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
    };
    Ok(Identity {
        authenticator,
        accounts,
        recovery,
        api_keys,
        oauth: OauthService::new(oauth, oauth_rules),
        access: StreamAccessService::new(streams, rules.access),
        signer,
    })
}

/// The users of another issuer, where one is configured.
fn external(
    settings: &Settings,
    database: &Database,
    hasher: &Arc<dyn PasswordHasher>,
    ids: &Arc<dyn IdGenerator>,
) -> Result<Option<ExternalUsers>, StartError> {
    let Some(issuer) = settings.auth.external.settings() else { return Ok(None) };
    let tokens = ExternalIssuer::new(issuer)
        .map_err(|error| StartError::Settings(format!("auth.external.jwks_url: {error}")))?;
    Ok(Some(ExternalUsers {
        tokens: Arc::new(tokens),
        identities: Arc::new(SeaExternalIdentityRepository::new(database.clone())),
        hasher: hasher.clone(),
        ids: ids.clone(),
    }))
}
