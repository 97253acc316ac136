//! What every connection gets.

use std::{any::Any, time::Duration};

use actix_web::rt::net::TcpStream;
use socket2::SockRef;

/// Bytes that the kernel keeps for a reader; it takes twice as much for them. Left alone it would
/// keep megabytes for one that stands still.
const SEND_BUFFER: usize = 256 * 1024;

/// Bounds what a slow reader costs, and closes one that stands still for so long with data waiting:
/// a response is asked for more only while there is room, so nothing above the kernel can tell.
pub(crate) fn limit(connection: &dyn Any, stalled_after: Duration) {
    let Some(stream) = connection.downcast_ref::<TcpStream>() else { return };
    let socket = SockRef::from(stream);
    let limited = socket.set_send_buffer_size(SEND_BUFFER);
    // RFC 5482. It holds as well when the reader's window stays shut.
    #[cfg(target_os = "linux")]
    let limited = limited.and(socket.set_tcp_user_timeout(Some(stalled_after)));
    if let Err(error) = limited {
        tracing::debug!(error = &error as &dyn std::error::Error, "a connection has no limits");
    }
}
