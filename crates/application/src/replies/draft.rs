//! A reply so far: its text, its events, and what of them is not stored yet.

use std::{borrow::Cow, sync::Arc};

use chrono::{DateTime, Utc};
use repartee_domain::{messages::Message, replies::Generation};

use super::{
    ReplyPorts,
    checkpoints::{CheckpointFailed, Checkpointer, Receipt},
};
use crate::ports::{Checkpoint, LoggedEvent, ReplyEvent};

/// An event is at most 64 KiB; JSON makes a character six bytes at the worst.
const MAX_DELTA_BYTES: usize = 8 * 1024;

pub(super) struct Draft {
    pub(super) generation: Generation,
    /// The reply as it was stored when it began.
    pub(super) reply: Message,
    pub(super) text: String,
    pub(super) first_token_at: Option<DateTime<Utc>>,
    seq: u64,
    unsaved: Option<Checkpoint>,
    saving: Option<(Checkpoint, Receipt)>,
}

impl Draft {
    pub(super) fn new(generation: Generation, reply: Message) -> Self {
        Self {
            generation,
            reply,
            text: String::new(),
            first_token_at: None,
            seq: 0,
            unsaved: None,
            saving: None,
        }
    }

    pub(super) fn start(&mut self, ports: &ReplyPorts) {
        let generation = self.generation.clone();
        self.publish(&ReplyEvent::Started { generation: &generation }, ports);
    }

    pub(super) fn queued(&mut self, position: u32, ports: &ReplyPorts) {
        self.publish(&ReplyEvent::Queued { position }, ports);
    }

    /// Adds text, as one event unless it is very long. NUL, which PostgreSQL cannot hold, becomes
    /// the replacement character.
    pub(super) fn write(&mut self, text: &str, ports: &ReplyPorts) {
        let text = if text.contains('\0') {
            Cow::Owned(text.replace('\0', "\u{fffd}"))
        } else {
            Cow::Borrowed(text)
        };
        if self.first_token_at.is_none() {
            self.first_token_at = Some(ports.clock.now());
        }
        let mut rest = &*text;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.floor_char_boundary(MAX_DELTA_BYTES));
            self.publish(&ReplyEvent::Delta { text: piece }, ports);
            self.text.push_str(piece);
            if let Some(unsaved) = &mut self.unsaved {
                unsaved.text.push_str(piece);
            }
            rest = after;
        }
    }

    fn publish(&mut self, event: &ReplyEvent<'_>, ports: &ReplyPorts) {
        let event = self.next_event(event, ports);
        let unsaved = self.unsaved.get_or_insert_with(|| Checkpoint {
            generation: event.generation,
            events: Vec::new(),
            text: String::new(),
        });
        unsaved.events.push(event.clone());
        ports.log.append(event);
    }

    /// The event with the next number, in bytes.
    pub(super) fn next_event(
        &mut self,
        event: &ReplyEvent<'_>,
        ports: &ReplyPorts,
    ) -> Arc<LoggedEvent> {
        self.seq += 1;
        let data = ports.encoder.encode(event);
        Arc::new(LoggedEvent::new(self.generation.id, self.seq, event.kind(), data))
    }

    pub(super) fn has_unsaved(&self) -> bool {
        self.unsaved.is_some()
    }

    pub(super) fn is_saving(&self) -> bool {
        self.saving.is_some()
    }

    /// Hands what is not stored yet to the checkpointer, unless it is still busy with the last.
    pub(super) fn checkpoint(&mut self, checkpointer: &Checkpointer) {
        if self.saving.is_some() {
            return;
        }
        let Some(unsaved) = self.unsaved.take() else { return };
        match checkpointer.save(unsaved.clone()) {
            Ok(receipt) => self.saving = Some((unsaved, receipt)),
            Err(unsaved) => self.unsaved = Some(unsaved),
        }
    }

    /// Waits for the checkpoint that is being stored; for ever when there is none. Cancel-safe.
    pub(super) async fn saved(&mut self) {
        let Some((_, receipt)) = &mut self.saving else {
            return std::future::pending().await;
        };
        let result = receipt.await.unwrap_or(Err(CheckpointFailed));
        let Some((mut checkpoint, _)) = self.saving.take() else { return };
        if result.is_err() {
            if let Some(newer) = self.unsaved.take() {
                checkpoint.events.extend(newer.events);
                checkpoint.text.push_str(&newer.text);
            }
            self.unsaved = Some(checkpoint);
        }
    }

    /// What the last commit has to store besides the end. Nothing is being saved any more.
    pub(super) async fn take_unsaved(&mut self) -> Option<Checkpoint> {
        if self.saving.is_some() {
            self.saved().await;
        }
        self.unsaved.take()
    }
}
