//! `vigie serve --demo`: a throw-away installation with some weeks of plausible history, so that the first look is not at
//! empty tables. The people, addresses and events are made up; the rules are the normal ones.

mod people;
mod random;
mod story;

use std::io;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use tempfile::TempDir;

use super::outcome::Outcome;
use crate::app::App;
use crate::config::Config;
use crate::credential::password::Passwords;
use crate::credential::scheme::Scheme;
use crate::model::user::{PasswordHash, Role, User, UserState};
use crate::store::{Db, StoreError, access_tokens, attempts, audit, clients, retention, sessions, users};
use random::Random;
use story::Story;

/// A throw-away installation; its directory is removed with this value.
pub(super) struct Demonstration {
    directory: TempDir,
}

impl Demonstration {
    /// Makes the directory and points the configuration at it: nothing that exists is touched.
    pub(super) fn prepare(config: &mut Config) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("vigie-demo-").tempdir()?;
        directory.path().clone_into(&mut config.data.dir);
        config.database.url = format!("sqlite:{}", directory.path().join("vigie.db").display()).into();
        config.database.migrate_on_start = true;
        config.keys.master_key_file = std::path::PathBuf::new();
        config.keys.master_key = SecretString::default();
        Ok(Self { directory })
    }

    /// Fills the database; returns what to tell the person at the terminal.
    pub(super) async fn fill(&self, app: &App) -> Outcome<String> {
        let now = app.clock.now();
        let password = Random::from_system().password(app.config.passwords.min_length);
        let (hash, scheme) = hash(&app.config, &password).await?;
        let cast = people::cast(&app.config.roles, &hash, now);
        let names = Names::of(&cast);
        let story = Story::invent(&app.config, cast, now);
        app.store.write(move |db| write(db, &story, &scheme, now)).await?;
        app.users.refresh_schemes().await?;
        Ok(names.introduce(&password, self.directory.path()))
    }
}

/// The stored form of the password that everybody in the demonstration has, and the word for its kind.
async fn hash(config: &Config, password: &str) -> Outcome<(PasswordHash, String)> {
    let passwords = Passwords::new(&config.passwords, &[])?;
    let accepted = passwords.accept(&SecretString::from(password.to_owned()), "")?;
    let hash = passwords.hash(accepted).await?;
    let scheme = Scheme::of(&hash)?.to_string();
    Ok((hash, scheme))
}

/// Writes everything in one transaction, events in the order in which they happened.
fn write(db: &mut Db, story: &Story, scheme: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    story.users.iter().try_for_each(|user| users::insert(db, user, Some(scheme)))?;
    story.clients.iter().try_for_each(|client| clients::insert(db, client))?;
    story.sessions.iter().try_for_each(|session| sessions::insert(db, session))?;
    story.tokens.iter().try_for_each(|(id, token)| access_tokens::insert(db, *id, token))?;
    story.attempts.iter().try_for_each(|attempt| attempts::insert(db, attempt))?;
    story.events.iter().try_for_each(|event| audit::record(db, event))?;
    // The history begins weeks ago, and no clock leapt.
    retention::believe(db, now)
}

/// A user who has the password of the demonstration.
fn user(name: &str, role: &Role, state: UserState, hash: &PasswordHash, created_at: DateTime<Utc>) -> User {
    use crate::model::id::UserId;
    use crate::model::user::Username;
    User {
        id: UserId::new(created_at),
        username: Username::parse(name).expect("the names of the demonstration are usernames: a test makes them all"),
        role: role.clone(),
        state,
        password_hash: Some(hash.clone()),
        created_at,
        password_changed_at: Some(created_at),
        email: None,
    }
}

/// Whom to try.
struct Names {
    others: Vec<(String, String)>,
}

impl Names {
    /// One active user of each role beside the administrator `demo`.
    fn of(cast: &[User]) -> Self {
        let mut others: Vec<(String, String)> = Vec::new();
        let active =
            cast.iter().filter(|user| user.state == UserState::Active && user.username.as_str() != people::DEMO);
        for user in active {
            if !others.iter().any(|(_, role)| role == user.role.as_str()) {
                others.push((user.username.to_string(), user.role.to_string()));
            }
        }
        Self { others }
    }

    fn introduce(&self, password: &str, directory: &std::path::Path) -> String {
        let others: Vec<String> = self.others.iter().map(|(name, role)| format!("{name} ({role})")).collect();
        format!(
            "This is a demonstration: people and history are made up, and nothing is kept.\n\
             \n\
             \x20 username  {}\n\
             \x20 password  {password}\n\
             \n\
             Everybody has this password, for instance {}.\n\
             The database is in {} until the server stops.\n",
            people::DEMO,
            others.join(", "),
            directory.display(),
        )
    }
}
