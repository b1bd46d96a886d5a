//! What an operating system tells a server.

use std::io;

use futures_util::future::select_all;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::Dispatch;
use tracing::dispatcher::with_default;

use super::exit_code::FAILED;

/// Takes note of what is not meant to end a server: a terminal that was closed, a log that was rotated, a timer. Unheard, each would.
/// The log is given: there are signals before the process has one.
pub(super) fn ignore_others(log: &Dispatch) -> io::Result<()> {
    let others = [
        ("SIGHUP", SignalKind::hangup()),
        ("SIGUSR1", SignalKind::user_defined1()),
        ("SIGUSR2", SignalKind::user_defined2()),
        ("SIGALRM", SignalKind::alarm()),
        ("SIGIO", SignalKind::io()),
    ];
    for (name, kind) in others {
        let (mut heard, log) = (signal(kind)?, log.clone());
        tokio::spawn(async move {
            while heard.recv().await.is_some() {
                with_default(&log, || {
                    tracing::info!(signal = name, "signal ignored: SIGTERM stops the server");
                });
            }
        });
    }
    Ok(())
}

/// Cancelled when the process is told to stop. Told once more, it does this last thing and ends at once: whatever was
/// acknowledged is in the database.
pub(super) fn stop(log: &Dispatch, last: impl FnOnce() + Send + 'static) -> io::Result<CancellationToken> {
    let mut stops = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::quit()]
        .into_iter()
        .map(signal)
        .collect::<io::Result<Vec<Signal>>>()?;
    let stop = CancellationToken::new();
    let (told, log) = (stop.clone(), log.clone());
    tokio::spawn(async move {
        any(&mut stops).await;
        with_default(&log, || tracing::info!("stop signal: requests under way finish first"));
        told.cancel();
        any(&mut stops).await;
        with_default(&log, || tracing::warn!("second stop signal: the server ends at once"));
        last();
        std::process::exit(i32::from(FAILED));
    });
    Ok(stop)
}

async fn any(signals: &mut [Signal]) {
    select_all(signals.iter_mut().map(|signal| Box::pin(signal.recv()))).await;
}
