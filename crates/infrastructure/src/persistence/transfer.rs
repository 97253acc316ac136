//! Conversations that were brought from elsewhere, into the database.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_application::ports::{
    Brought, ChangeKind, NewKey, PortError, TransferRepository, UsedKey, Watched,
};
use sea_orm::{EntityTrait, IntoActiveModel};

use super::{
    Database, Transaction,
    entity::{conversation, message},
    error::{database, gone_or_taken},
    feeds::{Told, telling},
    idempotency,
};

/// Messages in one statement: SQLite takes 32,766 values, and each message has twenty.
const AT_ONCE: usize = 500;

pub struct SeaTransferRepository {
    db: Database,
}

impl SeaTransferRepository {
    pub fn new(db: Database) -> Self {
        Self { db }
    }
}

struct Rows {
    conversation: conversation::Model,
    messages: Vec<message::Model>,
}

#[async_trait]
impl TransferRepository for SeaTransferRepository {
    async fn insert(
        &self,
        brought: Brought,
        key: Option<NewKey>,
        now: DateTime<Utc>,
    ) -> Result<Option<UsedKey>, PortError> {
        let Brought { conversation, messages } = brought;
        let (owner, id) = (conversation.owner, conversation.id);
        let told = Told::conversation(ChangeKind::ConversationCreated, id);
        let rows = Arc::new(Rows {
            conversation: conversation.into(),
            messages: messages.into_iter().map(Into::into).collect(),
        });
        let store = |key: Option<NewKey>| {
            let rows = Arc::clone(&rows);
            self.db.write_telling(owner, Watched::Changes, move |tx| {
                Box::pin(async move {
                    telling(tx, owner, now, &[told]).run(tx).await.map_err(database)?;
                    if let Some(key) = key {
                        idempotency::claim(tx, owner, &key, id.as_uuid(), now).await?;
                    }
                    insert(tx, &rows).await
                })
            })
        };
        idempotency::once(&self.db, owner, key.as_ref(), now, store)
            .await
            .map(idempotency::used_before)
    }
}

async fn insert(tx: &Transaction, rows: &Rows) -> Result<(), PortError> {
    let conversation = rows.conversation.clone().into_active_model();
    conversation::Entity::insert(conversation)
        .exec_without_returning(tx)
        .await
        .map_err(gone_or_taken("conversations", &[]))?;
    for messages in rows.messages.chunks(AT_ONCE) {
        let messages = messages.iter().cloned().map(IntoActiveModel::into_active_model);
        let insert = message::Entity::insert_many(messages);
        insert.exec_without_returning(tx).await.map_err(database)?;
    }
    Ok(())
}
