//! A mail as it goes over the wire (RFC 5322).

use lettre::{
    Message,
    message::{
        Body, Mailbox,
        header::{ContentTransferEncoding, ContentType},
    },
};
use repartee_application::ports::{Mail, PortError};
use secrecy::ExposeSecret;
use thiserror::Error;

const LONGEST_LINE: usize = 998;

/// Who mails come from.
#[derive(Debug, Clone)]
pub struct Sender(Mailbox);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be an address, like Repartee <chat@example.com>")]
pub struct InvalidSender;

/// Errors of the library may quote the address: of them only this is told.
#[derive(Debug, Error)]
#[error("no mail can be sent to the address")]
struct Unmailable;

impl Sender {
    /// An address, or a name and an address in angle brackets.
    pub fn parse(text: &str) -> Result<Self, InvalidSender> {
        text.parse().map(Self).map_err(|_| InvalidSender)
    }

    pub(super) fn message(&self, mail: &Mail) -> Result<Message, PortError> {
        let to = mail.to.as_str().parse().map_err(|_| unmailable())?;
        Message::builder()
            .from(self.0.clone())
            .to(Mailbox::new(None, to))
            .subject(mail.subject)
            .message_id(None)
            // No vacation message answers (RFC 3834, 5).
            .header(AutoSubmitted)
            .header(ContentType::TEXT_PLAIN)
            .body(body(mail.text.expose_secret()))
            .map_err(|_| unmailable())
    }
}

/// As it is where it may be (RFC 5322, 2.1.1): the library would encode lines of more than 76
/// characters, and a link in the outbox could not be followed.
fn body(text: &str) -> Body {
    if !text.is_ascii() || text.lines().any(|line| line.len() > LONGEST_LINE) {
        return Body::new(text.to_owned());
    }
    let lines = text.lines().flat_map(|line| [line, "\r\n"]);
    let bytes = lines.collect::<String>().into_bytes();
    Body::dangerous_pre_encoded(bytes, ContentTransferEncoding::SevenBit)
}

fn unmailable() -> PortError {
    PortError::Unavailable(Unmailable.into())
}

#[derive(Debug, Clone, Copy)]
struct AutoSubmitted;

impl lettre::message::header::Header for AutoSubmitted {
    fn name() -> lettre::message::header::HeaderName {
        lettre::message::header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> lettre::message::header::HeaderValue {
        lettre::message::header::HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use repartee_domain::accounts::Email;

    use super::*;

    #[test]
    fn a_mail_is_plain_text_with_its_link_on_one_line() {
        let link = format!("https://chat.example.com/#reset={}", "ab".repeat(32));
        let mail = Mail {
            to: Email::parse("ada@example.com").unwrap(),
            subject: "Choose a new password",
            text: format!("Hello,\n\n{link}\n").into(),
        };
        let sender = Sender::parse("Repartee <chat@example.com>").unwrap();

        let written = String::from_utf8(sender.message(&mail).unwrap().formatted()).unwrap();

        for line in [
            "From: Repartee <chat@example.com>",
            "To: ada@example.com",
            "Subject: Choose a new password",
            "Auto-Submitted: auto-generated",
            &link,
        ] {
            assert!(written.lines().any(|known| known == line), "{line} is missing: {written}");
        }
        assert!(written.contains("\r\nDate: ") && written.contains("\r\nMessage-ID: <"));
    }

    #[test]
    fn a_sender_is_an_address() {
        assert!(Sender::parse("chat@example.com").is_ok());
        for bad in ["", "chat", "a <b", "a@b.c\r\nBcc: d@e.f"] {
            assert!(Sender::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_mailed_to_is_not_told() {
        let to = Email::from_stored("not an address".into());
        let mail = Mail { to, subject: "x", text: "x".into() };
        let error = Sender::parse("a@b.c").unwrap().message(&mail).unwrap_err();
        assert!(!format!("{error:?}").contains("not an address"));
    }
}
