//! A file that arrives in a form: passed on piece by piece, and never whole in memory.

use std::{cell::RefCell, future, pin::Pin, rc::Rc, task::Poll, time::Duration};

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    error::PayloadError,
    http::header::CONTENT_LENGTH,
    web::{Bytes, Data},
};
use futures::{
    SinkExt, Stream, StreamExt,
    channel::mpsc::{Sender, channel},
    future::join,
    stream::poll_fn,
};
use repartee_application::{
    AppError,
    ports::{ByteStream, Source},
};
use repartee_domain::files::FileName;
use tokio::time::timeout;

use crate::{ApiError, body::DRAIN_BYTES, edge::EdgeSettings};

const FIELD: &str = "file";
/// Of a form, around the file in it.
const FRAME_BYTES: usize = 64 * 1024;
/// For a client that is still sending, to get to read the answer.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// A form that is yet to arrive.
pub(crate) struct UploadBody {
    form: Multipart,
    body: Body,
    limit: usize,
    patience: Duration,
}

/// What is left of a request's body, and how much of it there may be.
#[derive(Clone)]
struct Body(Rc<RefCell<Rest>>);

struct Rest {
    payload: Payload,
    room: usize,
    is_too_large: bool,
}

type Pieces = Sender<Result<Bytes, Source>>;

impl FromRequest for UploadBody {
    type Error = ApiError;
    type Future = future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let edge = request.app_data::<Data<EdgeSettings>>().map(|edge| edge.get_ref().clone());
        let edge = edge.unwrap_or_default();
        let limit = edge.upload_limit_bytes;
        let length = request.headers().get(CONTENT_LENGTH).and_then(|text| text.to_str().ok());
        let length: Option<usize> = length.and_then(|text| text.parse().ok());
        let room = limit.saturating_add(FRAME_BYTES);
        let body = Body::new(payload.take(), room, length.is_some_and(|length| length > room));
        let form = Multipart::new(request.headers(), body.clone().pieces());
        future::ready(Ok(Self { form, body, limit, patience: edge.upload_timeout }))
    }
}

impl UploadBody {
    /// Has the one file of the form stored while it arrives, if the caller is admitted. What is
    /// stored is not to last before the bytes have come to a good end.
    pub(crate) async fn receive<T>(
        mut self,
        admitted: impl Future<Output = Result<(), AppError>>,
        store: impl AsyncFnOnce(FileName, ByteStream<'static>) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let received = match admitted.await {
            Ok(()) => self.pass_on(store).await,
            Err(refused) => Err(refused.into()),
        };
        if received.is_err() {
            let _ = timeout(DRAIN_TIME, self.body.drain()).await;
        }
        received
    }

    async fn pass_on<T>(
        &mut self,
        store: impl AsyncFnOnce(FileName, ByteStream<'static>) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let patience = self.patience;
        let late = || ApiError::BodyTimeout { limit: patience };
        let field = timeout(patience, self.next_file()).await.map_err(|_| late())??;
        let field = field.ok_or_else(|| ApiError::invalid(FIELD, "required", "must be a file"))?;
        let (mut pieces, arriving) = channel(0);
        let name = name_of(&field);
        let sent = async {
            let sent = timeout(patience, self.send(field, &mut pieces)).await;
            let sent = sent.unwrap_or_else(|_| Err(late()));
            if sent.is_err() {
                // Who waits for nothing any more is told nothing.
                let _ = pieces.send(Err("the body ends too early".into())).await;
            }
            drop(pieces);
            sent
        };
        let (sent, stored) = join(sent, store(name, arriving.boxed())).await;
        sent?;
        stored
    }

    /// Until all of the form has arrived.
    async fn send(&mut self, mut field: Field, pieces: &mut Pieces) -> Result<(), ApiError> {
        let mut size = 0;
        while let Some(piece) = field.next().await {
            let piece = piece.map_err(|error| self.refused(error))?;
            size += piece.len();
            if size > self.limit {
                return Err(ApiError::BodyTooLarge { limit: self.limit });
            }
            if pieces.send(Ok(piece)).await.is_err() {
                // Who takes them says why they take no more.
                return Ok(());
            }
        }
        drop(field);
        match self.next_file().await? {
            Some(_) => Err(ApiError::invalid(FIELD, "too_many", "must be one file")),
            None => Ok(()),
        }
    }

    /// Fields of other names are nothing to us.
    async fn next_file(&mut self) -> Result<Option<Field>, ApiError> {
        loop {
            match self.form.next().await {
                Some(Ok(field)) if field.name() == Some(FIELD) => return Ok(Some(field)),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(self.refused(error)),
                None => return Ok(None),
            }
        }
    }

    fn refused(&self, error: MultipartError) -> ApiError {
        match error {
            _ if self.body.0.borrow().is_too_large => ApiError::BodyTooLarge { limit: self.limit },
            MultipartError::ContentTypeMissing
            | MultipartError::ContentTypeParse
            | MultipartError::ContentTypeIncompatible => {
                ApiError::UnsupportedMediaType { expected: "multipart/form-data" }
            }
            MultipartError::Incomplete | MultipartError::Payload(PayloadError::Incomplete(_)) => {
                ApiError::BodyIncomplete
            }
            error => ApiError::MalformedForm(error.to_string()),
        }
    }
}

impl Body {
    fn new(payload: Payload, room: usize, is_too_large: bool) -> Self {
        Self(Rc::new(RefCell::new(Rest { payload, room, is_too_large })))
    }

    fn pieces(self) -> impl Stream<Item = Result<Bytes, PayloadError>> {
        poll_fn(move |context| {
            let rest = &mut *self.0.borrow_mut();
            if rest.is_too_large {
                return Poll::Ready(Some(Err(PayloadError::Overflow)));
            }
            let polled = Pin::new(&mut rest.payload).poll_next(context);
            if let Poll::Ready(Some(Ok(piece))) = &polled {
                let Some(room) = rest.room.checked_sub(piece.len()) else {
                    rest.is_too_large = true;
                    return Poll::Ready(Some(Err(PayloadError::Overflow)));
                };
                rest.room = room;
            }
            polled
        })
    }

    async fn drain(&self) {
        let mut left = DRAIN_BYTES;
        let mut payload = std::mem::replace(&mut self.0.borrow_mut().payload, Payload::None);
        while let Some(Ok(piece)) = payload.next().await
            && let Some(less) = left.checked_sub(piece.len())
        {
            left = less;
        }
    }
}

fn name_of(field: &Field) -> FileName {
    let names = field.content_disposition();
    let extended = names.and_then(|names| names.get_filename_ext());
    // RFC 7578 knows the plain name alone; a few clients send the other besides.
    let extended = extended.and_then(|name| std::str::from_utf8(&name.value).ok());
    let plain = names.and_then(|names| names.get_filename());
    FileName::shown(extended.or(plain).unwrap_or_default())
}
