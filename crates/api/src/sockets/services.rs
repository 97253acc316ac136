//! What sockets call.

use std::{future::Future, pin::Pin, time::Duration};

use actix_web::{Error, FromRequest, HttpRequest, dev::Payload, web::Data};
use repartee_application::{
    Actor, AppError,
    accounts::{AccountService, StreamAccessService},
    audit::AuditTrail,
    conversations::ConversationService,
    feeds::FeedService,
    guests::GuestService,
    limits::LimitService,
    replies::ReplyService,
};
use repartee_domain::{Reference, UserId};

use crate::{EdgeSettings, streams::Streams};

/// Until another process is there.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(crate) struct SocketServices {
    pub(super) accounts: Data<AccountService>,
    pub(super) conversations: Data<ConversationService>,
    pub(super) replies: Data<ReplyService>,
    pub(super) feeds: Data<FeedService>,
    pub(super) guests: Data<GuestService>,
    pub(super) access: Data<StreamAccessService>,
    pub(super) trail: Data<AuditTrail>,
    pub(super) limits: Data<LimitService>,
    pub(super) streams: Data<Streams>,
    pub(super) edge: Data<EdgeSettings>,
}

impl FromRequest for SocketServices {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            Ok(Self {
                accounts: Data::extract(&request).await?,
                conversations: Data::extract(&request).await?,
                replies: Data::extract(&request).await?,
                feeds: Data::extract(&request).await?,
                guests: Data::extract(&request).await?,
                access: Data::extract(&request).await?,
                trail: Data::extract(&request).await?,
                limits: Data::extract(&request).await?,
                streams: Data::extract(&request).await?,
                edge: Data::extract(&request).await?,
            })
        })
    }
}

impl SocketServices {
    /// Whether an id or a code from a path is the caller's own.
    pub(super) async fn is_me(&self, actor: &Actor, id: &str) -> Result<bool, AppError> {
        match Reference::<UserId, 16>::parse(id) {
            Some(Reference::Id(id)) => Ok(id == actor.user),
            Some(Reference::Code(code)) => Ok(self.accounts.profile(actor).await?.code == code),
            None => Ok(false),
        }
    }
}
