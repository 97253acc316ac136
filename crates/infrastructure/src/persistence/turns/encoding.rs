//! How the events of a checkpoint are put into bytes.
//!
//! ```text
//! checkpoint = version:u8 (1), event*
//! event      = kind:u8, length:u32 (little-endian), data:[u8; length]
//! ```
//!
//! The numbers of the events are not among the bytes: they follow one another without a gap, from
//! the checkpoint's first to its last.

use bytes::{Buf, Bytes};
use repartee_application::ports::{EventKind, LoggedEvent, PortError};
use repartee_domain::GenerationId;

use crate::persistence::stored::corrupt;

const VERSION: u8 = 1;
const HEADER: usize = 1 + 4;

pub(super) fn encode<'a>(
    events: impl Iterator<Item = &'a LoggedEvent> + Clone,
) -> Result<Vec<u8>, PortError> {
    let size: usize = events.clone().map(|event| HEADER + event.data.len()).sum();
    let mut bytes = Vec::with_capacity(1 + size);
    bytes.push(VERSION);
    for event in events {
        let length = u32::try_from(event.data.len()).map_err(corrupt)?;
        bytes.push(tag(event.kind));
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&event.data);
    }
    Ok(bytes)
}

/// The events with the numbers `first` to `last`.
pub(super) fn decode(
    generation: GenerationId,
    first: u64,
    last: u64,
    bytes: Vec<u8>,
) -> Result<Vec<LoggedEvent>, PortError> {
    let mut bytes = Bytes::from(bytes);
    if bytes.try_get_u8().map_err(corrupt)? != VERSION {
        return Err(corrupt("a checkpoint of an unknown version"));
    }
    let mut events = Vec::new();
    let mut seq = first;
    while bytes.has_remaining() {
        let kind = kind(bytes.try_get_u8().map_err(corrupt)?)?;
        let length = bytes.try_get_u32_le().map_err(corrupt)? as usize;
        if length > bytes.remaining() {
            return Err(corrupt("an event is cut off"));
        }
        events.push(LoggedEvent::new(generation, seq, kind, bytes.split_to(length)));
        seq += 1;
    }
    if seq.checked_sub(1) != Some(last) {
        return Err(corrupt("a checkpoint has other events than it says"));
    }
    Ok(events)
}

fn tag(kind: EventKind) -> u8 {
    match kind {
        EventKind::Start => 1,
        EventKind::Queued => 2,
        EventKind::Delta => 3,
        EventKind::Done => 4,
        EventKind::Cancelled => 5,
        EventKind::Failed => 6,
        EventKind::Interrupted => 7,
    }
}

fn kind(tag: u8) -> Result<EventKind, PortError> {
    Ok(match tag {
        1 => EventKind::Start,
        2 => EventKind::Queued,
        3 => EventKind::Delta,
        4 => EventKind::Done,
        5 => EventKind::Cancelled,
        6 => EventKind::Failed,
        7 => EventKind::Interrupted,
        _ => return Err(corrupt("an event of an unknown kind")),
    })
}
