//! What a provider streams: wherever the pieces are cut, the events are the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/infrastructure/src/providers/openai/sse.rs"]
mod sse;

use sse::{Decoder, EventTooLong};

type Events = Vec<(bool, Vec<u8>)>;

fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Events, EventTooLong> {
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    for piece in pieces {
        decoder.feed(piece);
        while let Some(event) = decoder.next_event()? {
            events.push((event.is_error, event.data.to_vec()));
        }
    }
    decoder.finish();
    while let Some(event) = decoder.next_event()? {
        events.push((event.is_error, event.data.to_vec()));
    }
    Ok(events)
}

// The first byte says how long the pieces are.
fuzz_target!(|bytes: &[u8]| {
    let Some((size, stream)) = bytes.split_first() else { return };
    let size = usize::from(*size).max(1);
    let whole = decode([stream]);
    assert_eq!(decode(stream.chunks(size)), whole);
    let told: usize = whole.iter().flatten().map(|(_, data)| data.len()).sum();
    assert!(told <= stream.len(), "no more comes out than went in");
});
