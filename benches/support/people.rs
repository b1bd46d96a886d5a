//! Sessions put into the database in bulk, with their tokens: as a login leaves them, without the cost of one.

use std::sync::Arc;

use vigie::app::App;
use vigie::key::Key;
use vigie::keyring::Purpose;
use vigie::model::audit::Cause;
use vigie::model::session::{Origin, Session};
use vigie::model::user::{Role, User, Username};
use vigie::session::issue::TokenRules;
use vigie::store::{StoreError, access_tokens, sessions};
use vigie::token::keys::SigningKey;
use vigie::token::refresh::RefreshToken;
use vigie::user::create::NewUser;

/// Sessions of one user.
const EACH: usize = 10;
const BATCH: usize = 1_000;

pub const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// What the holder of a session has.
pub struct Holder {
    pub access_token: String,
    pub refresh_token: String,
}

/// So many live sessions, ten of each user.
pub async fn sessions_of_many(app: &App, count: usize) -> Vec<Holder> {
    let issuer = Issuer::of(app).await;
    let mut holders = Vec::with_capacity(count);
    let mut user = None;
    while holders.len() < count {
        let mut batch = Vec::new();
        while batch.len() < BATCH && holders.len() < count {
            if holders.len() % EACH == 0 {
                user = Some(add_user(app, "agent").await);
            }
            let (session, holder) = issuer.session(app, user.as_ref().expect("a user"));
            holders.push(holder);
            batch.push(session);
        }
        insert(app, batch).await;
    }
    holders
}

/// A live session of an administrator.
pub async fn administrator(app: &App) -> Holder {
    let user = add_user(app, "admin").await;
    let (session, holder) = Issuer::of(app).await.session(app, &user);
    insert(app, vec![session]).await;
    holder
}

/// What tokens are made with.
struct Issuer {
    key: Arc<SigningKey>,
    rules: TokenRules,
    refresh: Key,
}

impl Issuer {
    async fn of(app: &App) -> Self {
        let key = app.sessions.signing().current().await.expect("a key");
        let vault = app.vault.clone();
        let keyring = app.store.read(move |db| vault.keyring_in(db)).await.expect("the keys");
        Self { key, rules: TokenRules::new(&app.config), refresh: keyring.key(Purpose::RefreshToken).clone() }
    }

    fn session(&self, app: &App, user: &User) -> (Session, Holder) {
        let session = new_session(app, user);
        let refresh = RefreshToken::derive(&self.refresh, session.id, 0, &session.refresh.seed);
        let access_token = self.rules.sign(&session, &user.role, &self.key).expect("a token");
        (session, Holder { access_token, refresh_token: refresh.reveal() })
    }
}

async fn insert(app: &App, batch: Vec<Session>) {
    let write = move |db: &mut _| {
        batch.iter().try_for_each(|session| {
            sessions::insert(db, session)?;
            access_tokens::insert(db, session.id, &session.token)
        })
    };
    app.store.write(write).await.unwrap_or_else(|error: StoreError| panic!("{error}"));
}

pub fn new_session(app: &App, user: &User) -> Session {
    let origin = Origin { ip: [127, 0, 0, 1].into(), user_agent: Some(AGENT.to_owned()) };
    app.sessions.new_session(user, origin, None, None)
}

/// A user of a new name who has no password.
pub async fn add_user(app: &App, role: &str) -> User {
    let new = NewUser {
        username: Username::parse(&format!("person-{}", uuid::Uuid::now_v7().simple())).expect("a name"),
        role: Role::parse(role).expect("a role"),
        password: None,
        email: None,
    };
    app.users.create(new, &Cause::command_line()).await.expect("a user")
}
