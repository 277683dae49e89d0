//! Signals that end the process.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that SIGTERM or SIGINT cancels. A second signal while the process drains ends it at once, with the status a
/// shell expects of a process that was interrupted.
pub fn shutdown_signal() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = token.clone();
    let watch = async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            }
        };
        let name = next().await;
        tracing::info!(signal = name, "stopping; once more to stop at once");
        stop.cancel();
        let name = next().await;
        tracing::warn!(signal = name, "stopping at once");
        end_now();
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "listens until the process is gone; stopping must not wait for it"
    )]
    tokio::spawn(watch);
    Ok(token)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the operator asked twice: nothing may hold the process any longer"
)]
fn end_now() {
    std::process::exit(130);
}
