//! What must hold of what anybody may send: tried with some of it by the tests here, and with much
//! more by the targets in `fuzz/`.

use repartee_application::ports::ConversationKey;
use repartee_domain::MessageId;

use crate::{
    cursor::{Cursor, PageQuery, encode},
    replies::EventId,
    sockets,
};

/// The cursor of a list, and of a page of messages.
///
/// # Panics
/// Where one is understood that we never gave out.
pub fn page_cursor(text: &str) {
    understood_is_ours::<ConversationKey>(text);
    understood_is_ours::<MessageId>(text);
}

fn understood_is_ours<K: Cursor>(text: &str) {
    let query = PageQuery { limit: None, cursor: Some(text.to_owned()) };
    if let Ok(page) = query.parse::<K>() {
        assert_eq!(page.after.as_ref().map(encode).as_deref(), Some(text));
    }
}

/// `Last-Event-ID` of a reply's stream.
///
/// # Panics
/// Where what is understood names another event when it is written again.
pub fn event_id(text: &str) {
    let Some(id) = EventId::parse(text) else { return };
    let mark = if id.is_interrupted { "0" } else { "" };
    let again = format!("{}:{mark}{}", id.generation, id.seq);
    assert_eq!(EventId::parse(&again), Some(id));
}

/// A client's frame, on either kind of socket.
pub fn client_frame(text: &str) {
    sockets::read_any(text);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UUID: &str = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}";

    proptest! {
        #[test]
        fn any_text_is_a_cursor_of_ours_or_none(text in "\\PC{0,40}|[A-Za-z0-9_-]{20,34}=?") {
            page_cursor(&text);
        }

        #[test]
        fn any_text_names_one_event_or_none(
            text in prop_oneof![Just("\\PC{0,60}".to_owned()), Just(format!("{UUID}:[+0-9]{{0,21}}"))]
                .prop_flat_map(|pattern| proptest::string::string_regex(&pattern).unwrap()),
        ) {
            event_id(&text);
        }

        #[test]
        fn any_text_is_a_frame_or_none(
            text in "\\PC{0,60}",
            kind in "start_conversation|send_message|resume|cancel|authenticate|ping|x",
            field in "conversation_id|content|temperature|metadata|after|session_id|message",
            value in "null|[-]?[0-9]{1,25}(\\.[0-9]{1,9})?|\"\\PC{0,9}\"|\\[\\]|\\{\\}|1e999|true",
        ) {
            client_frame(&text);
            client_frame(&format!("{{\"type\":\"{kind}\",\"data\":{{\"{field}\":{value}}}}}"));
            client_frame(&format!("{{\"message\":\"x\",\"{field}\":{value}}}"));
        }
    }

    #[test]
    fn depth_is_bounded() {
        let deep = "[".repeat(60_000);
        client_frame(&format!("{{\"type\":\"start_conversation\",\"data\":{{\"metadata\":{deep}"));
        let closed = format!("{{\"a\":{deep}{}}}", "]".repeat(60_000));
        client_frame(&format!(
            "{{\"type\":\"start_conversation\",\"data\":{{\"metadata\":{closed}}}}}"
        ));
    }
}
