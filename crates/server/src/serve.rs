//! Running the server until it is told to stop.

use std::net::TcpListener;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{StartError, application::Application, settings::Settings};

/// Serves until SIGTERM or SIGINT; a second one skips the waiting for replies in progress.
pub(crate) async fn serve(settings: &Settings) -> Result<(), StartError> {
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    let address = (settings.http.host.as_str(), settings.http.port);
    let listener = TcpListener::bind(address).map_err(|source| StartError::Listen {
        address: format!("{}:{}", settings.http.host, settings.http.port),
        source,
    })?;
    let bound = listener.local_addr().map_err(StartError::Io)?;
    let mut stop = Stop::new().map_err(StartError::Io)?;
    let application = tokio::select! {
        built = Application::build(settings) => built?,
        // Nothing was begun yet.
        () = stop.wait() => return Ok(()),
    };
    let server = application.listen(listener).map_err(StartError::Io)?;
    let handle = server.handle();
    let mut server = std::pin::pin!(server);
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        environment = ?settings.environment,
        "listening on http://{bound}"
    );
    tokio::select! {
        ended = &mut server => return ended.map_err(StartError::Io),
        () = stop.wait() => {}
    }
    tracing::info!("stopping: waiting for the replies in progress");
    // The server goes on answering meanwhile.
    tokio::select! {
        ended = &mut server => return ended.map_err(StartError::Io),
        () = application.drain() => {}
        () = stop.wait() => application.interrupt().await,
    }
    let ((), ended) = tokio::join!(handle.stop(true), server);
    ended.map_err(StartError::Io)?;
    application.close().await?;
    tracing::info!("stopped");
    Ok(())
}

struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
