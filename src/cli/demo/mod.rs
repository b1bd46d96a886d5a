//! `vigie serve --demo`: a throw-away installation with some weeks of plausible history, so that the first look is not at
//! empty tables. The people, addresses and passwords are made up; what they do is done, with a clock that runs through the weeks.

mod configured;
mod people;
mod place;
mod play;
mod random;
mod story;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use tokio::net::TcpSocket;
use tokio_util::sync::CancellationToken;

use super::outcome::{Failure, Outcome};
use crate::app::App;
use crate::client::registration::NewClient;
use crate::clock::{Clock, ManualClock, SystemClock};
use crate::config::{Config, DatabaseAddress, InvalidConfig};
use crate::credential::password::Passwords;
use crate::model::audit::AuditContext;
use crate::model::client::{ClientId, Scope};
use crate::model::user::{PasswordHash, User};
use crate::store::retention;
use configured::Configured;
use place::Place;
use play::Player;
use random::Random;

/// A throw-away installation; its directory is removed with this value.
pub(super) struct Demonstration {
    place: Place,
    configured: Configured,
    /// Keeps the address that the server is to listen on.
    reserved: Option<TcpSocket>,
}

impl Demonstration {
    /// A demonstration without its directory, and the configuration as far as that needs none: nothing that exists is
    /// touched, nothing that is configured is used but an address of this machine to listen on. `shown` is the
    /// configuration as `vigie config print` shows it.
    pub(super) fn prepare(shown: Result<String, InvalidConfig>) -> Outcome<(Self, Config)> {
        let configured = Configured::read(shown);
        let mut config = Config::load(None, [])?;
        let listen = configured.listen.unwrap_or(config.server.listen);
        let (socket, address) = reserve(listen)
            .map_err(|error| Failure::saying(format_args!("{listen} cannot be listened on: {error}")))?;
        config.server.listen = address;
        // What tokens name as their issuer as well. Made anew, as an address with a scope makes no URL.
        config.server.public_url = format!("http://{}", SocketAddr::new(address.ip(), address.port())).parse()?;
        // A server that is there already has that address.
        config.server.metrics_listen = None;
        Ok((Self { place: Place::default(), configured, reserved: Some(socket) }, config))
    }

    /// Where the directory is to be.
    pub(super) fn place(&self) -> Place {
        self.place.clone()
    }

    /// Makes the directory, and points the configuration at it.
    pub(super) fn settle(&self, config: &mut Config) -> Outcome {
        let directory = self.place.make()?;
        config.database.url = DatabaseAddress::Sqlite(directory.join("vigie.db"));
        config.data.dir = directory;
        Ok(())
    }

    /// Fills the database; returns what to tell the person at the terminal, `None` where the process is told to stop
    /// meanwhile.
    pub(super) async fn fill(&self, config: &Config, stop: &CancellationToken) -> Outcome<Option<String>> {
        let now = SystemClock.now();
        let begin = now - TimeDelta::weeks(people::WEEKS);
        let clock = Arc::new(ManualClock::at(begin));
        let app = App::open(hurried(config), Arc::clone(&clock) as Arc<dyn Clock>).await?;
        let password = Random::from_system().password(config.passwords.min_length);
        // On the heap: whoever may drop it half done moves it around before.
        let playing = Box::pin(play(&app, &clock, &password, now));
        let cast = stop.run_until_cancelled(playing).await.transpose();
        app.close().await;
        Ok(cast?.map(|cast| self.introduce(config, &cast, &password)))
    }

    /// Lets go of the address: the server listens there next.
    pub(super) fn free_address(&mut self) {
        self.reserved = None;
    }

    fn introduce(&self, config: &Config, cast: &[User], password: &str) -> String {
        let warning = self.configured.warning().map_or(String::new(), |warning| format!("{warning}\n"));
        format!(
            "This is a demonstration: people and history are made up, and nothing is kept.\n\
             {warning}\
             \n\
             \x20 username  {}\n\
             \x20 password  {password}\n\
             \n\
             Everybody has this password, for instance {}.\n\
             The database is in {} until the server stops.\n",
            people::DEMO,
            one_of_each_role(cast).join(", "),
            config.data.dir.display(),
        )
    }
}

