//! `vigie serve`: opens the installation, says what a person must know at the start, and runs the server.

use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::{Dispatch, dispatcher};

use super::demo::Demonstration;
use super::installation::Installation;
use super::outcome::Outcome;
use super::output::Output;
use super::signals;
use crate::app::App;
use crate::audit::other_database::report_other_database;
use crate::clock::SystemClock;
use crate::http::server;
use crate::model::secret::SecretKind;
use crate::telemetry;
use crate::whole_file;

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
    if arguments.demo {
        return demonstrate(installation).await;
    }
    let config = installation.config()?;
    telemetry::init(&config)?;
    let log = dispatcher::get_default(Dispatch::clone);
    signals::ignore_others(&log)?;
    let app = Arc::new(App::open(config, Arc::new(SystemClock)).await?);
    app.sessions.signing().adopt_algorithm().await?;
    remark(&app).await?;
    let greeting = set_up(&app).await?;
    let stop = signals::stop(&log, || ())?;
    serve(app, greeting, stop).await
}

/// Serves a demonstration, of which nothing is left however it ends.
async fn demonstrate(installation: &Installation) -> Outcome {
    let (mut demonstration, mut config) = Demonstration::prepare(installation.printable_config())?;
    // What is made up concerns nobody, so until it is, the process has no log; signals have this one.
    let log = telemetry::dispatch(config.log.format, config.log.level.filter(), io::stderr);
    // From before there is anything to remove.
    signals::ignore_others(&log)?;
    let place = demonstration.place();
    let stop = signals::stop(&log, move || place.remove())?;
    demonstration.settle(&mut config)?;
    let Some(introduction) = demonstration.fill(&config, &stop).await? else { return Ok(()) };
    telemetry::init(&config)?;
    let app = Arc::new(App::open(config, Arc::new(SystemClock)).await?);
    remark(&app).await?;
    demonstration.free_address();
    serve(app, Greeting::Demonstration(introduction), stop).await
}

/// Logs what an operator should look at.
async fn remark(app: &App) -> Outcome {
    for weakness in app.config.weaknesses() {
        tracing::warn!(key = weakness.key, "weak setting: {}", weakness.message);
    }
    if app.config.published().is_none() {
        let (key, public_url) = ("tokens.issuer", &app.config.server.public_url);
        tracing::warn!(key, %public_url, "the issuer is no address of this server: clients find no metadata");
    }
    Ok(report_other_database(&app.store, &app.config.data.dir, app.clock.now()).await?)
}

/// What leads to the first administrator, where there is no user yet. A terminal is shown it. Anything else may be a journal, which
/// others read and which is kept: then the token goes to a file of its owner's alone.
async fn set_up(app: &App) -> Outcome<Greeting> {
    let Some(issued) = app.users.issue_setup().await? else {
        // Of a set-up that was done elsewhere.
        app.remove_setup_token();
        return Ok(Greeting::None);
    };
    let token = issued.secret.reveal(SecretKind::OneTimeToken);
    let link = app.config.console.enabled.then(|| app.config.server.page(&format!("/setup?token={token}")));
    if io::stdout().is_terminal() {
        return Ok(Greeting::SetUp { token, link });
    }
    let path = app.setup_token_file();
    let text = link.map_or_else(|| format!("{token}\n"), |link| format!("{token}\n{link}\n"));
    whole_file::replace(&path, text.as_bytes(), whole_file::PRIVATE)?;
    Ok(Greeting::SetUpByFile(path))
}

/// Serves until the process is told to stop, and closes the installation.
async fn serve(app: Arc<App>, greeting: Greeting, stop: CancellationToken) -> Outcome {
    // From before the first request on: an old master key is not dropped under a server that starts.
    app.vault.note_use(&app.store, app.clock.now()).await?;
    let served = run_server(Arc::clone(&app), greeting, stop).await;
    if let Err(error) = app.vault.remove_use(&app.store, app.clock.now()).await {
        tracing::debug!(cause = %error, "use of the master key not removed: it expires in a minute");
    }
    app.close().await;
    Ok(served?)
}

/// What a person must know at the start.
enum Greeting {
    None,
    /// There is no user: the token that creates the first administrator, and the link to the page that takes it.
    SetUp {
        token: String,
        link: Option<String>,
    },
    /// The same in a file.
    SetUpByFile(PathBuf),
    /// What the demonstration says.
    Demonstration(String),
}

/// Says that the server is ready. That nobody listens is no reason to stop serving.
fn announce(greeting: &Greeting, address: SocketAddr) {
    let mut output = Output::default();
    let greeted = match greeting {
        Greeting::None => Ok(()),
        Greeting::SetUp { token, link } => output.line(set_up_text(token, link.as_deref(), address)),
        Greeting::SetUpByFile(path) => output.line(format_args!(
            "There is no user yet. What creates the first administrator, once, within 24 hours, is in the file\n\n  {}\n",
            path.display()
        )),
        Greeting::Demonstration(text) => output.line(text),
    };
    if greeted.and_then(|()| output.line(format_args!("listening on http://{address}"))).is_err() {
        tracing::debug!("standard output closed");
    }
}

fn set_up_text(token: &str, link: Option<&str>, address: SocketAddr) -> String {
    // A server that listens everywhere is reached here under the address of this machine itself.
    let host = match address {
        SocketAddr::V4(address) if address.ip().is_unspecified() => format!("127.0.0.1:{}", address.port()),
        SocketAddr::V6(address) if address.ip().is_unspecified() => format!("[::1]:{}", address.port()),
        address => address.to_string(),
    };
    let link = link.map_or_else(String::new, |link| format!("  {link}\n\nOr by a call:\n\n"));
    format!(
        "There is no user yet. This creates the first administrator, once, within 24 hours:\n\
         \n\
         {link}\
         \x20 curl http://{host}/auth/setup -H 'Content-Type: application/json' \\\n\
         \x20   -d '{{\"token\":\"{token}\",\"username\":\"NAME\",\"password\":\"PASSWORD\"}}'\n"
    )
}

/// The server has a runtime of its own, so it gets a thread of its own.
async fn run_server(app: Arc<App>, greeting: Greeting, stop: CancellationToken) -> io::Result<()> {
    let serving = move || server::run(app, |listening| announce(&greeting, listening.address), stop.cancelled_owned());
    tokio::task::spawn_blocking(serving).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_up_text_holds_the_whole_call() {
        let link = "https://vigie.example.org/setup?token=vgt_x";
        let text = set_up_text("vgt_x", Some(link), "0.0.0.0:8080".parse().unwrap());
        assert!(text.contains(&format!("  {link}\n")), "{text}");
        assert!(text.contains("curl http://127.0.0.1:8080/auth/setup "), "{text}");
        assert!(text.contains(r#"'{"token":"vgt_x","username":"NAME","password":"PASSWORD"}'"#), "{text}");
        assert!(set_up_text("vgt_x", None, "[2001:db8::1]:80".parse().unwrap()).contains("http://[2001:db8::1]:80/"));
    }
}
