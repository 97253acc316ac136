//! How mails are sent, and from whom.

use secrecy::SecretString;

use super::SettingsError;
use super::reader::Reader;

#[derive(Debug, Clone)]
pub struct MailSettings {
    /// `smtp://` or `smtps://`; `None` for mails written to the data directory.
    pub smtp_url: Option<SecretString>,
    /// An address, or a name and an address in angle brackets.
    pub from: String,
}

impl MailSettings {
    pub(super) fn read(reader: Reader<'_>) -> Result<Self, SettingsError> {
        const FROM: &str = "mail.from";
        reader.url("mail.smtp_url", &["smtp", "smtps"])?;
        let from = reader.required(FROM)?;
        if repartee_infrastructure::mail::Sender::parse(&from).is_err() {
            return Err(
                reader.impossible(FROM, "must be an address, like Repartee <chat@example.com>")
            );
        }
        Ok(Self { smtp_url: reader.secret("mail.smtp_url"), from })
    }
}
