//! Conversations as files, and for others to read, put together.

use std::sync::Arc;

use repartee_application::{
    ports::TokenSigner,
    sharing::{SharingPorts, SharingService},
    transfer::{TransferPorts, TransferService},
};
use repartee_infrastructure::persistence::{
    SeaConversationRepository, SeaIdempotencyKeys, SeaMessageRepository, SeaSharedLinkRepository,
    SeaTransferRepository,
};

use crate::ground::Ground;

pub(crate) struct Transferring {
    pub(crate) transfers: TransferService,
    pub(crate) sharing: SharingService,
}

pub(crate) fn transferring(ground: &Ground, signer: &Arc<dyn TokenSigner>) -> Transferring {
    let Ground { database, clock, ids, .. } = ground;
    let conversations = Arc::new(SeaConversationRepository::new(database.clone()));
    let keys = Arc::new(SeaIdempotencyKeys::new(database.clone()));
    Transferring {
        transfers: TransferService::new(TransferPorts {
            conversations: conversations.clone(),
            messages: Arc::new(SeaMessageRepository::new(database.clone())),
            transfers: Arc::new(SeaTransferRepository::new(database.clone())),
            keys: keys.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
        }),
        sharing: SharingService::new(SharingPorts {
            links: Arc::new(SeaSharedLinkRepository::new(database.clone())),
            conversations,
            keys,
            signer: signer.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
        }),
    }
}