impl Drop for Demonstration {
    fn drop(&mut self) {
        self.place.remove();
    }
}

/// Takes an address without listening there yet: tokens name it from the first one on, also where the system chooses
/// the port, and that another listens there is found out before a history is made up.
fn reserve(listen: SocketAddr) -> io::Result<(TcpSocket, SocketAddr)> {
    let socket = if listen.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // As the server itself does: connections that an earlier one has just closed are no obstacle.
    socket.set_reuseaddr(true)?;
    socket.bind(listen)?;
    let address = socket.local_addr()?;
    Ok((socket, address))
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
    let (roles, cli) = (&app.config.roles, AuditContext::command_line());
    let hash = hash(&app.config, password).await?;
    let cast = people::cast(roles, &hash, clock.now());
    import(app, &cast).await?;
    let portal = client(app, "portail", "Portail des agents", vec![Scope::Introspect, Scope::Revoke], &cli).await?;
    client(app, "supervision", "Supervision", vec![Scope::Events], &cli).await?;
    let steps = story::invent(&app.config, now);
    Player { app, clock, password, people: &cast, portal: &portal, visits: HashMap::new() }.play(steps).await?;
    clock.set(now);
    app.sessions.record_expired().await?;
    import(app, &[people::demo(roles, &hash, now)]).await?;
    // The history begins weeks ago, and no clock leapt.
    app.store.write(move |db| retention::believe(db, now)).await?;
    Ok(cast)
}

/// The stored form of the password that everybody in the demonstration has.
async fn hash(config: &Config, password: &str) -> Outcome<PasswordHash> {
    let passwords = Passwords::new(&config.passwords, &[])?;
    let accepted = passwords.accept(&SecretString::from(password.to_owned()), "").await?;
    Ok(passwords.hash(accepted).await?)
}

async fn import(app: &App, users: &[User]) -> Outcome {
    let lines = (1..).zip(users.iter().cloned()).collect();
    app.users.import(lines, false, &AuditContext::command_line(), |_| ()).await?;
    Ok(())
}

async fn client(app: &App, id: &str, name: &str, scopes: Vec<Scope>, context: &AuditContext) -> Outcome<ClientId> {
    let new = NewClient { id: ClientId::parse(id)?, name: name.to_owned(), scopes, audiences: None, keys: None };
    let (client, _) = app.clients.register(new, context).await?;
    Ok(client.id)
}

/// One person of each role, with it: whom to try.
fn one_of_each_role(cast: &[User]) -> Vec<String> {
    let is_first = |place: usize, user: &User| cast[..place].iter().all(|earlier| earlier.role != user.role);
    let firsts = cast.iter().enumerate().filter(|(place, user)| is_first(*place, user));
    firsts.map(|(_, user)| format!("{} ({})", user.username, user.role)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::printable;

    fn prepare(listen: &str) -> Outcome<(Demonstration, Config)> {
        Demonstration::prepare(printable(None, [("VIGIE__SERVER__LISTEN".to_owned(), listen.to_owned())]))
    }

    #[test]
    fn tokens_and_links_name_the_address_that_is_listened_on() {
        for listen in ["127.0.0.1:0", "127.0.0.2:0"] {
            let (mut demonstration, config) = prepare(listen).unwrap();
            let address = config.server.listen;
            assert!(address.port() != 0 && address.ip().to_string() == listen[..9], "{address}");
            assert_eq!(config.issuer(), format!("http://{address}"));
            assert_eq!(config.server.public_url.as_str(), format!("http://{address}/"));
            demonstration.free_address();
            assert!(std::net::TcpListener::bind(address).is_ok());
        }
    }

    #[test]
    fn an_address_that_is_taken_is_refused_before_a_history_is_made_up() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let Some(Failure::Failed(refused)) = prepare(&address).err() else { panic!("it is taken") };
        assert!(refused.to_string().contains(&address), "{refused}");
    }

    #[test]
    fn the_directory_goes_with_the_demonstration() {
        let (demonstration, mut config) = prepare("127.0.0.1:0").unwrap();
        demonstration.settle(&mut config).unwrap();
        assert!(config.data.dir.is_dir());
        drop(demonstration);
        assert!(!config.data.dir.exists());
    }
}
