//! A conversation on its way out, a portion at a time.

use actix_web::{HttpResponse, web::Data};
use bytes::{BufMut, Bytes, BytesMut};
use futures::{Stream, stream};
use repartee_application::{Actor, Page, ports::Branch, transfer::TransferService};
use repartee_domain::{
    ConversationId, MessageId,
    conversations::Conversation,
    messages::{Message, MessageRole},
    transfer::file_name,
};
use serde::Serialize;

use super::body::{FORMAT, FiledConversationBody, FiledMessageBody, VERSION};
use crate::{ApiError, attachment::attachment, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Markdown,
}

impl Format {
    pub(super) fn parse(text: Option<&str>) -> Result<Self, ApiError> {
        match text {
            None | Some("" | "json") => Ok(Self::Json),
            Some("markdown") => Ok(Self::Markdown),
            Some(_) => Err(ApiError::invalid("format", "invalid", "must be json or markdown")),
        }
    }

    pub(super) fn branch(self) -> Branch {
        match self {
            Self::Json => Branch::All,
            Self::Markdown => Branch::Newest,
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Markdown => "text/markdown; charset=utf-8",
        }
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Markdown => "md",
        }
    }
}

pub(super) fn answer(
    transfers: Data<TransferService>,
    actor: Actor,
    format: Format,
    conversation: Conversation,
    first: Page<Message, MessageId>,
) -> HttpResponse {
    let name = file_name(conversation.subject.title.as_deref());
    let id = conversation.id;
    let is_branched = conversation.is_branched;
    let mut writer = Writer { format, is_branched, previous: None, text: BytesMut::new() };
    writer.begin(conversation);
    HttpResponse::Ok()
        .content_type(format.content_type())
        .insert_header(attachment(&format!("{name}.{}", format.ending())))
        .streaming(portions(transfers, actor, id, writer, first))
}

/// Each is read once the one before was sent. One that cannot be read cuts the answer off, so that
/// nobody takes it for whole.
fn portions(
    transfers: Data<TransferService>,
    actor: Actor,
    id: ConversationId,
    writer: Writer,
    first: Page<Message, MessageId>,
) -> impl Stream<Item = Result<Bytes, ApiError>> {
    enum Next {
        Send(Page<Message, MessageId>),
        Read(MessageId),
        Nothing,
    }
    stream::try_unfold((Next::Send(first), writer), move |(next, mut writer)| {
        let (transfers, actor, branch) = (transfers.clone(), actor.clone(), writer.format.branch());
        async move {
            let page = match next {
                Next::Send(page) => page,
                Next::Read(after) => {
                    let page = transfers.export_on(&actor, id, branch, after).await;
                    page.map_err(ApiError::from).inspect_err(ApiError::log)?
                }
                Next::Nothing => return Ok(None),
            };
            for message in &page.items {
                writer.write(message);
            }
            let next = page.next.map_or(Next::Nothing, Next::Read);
            if matches!(next, Next::Nothing) {
                writer.end();
            }
            Ok(Some((writer.text.split().freeze(), (next, writer))))
        }
    })
}

/// Puts a conversation into words.
struct Writer {
    format: Format,
    is_branched: bool,
    /// The message that was written last.
    previous: Option<MessageId>,
    /// What is not sent yet.
    text: BytesMut,
}

#[derive(Serialize)]
struct Head {
    format: &'static str,
    version: u32,
    conversation: FiledConversationBody,
}

impl Writer {
    fn begin(&mut self, conversation: Conversation) {
        match self.format {
            Format::Json => {
                let conversation = conversation.into();
                let head = json::to_bytes(&Head { format: FORMAT, version: VERSION, conversation });
                self.text.put_slice(head.strip_suffix(b"}").unwrap_or(&head));
                self.text.put_slice(b",\"messages\":[");
            }
            Format::Markdown => {
                let title = conversation.subject.title;
                // A title is one line.
                let title = title.as_deref().unwrap_or("Conversation").replace(['\r', '\n'], " ");
                self.put(&format!("# {title}\n"));
            }
        }
    }

    fn write(&mut self, message: &Message) {
        match self.format {
            Format::Json => {
                self.put(if self.previous.is_some() { ",\n" } else { "\n" });
                // Where nobody has branched, a message without one follows the one before.
                let before = self.previous.filter(|_| !self.is_branched);
                let body = FiledMessageBody::of(message, message.parent.or(before));
                self.text.put_slice(&json::to_bytes(&body));
            }
            Format::Markdown => {
                let at = message.created_at.format("%Y-%m-%d %H:%M UTC");
                let head = format!("\n## {}\n\n*{at}*\n\n", heading(message));
                self.put(&head);
                self.put(&message.content);
                self.put("\n");
            }
        }
        self.previous = Some(message.id);
    }

    fn end(&mut self) {
        if self.format == Format::Json {
            self.put("\n]}\n");
        }
    }

    fn put(&mut self, text: &str) {
        self.text.put_slice(text.as_bytes());
    }
}

fn heading(message: &Message) -> String {
    let role = match message.role {
        MessageRole::User => "User",
        MessageRole::Assistant => "Assistant",
        MessageRole::System => "System",
        MessageRole::Tool => "Tool",
    };
    match &message.writing {
        Some(writing) => format!("{role} ({})", writing.model),
        None => role.to_owned(),
    }
}
