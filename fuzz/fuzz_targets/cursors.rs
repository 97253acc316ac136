//! Where a client says it was: in a list, in a feed, in a reply.
#![no_main]

use libfuzzer_sys::fuzz_target;
use repartee_application::feeds::FeedCursor;

fuzz_target!(|text: &str| {
    repartee_api::fuzzing::page_cursor(text);
    repartee_api::fuzzing::event_id(text);
    if let Ok(cursor) = text.parse::<FeedCursor>() {
        assert!(cursor.replies.len() <= usize::from(FeedCursor::MOST_REPLIES));
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }
});
