//! Mails: over SMTP, or as files.

mod message;
mod outbox;
mod smtp;

pub use self::{
    message::{InvalidSender, Sender},
    outbox::OutboxMailer,
    smtp::{InvalidSmtpUrl, SmtpMailer},
};
