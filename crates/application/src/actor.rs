//! Who is asking, by what they are known, and from where.

use std::{net::IpAddr, sync::Arc};

use chrono::{DateTime, Utc};
use repartee_domain::{
    LoginSessionId, UserId,
    accounts::{ApiKey, Role},
    audit::{Action, AuditActor, AuditEntry, Personal},
};

/// Somebody whose credential was found good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    pub user: UserId,
    pub role: Role,
    pub credential: Credential,
    pub origin: Origin,
}

/// By what somebody is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// An access token of a device that is signed in here.
    Session(LoginSessionId),
    /// A program with a key.
    Key(Arc<ApiKey>),
    /// A token of another issuer, and when it runs out: there is no login session here.
    External { expires_at: DateTime<Utc> },
    /// The random id of a guest's conversation.
    Guest,
}

/// Where a request comes from. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    pub address: Option<IpAddr>,
    pub user_agent: Option<Arc<str>>,
    pub request_id: Option<Arc<str>>,
}

impl Actor {
    /// The login session of a device that is signed in here.
    pub fn session(&self) -> Option<LoginSessionId> {
        match self.credential {
            Credential::Session(id) => Some(id),
            Credential::Key(_) | Credential::External { .. } | Credential::Guest => None,
        }
    }

    pub fn key(&self) -> Option<&ApiKey> {
        match &self.credential {
            Credential::Key(key) => Some(key),
            Credential::Session(_) | Credential::External { .. } | Credential::Guest => None,
        }
    }

    /// What this actor did, for the audit log.
    pub fn did(&self, action: Action, at: DateTime<Utc>) -> AuditEntry {
        self.origin.entry(AuditActor::User(self.user), action, at)
    }
}

impl Origin {
    /// What somebody did from here, for the audit log.
    pub fn entry(&self, actor: AuditActor, action: Action, at: DateTime<Utc>) -> AuditEntry {
        AuditEntry {
            personal: Personal {
                ip_address: self.address.map(|address| address.to_string()),
                user_agent: self.user_agent.as_deref().map(str::to_owned),
            },
            request_id: self.request_id.as_deref().map(str::to_owned),
            ..AuditEntry::new(actor, action, at)
        }
    }
}
