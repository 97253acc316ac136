//! What one more reader of an event costs beside its socket: a copied pointer, in place of framing it
//! anew. `cargo bench -p repartee-tests --bench framing`

#![expect(clippy::print_stdout, reason = "what it measures is for whoever runs it")]

use std::{hint::black_box, time::Instant};

use bytes::Bytes;
use repartee_application::ports::{Envelope, EventKind, LoggedEvent};
use repartee_domain::GenerationId;
use uuid::Uuid;

const EVENTS: u64 = 1_000;
const READERS: usize = 1_000;
const ROUNDS: usize = 5;

/// As a stream of server-sent events has it.
fn frame(event: &LoggedEvent) -> Bytes {
    let (generation, seq, name) = (event.generation, event.seq, event.kind.as_str());
    let mut frame = format!("id: {generation}:{seq}\nevent: {name}\ndata: ").into_bytes();
    frame.extend_from_slice(&event.data);
    frame.extend_from_slice(b"\n\n");
    Bytes::from(frame)
}

fn events() -> Vec<LoggedEvent> {
    let generation = GenerationId::from_uuid(Uuid::from_u128(0x0193_9c2e));
    let event = |seq| {
        let data = Bytes::from(format!("{{\"text\":\"tok~{seq}~ \"}}"));
        LoggedEvent::new(generation, seq, EventKind::Delta, data)
    };
    (1..=EVENTS).map(event).collect()
}

/// Nanoseconds for each event and reader.
fn measure(read: impl Fn(&LoggedEvent) -> Bytes) -> f64 {
    let events = events();
    let started = Instant::now();
    for event in &events {
        for _ in 0..READERS {
            black_box(read(black_box(event)));
        }
    }
    let count = events.len() * READERS;
    started.elapsed().as_secs_f64() * 1e9 / f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// The best of several rounds in turn: what else the machine does only makes them worse.
fn main() {
    let (mut shared, mut anew) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..ROUNDS {
        shared = shared.min(measure(|event| event.framed(Envelope::Sse, frame)));
        anew = anew.min(measure(frame));
    }
    println!("| an event for one more reader | ns |\n| --- | ---: |");
    println!("| its shared frame | {shared:.1} |\n| framed anew | {anew:.1} |");
    println!("\nFraming anew takes × {:.1} of sharing.", anew / shared);
}
