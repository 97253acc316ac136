//! Mails over SMTP (RFC 5321).

use std::time::Duration;

use async_trait::async_trait;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor, transport::smtp::PoolConfig};
use repartee_application::ports::{Mail, Mailer, PortError};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use tokio::time::timeout;

use super::Sender;

/// For each command and its answer.
const COMMAND: Duration = Duration::from_secs(10);
/// For a mail in all.
const WHOLE: Duration = Duration::from_secs(30);
const MOST_CONNECTIONS: u32 = 4;

pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    sender: Sender,
}

/// Says nothing of the URL, for it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be smtp:// or smtps://, with what STARTTLS needs behind ?tls=")]
pub struct InvalidSmtpUrl;

/// What a server says may quote the address: of that only the code is told.
#[derive(Debug, Error)]
enum Refusal {
    #[error("the mail server answered {0}")]
    Answered(String),
    #[error("the mail server did not answer in time")]
    TooSlow,
    #[error("the mail server cannot be reached, or does not keep to the protocol")]
    Unreachable,
}

impl SmtpMailer {
    /// `smtps://user:password@host` for TLS from the start; `smtp://…?tls=required` for STARTTLS,
    /// `?tls=opportunistic` where the server has it; `smtp://` alone for no TLS.
    pub fn new(url: &SecretString, sender: Sender) -> Result<Self, InvalidSmtpUrl> {
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose_secret());
        let transport = builder
            .map_err(|_| InvalidSmtpUrl)?
            .timeout(Some(COMMAND))
            .pool_config(PoolConfig::new().max_size(MOST_CONNECTIONS))
            .build();
        Ok(Self { transport, sender })
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> Result<(), PortError> {
        let message = self.sender.message(mail)?;
        let refusal = match timeout(WHOLE, self.transport.send(message)).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => match error.status() {
                Some(code) => Refusal::Answered(code.to_string()),
                None if error.is_timeout() => Refusal::TooSlow,
                None => Refusal::Unreachable,
            },
            Err(_) => Refusal::TooSlow,
        };
        Err(PortError::Unavailable(refusal.into()))
    }
}

#[cfg(test)]
mod tests {
    use repartee_domain::accounts::Email;
    use tokio::{
        io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    /// A server that takes one mail, and gives what it was told; `to` is its answer to RCPT.
    async fn serve(stream: TcpStream, to: &str) -> Vec<String> {
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        write.write_all(b"220 test\r\n").await.unwrap();
        let (mut told, mut is_text) = (Vec::new(), false);
        while let Some(line) = lines.next_line().await.unwrap() {
            let answer = match &*line {
                "." => "250 taken",
                _ if is_text => "",
                line if line.starts_with("RCPT") => to,
                "DATA" => "354 go on",
                _ => "250 fine",
            };
            is_text = (is_text || line == "DATA") && line != ".";
            told.push(line);
            if !answer.is_empty() {
                write.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
            }
            if answer == "250 taken" {
                break;
            }
        }
        told
    }

    async fn send(to: &'static str) -> (Result<(), PortError>, Vec<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let sender = Sender::parse("chat@example.com").unwrap();
        let mailer = SmtpMailer::new(&url.into(), sender).unwrap();
        let address = Email::parse("ada@example.com").unwrap();
        let mail = Mail { to: address, subject: "Tea", text: "At five.\n".into() };
        let server = async { serve(listener.accept().await.unwrap().0, to).await };
        let sending = async {
            let sent = mailer.send(&mail).await;
            drop(mailer);
            sent
        };
        tokio::join!(sending, server)
    }

    #[tokio::test]
    async fn a_mail_is_handed_to_the_server() {
        let (sent, told) = send("250 fine").await;

        sent.unwrap();
        for line in ["MAIL FROM:<chat@example.com>", "RCPT TO:<ada@example.com>", "At five."] {
            assert!(told.iter().any(|known| known.starts_with(line)), "{line}: {told:?}");
        }
    }

    #[tokio::test]
    async fn a_refusal_is_told_without_the_address() {
        let (sent, _) = send("550 no such user ada@example.com").await;

        let error = format!("{:?}", sent.unwrap_err());
        assert!(error.contains("550"), "{error}");
        assert!(!error.contains("ada@"), "{error}");
    }

    // The pool of connections wants a runtime, also when it is dropped.
    #[tokio::test]
    async fn a_url_that_is_none_is_refused_and_not_shown() {
        let sender = Sender::parse("chat@example.com").unwrap();
        for url in ["http://me:hunter2@mail", "smtp://me:hunter2@mail?tls=maybe", ""] {
            assert!(SmtpMailer::new(&url.into(), sender.clone()).is_err(), "{url}");
        }
        let tls = SecretString::from("smtps://me:hunter2@mail.example.com");
        assert!(SmtpMailer::new(&tls, sender).is_ok());
    }
}
