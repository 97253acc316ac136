//! Why a socket closes.

use std::io::ErrorKind;

use actix_ws::{CloseCode, CloseReason, ProtocolError};

#[derive(Debug)]
pub(super) enum Closing {
    /// Both ways, with a code.
    With(CloseReason),
    /// There is nobody to tell.
    Gone,
}

impl Closing {
    pub(super) fn done(reason: &str) -> Self {
        Self::of(CloseCode::Normal, reason)
    }

    pub(super) fn going_away() -> Self {
        Self::of(CloseCode::Away, "the server is going away")
    }

    pub(super) fn binary() -> Self {
        Self::of(CloseCode::Unsupported, "send text frames")
    }

    pub(super) fn too_large() -> Self {
        Self::of(CloseCode::Size, "a frame may have 64 KiB")
    }

    pub(super) fn try_later() -> Self {
        Self::of(CloseCode::Again, "try later")
    }

    pub(super) fn malformed() -> Self {
        Self::of(CloseCode::Other(4400), "five malformed frames")
    }

    pub(super) fn unauthenticated() -> Self {
        Self::of(CloseCode::Other(4401), "sign in again")
    }

    pub(super) fn idle() -> Self {
        Self::of(CloseCode::Other(4408), "no sign of life")
    }

    /// The client's own words back (RFC 6455, 5.5.1).
    pub(super) fn echo(reason: Option<CloseReason>) -> Self {
        Self::With(reason.unwrap_or_else(|| CloseCode::Normal.into()))
    }

    fn of(code: CloseCode, text: &str) -> Self {
        Self::With(CloseReason { code, description: Some(text.to_owned()) })
    }
}

impl From<ProtocolError> for Closing {
    fn from(error: ProtocolError) -> Self {
        match error {
            ProtocolError::Io(error) if error.kind() == ErrorKind::InvalidData => {
                Self::of(CloseCode::Invalid, "text must be UTF-8")
            }
            // A message in too many pieces; of a connection that broke nobody hears this.
            ProtocolError::Io(_) | ProtocolError::Overflow => Self::too_large(),
            error => Self::of(CloseCode::Protocol, &error.to_string()),
        }
    }
}
