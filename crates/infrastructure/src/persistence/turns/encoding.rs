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
    while bytes.has_remaining() {
        let kind = kind(bytes.try_get_u8().map_err(corrupt)?)?;
        let length = bytes.try_get_u32_le().map_err(corrupt)? as usize;
        if length > bytes.remaining() {
            return Err(corrupt("an event is cut off"));
        }
        let seq =
            first.checked_add(events.len() as u64).ok_or_else(|| corrupt("too many events"))?;
        events.push(LoggedEvent::new(generation, seq, kind, bytes.split_to(length)));
    }
    if events.last().map(|event| event.seq) != Some(last) {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const ID: GenerationId = GenerationId::from_uuid(Uuid::from_u128(1));

    fn events(data: &[(u8, Vec<u8>)]) -> Vec<LoggedEvent> {
        (5..)
            .zip(data)
            .map(|(seq, (tag, data))| {
                LoggedEvent::new(ID, seq, kind(*tag).unwrap(), Bytes::copy_from_slice(data))
            })
            .collect()
    }

    fn data() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
        prop::collection::vec((1..=7u8, prop::collection::vec(any::<u8>(), 0..40)), 1..20)
    }

    proptest! {
        #[test]
        fn events_read_back_as_they_were(data in data()) {
            let written = events(&data);
            let last = 4 + written.len() as u64;

            let read = decode(ID, 5, last, encode(written.iter()).unwrap()).unwrap();

            prop_assert_eq!(read.len(), written.len());
            for (read, written) in read.iter().zip(&written) {
                prop_assert_eq!((read.seq, read.kind), (written.seq, written.kind));
                prop_assert_eq!(&read.data, &written.data);
            }
        }

        #[test]
        fn bytes_that_are_cut_off_are_corrupt(data in data(), cut: prop::sample::Index) {
            let written = events(&data);
            let last = 4 + written.len() as u64;
            let mut bytes = encode(written.iter()).unwrap();
            bytes.truncate(cut.index(bytes.len()));

            prop_assert!(matches!(decode(ID, 5, last, bytes), Err(PortError::Corrupt(_))));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, first: u64, last: u64) {
            let mut known = vec![VERSION];
            known.extend(&bytes);

            drop(decode(ID, first, last, bytes));
            drop(decode(ID, first, last, known));
        }
    }
}
