//! `vigie serve --demo`: a throw-away installation with some weeks of plausible history, so that the first look is not at
//! empty tables. The people, addresses and passwords are made up; what they do is done, with a clock that runs through the weeks.

mod configured;
mod people;
mod play;
mod random;
mod story;

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use tempfile::TempDir;

use super::outcome::Outcome;
use crate::app::App;
use crate::clock::{Clock, ManualClock, SystemClock};
use crate::config::{Config, InvalidConfig};
use crate::credential::password::Passwords;
use crate::model::audit::Cause;
use crate::model::client::{ClientId, Scope};
use crate::model::user::{PasswordHash, User};
use crate::store::retention;
use configured::Configured;
use play::Player;
use random::Random;

/// A throw-away installation; its directory is removed with this value.
pub(super) struct Demonstration {
    directory: TempDir,
    configured: Configured,
}

impl Demonstration {
    /// Makes the directory, and the configuration that points at it: nothing that exists is touched, nothing that is configured
    /// is used but an address of this machine to listen on. `shown` is the configuration as `vigie config print` shows it.
    pub(super) fn prepare(shown: Result<String, InvalidConfig>) -> Outcome<(Self, Config)> {
        let configured = Configured::read(shown);
        let directory = tempfile::Builder::new().prefix("vigie-demo-").tempdir()?;
        let mut config = Config::load(None, [])?;
        if let Some(listen) = configured.listen {
            config.server.listen = listen;
        }
        // A server that is there already has that address.
        config.server.metrics_listen = None;
        directory.path().clone_into(&mut config.data.dir);
        config.database.url = format!("sqlite:{}", directory.path().join("vigie.db").display()).into();
        Ok((Self { directory, configured }, config))
    }

    /// Fills the database; returns what to tell the person at the terminal.
    pub(super) async fn fill(&self, config: &Config) -> Outcome<String> {
        let now = SystemClock.now();
        let begin = now - TimeDelta::weeks(people::WEEKS);
        let clock = Arc::new(ManualClock::at(begin));
        let app = App::open(hurried(config), Arc::clone(&clock) as Arc<dyn Clock>).await?;
        let password = Random::from_system().password(config.passwords.min_length);
        let cast = play(&app, &clock, &password, now).await;
        app.close().await;
        Ok(self.introduce(&cast?, &password))
    }

    fn introduce(&self, cast: &[User], password: &str) -> String {
        let told = self.configured.told().map_or(String::new(), |told| format!("{told}\n"));
        format!(
            "This is a demonstration: people and history are made up, and nothing is kept.\n\
             {told}\
             \n\
             \x20 username  {}\n\
             \x20 password  {password}\n\
             \n\
             Everybody has this password, for instance {}.\n\
             The database is in {} until the server stops.\n",
            people::DEMO,
            one_of_each_role(cast).join(", "),
            self.directory.path().display(),
        )
    }
}

/// The same, with hashes that take no time: some hundred people log in. They are made anew when somebody logs in later.
fn hurried(config: &Config) -> Config {
    let mut config = config.clone();
    config.passwords.argon2_memory_kib = 64;
    config.passwords.argon2_iterations = 1;
    config.passwords.argon2_below_floor = true;
    config
}

/// Lets the story happen until `now`; returns the people in it, without the administrator who looks at it.
async fn play(app: &App, clock: &ManualClock, password: &str, now: DateTime<Utc>) -> Outcome<Vec<User>> {
    let (roles, cli) = (&app.config.roles, Cause::command_line());
    let hash = hash(&app.config, password).await?;
    let cast = people::cast(roles, &hash, clock.now());
    import(app, &cast).await?;
    let portal = client(app, "portail", "Portail des agents", vec![Scope::Introspect, Scope::Revoke], &cli).await?;
    client(app, "supervision", "Supervision", vec![Scope::Events], &cli).await?;
    let steps = story::invent(&app.config, now);
    Player { app, clock, password, people: &cast, portal: &portal, visits: HashMap::new() }.play(steps).await?;
    clock.set(now);
    app.sessions.record_overdue().await?;
    import(app, &[people::demo(roles, &hash, now)]).await?;
    // The history begins weeks ago, and no clock leapt.
    app.store.write(move |db| retention::believe(db, now)).await?;
    Ok(cast)
}

/// The stored form of the password that everybody in the demonstration has.
async fn hash(config: &Config, password: &str) -> Outcome<PasswordHash> {
    let passwords = Passwords::new(&config.passwords, &[])?;
    let accepted = passwords.accept(&SecretString::from(password.to_owned()), "")?;
    Ok(passwords.hash(accepted).await?)
}

async fn import(app: &App, users: &[User]) -> Outcome {
    let lines = (1..).zip(users.iter().cloned()).collect();
    app.users.import(lines, false, &Cause::command_line(), |_| ()).await?;
    Ok(())
}

async fn client(app: &App, id: &str, name: &str, scopes: Vec<Scope>, cause: &Cause) -> Outcome<ClientId> {
    let (client, _) = app.clients.register(ClientId::parse(id)?, name.to_owned(), scopes, cause).await?;
    Ok(client.id)
}

/// One person of each role, with it: whom to try.
fn one_of_each_role(cast: &[User]) -> Vec<String> {
    let is_first = |place: usize, user: &User| cast[..place].iter().all(|earlier| earlier.role != user.role);
    let firsts = cast.iter().enumerate().filter(|(place, user)| is_first(*place, user));
    firsts.map(|(_, user)| format!("{} ({})", user.username, user.role)).collect()
}
