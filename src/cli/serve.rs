//! `vigie serve`: opens the installation, says what a person must know at the start, and runs the server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::demo::Demonstration;
use super::installation::Installation;
use super::outcome::Outcome;
use super::output::Output;
use super::signals;
use crate::app::App;
use crate::audit::remembered::tell_other_database;
use crate::clock::SystemClock;
use crate::http::server;
use crate::model::secret::SecretKind;
use crate::telemetry;
use crate::user::password::IssuedToken;

/// How to serve.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Arguments {
    /// Serve a throw-away database filled with some weeks of plausible history, on this machine only; nothing that is configured
    /// is used but an address to listen on, and nothing is kept
    #[arg(long)]
    demo: bool,
}

/// Runs the command: until the process is told to stop.
pub(super) async fn run(arguments: &Arguments, installation: &Installation) -> Outcome {
    let (demonstration, config) = if arguments.demo {
        let (demonstration, config) = Demonstration::prepare(installation.printable_config())?;
        (Some(demonstration), config)
    } else {
        (None, installation.config()?)
    };
    // Before anything is logged: what is made up concerns nobody.
    let introduction = match &demonstration {
        Some(demonstration) => Some(demonstration.fill(&config).await?),
        None => None,
    };
    telemetry::init(&config)?;
    signals::ignore_others()?;
    let app = Arc::new(App::open(config, Arc::new(SystemClock)).await?);
    for weakness in app.config.weaknesses() {
        tracing::warn!(key = weakness.key, "weak setting: {}", weakness.message);
    }
    tell_other_database(&app.store, &app.config.data.dir, app.clock.now()).await?;
    let greeting = match introduction {
        Some(introduction) => Greeting::Demonstration(introduction),
        None => app.users.issue_setup().await?.map_or(Greeting::None, Greeting::SetUp),
    };
    // From before the first request on: an old master key is not dropped under a server that starts.
    app.vault.note_use(&app.store, app.clock.now()).await?;
    let served = serve(Arc::clone(&app), move |address| announce(&greeting, address)).await;
    if let Err(error) = app.vault.forget_use(&app.store, app.clock.now()).await {
        tracing::debug!(cause = %error, "that this server stops is known in a minute");
    }
    app.close().await;
    Ok(served?)
}

/// What a person must know at the start.
enum Greeting {
    None,
    /// There is no user: the token that creates the first administrator.
    SetUp(IssuedToken),
    /// What the demonstration says.
    Demonstration(String),
}

/// Says that the server is ready. That nobody listens is no reason to stop serving.
fn announce(greeting: &Greeting, address: SocketAddr) {
    let mut output = Output::default();
    let greeted = match greeting {
        Greeting::None => Ok(()),
        Greeting::SetUp(issued) => output.line(set_up_text(&issued.secret.reveal(SecretKind::OneTimeToken), address)),
        Greeting::Demonstration(text) => output.line(text),
    };
    if greeted.and_then(|()| output.line(format_args!("listening on http://{address}"))).is_err() {
        tracing::debug!("nobody reads the standard output");
    }
}

fn set_up_text(token: &str, address: SocketAddr) -> String {
    // A server that listens everywhere is reached here under the address of this machine itself.
    let host = match address {
        SocketAddr::V4(address) if address.ip().is_unspecified() => format!("127.0.0.1:{}", address.port()),
        SocketAddr::V6(address) if address.ip().is_unspecified() => format!("[::1]:{}", address.port()),
        address => address.to_string(),
    };
    format!(
        "There is no user yet. This token creates the first administrator, once, within 24 hours:\n\
         \n\
         \x20 {token}\n\
         \n\
         \x20 curl http://{host}/auth/setup -H 'Content-Type: application/json' \\\n\
         \x20   -d '{{\"token\":\"{token}\",\"username\":\"NAME\",\"password\":\"PASSWORD\"}}'\n"
    )
}

/// Serves until the process is told to stop. The server has a runtime of its own, so it gets a thread of its own.
async fn serve(app: Arc<App>, on_ready: impl FnOnce(SocketAddr) + Send + 'static) -> io::Result<()> {
    let stopped = signals::stop()?.cancelled_owned();
    let serving = move || server::run(app, |listening| on_ready(listening.address), stopped);
    tokio::task::spawn_blocking(serving).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_up_text_holds_the_whole_call() {
        let text = set_up_text("vgt_x", "0.0.0.0:8080".parse().unwrap());
        assert!(text.contains("curl http://127.0.0.1:8080/auth/setup "), "{text}");
        assert!(text.contains(r#"'{"token":"vgt_x","username":"NAME","password":"PASSWORD"}'"#), "{text}");
        assert!(set_up_text("vgt_x", "[2001:db8::1]:80".parse().unwrap()).contains("http://[2001:db8::1]:80/"));
    }
}
