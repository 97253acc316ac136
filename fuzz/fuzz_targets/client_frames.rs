//! What a client says on a socket.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| repartee_api::fuzzing::client_frame(text));
