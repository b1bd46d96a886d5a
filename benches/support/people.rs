//! Sessions put into the database in bulk, with their tokens: as a login leaves them, without the cost of one.

use std::sync::Arc;

use futures_util::StreamExt as _;
use vigie::app::App;
use vigie::key::Key;
use vigie::keyring::KeyPurpose;
use vigie::model::audit::AuditContext;
use vigie::model::session::{ClientInfo, Session};
use vigie::model::user::{Role, User, Username};
use vigie::session::issue::TokenRules;
use vigie::store::{StoreError, access_tokens, sessions};
use vigie::token::keys::SigningKey;
use vigie::token::refresh::RefreshToken;
use vigie::user::create::NewUser;

/// Sessions of one user.
const EACH: usize = 10;
const BATCH: usize = 1_000;
/// Batches under way, and users of each: so that PostgreSQL is not waited for by one alone.
const AT_ONCE: usize = 4;

pub const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// What the holder of a session has.
pub struct Holder {
    pub access_token: String,
    pub refresh_token: String,
    /// For sites behind a proxy, as a browser sends it.
    pub gate_cookie: String,
}

/// So many live sessions, ten of each user.
pub async fn sessions_of_many(app: &App, count: usize) -> Vec<Holder> {
    let issuer = Issuer::of(app).await;
    let batches = (0..count).step_by(BATCH).map(|begin| batch(app, &issuer, BATCH.min(count - begin)));
    futures_util::stream::iter(batches).buffered(AT_ONCE).concat().await
}

async fn batch(app: &App, issuer: &Issuer, count: usize) -> Vec<Holder> {
    let users = (0..count.div_ceil(EACH)).map(|_| add_user(app, "agent"));
    let users: Vec<User> = futures_util::stream::iter(users).buffered(AT_ONCE).collect().await;
    let of_each = users.iter().flat_map(|user| std::iter::repeat_n(user, EACH));
    let (sessions, holders) = of_each.take(count).map(|user| issuer.session(app, user)).unzip();
    insert(app, sessions).await;
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
        Self { key, rules: TokenRules::new(&app.config), refresh: keyring.key(KeyPurpose::RefreshToken).clone() }
    }

    fn session(&self, app: &App, user: &User) -> (Session, Holder) {
        let session = new_session(app, user);
        let refresh = RefreshToken::derive(&self.refresh, session.id, 0, &session.refresh.seed);
        let access_token = self.rules.sign(&session, &user.role, &self.key).expect("a token");
        let gate_cookie = app.sessions.gate_cookie_of(&app.sessions.cookie_of(&session)).reveal();
        (session, Holder { access_token, refresh_token: refresh.reveal(), gate_cookie })
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
    let origin = ClientInfo { ip: [127, 0, 0, 1].into(), user_agent: Some(AGENT.to_owned()) };
    app.sessions.new_session(user, origin, vigie::model::client::LoginClient::Unnamed, None)
}

/// A user of a new name who has no password.
pub async fn add_user(app: &App, role: &str) -> User {
    let new = NewUser {
        username: Username::parse(&format!("person-{}", uuid::Uuid::now_v7().simple())).expect("a name"),
        role: Role::parse(role).expect("a role"),
        password: None,
        change_at_login: false,
        email: None,
    };
    app.users.create(new, &AuditContext::command_line()).await.expect("a user").user
}
