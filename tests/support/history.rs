//! A connection history put there through the store's own functions, for what would take weeks of logging in.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use vigie::client::registration::NewClient;
use vigie::model::attempt::{Attempt, AttemptOutcome};
use vigie::model::client::{ClientId, LoginClient, Scope};
use vigie::model::id::{AttemptId, SessionId, TokenId};
use vigie::model::secret::{Secret, SecretKind};
use vigie::model::session::{Actor, ClientInfo, End, EndReason, Session};
use vigie::model::user::User;
use vigie::store::{StoreError, access_tokens, attempts, sessions};

use super::app::{TestApp, TestClient};
use vigie::model::audit::AuditContext;

/// An address of a network for documentation.
pub const ELSEWHERE: &str = "198.51.100.7";

impl TestApp {
    /// A session of this user that started `ago`, lives on, and is called `label`; not yet in the store.
    pub fn session(&self, user: &User, label: &str, ago: TimeDelta) -> Session {
        let origin = ClientInfo { ip: ELSEWHERE.parse().expect("an address"), user_agent: None };
        let session = self.app.sessions.new_session(user, origin, LoginClient::Unnamed, Some(label.to_owned()));
        let at = self.now() - ago;
        Session { id: SessionId::new(at), started_at: at, last_seen_at: at, ..session }
    }

    /// Adds sessions, each with its access token.
    pub async fn add_sessions(&self, added: Vec<Session>) {
        let work = move |db: &mut _| {
            for session in &added {
                sessions::insert(db, session)?;
                access_tokens::insert(db, session.id, &session.token)?;
            }
            Ok::<_, StoreError>(())
        };
        self.app.store.write(work).await.expect("the sessions are added");
    }

    /// Adds attempts.
    pub async fn add_attempts(&self, added: Vec<Attempt>) {
        let work = move |db: &mut _| added.iter().try_for_each(|attempt| attempts::insert(db, attempt));
        self.app.store.write(work).await.expect("the attempts are added");
    }

    /// Registers a client that may ask for everything; returns its secret as it is sent.
    pub async fn registered_client(&self, id: &str) -> String {
        let id = ClientId::parse(id).expect("a client id");
        let name = "A client".to_owned();
        let new = NewClient { id, name, scopes: Scope::ALL.to_vec(), audiences: None, keys: None };
        let registered = self.app.clients.register(new, &AuditContext::command_line()).await;
        let (_, secret): (_, Secret) = registered.expect("the client is registered");
        secret.reveal(SecretKind::ClientSecret)
    }
}

/// An attempt under a name that nobody has, at a moment.
pub fn attempt(name: &str, at: DateTime<Utc>) -> Attempt {
    Attempt {
        id: AttemptId::new(at),
        at,
        username: name.to_owned(),
        user_id: None,
        outcome: AttemptOutcome::UnknownUser,
        ip: ELSEWHERE.parse().expect("an address"),
        user_agent: None,
        client: LoginClient::Unnamed,
        session_id: None,
        request_id: "a-request".to_owned(),
    }
}

/// An end at a moment, for this reason, by this party.
pub fn ended(at: DateTime<Utc>, reason: EndReason, by: &Actor, note: Option<&str>) -> End {
    End { at, reason, by: by.clone(), note: note.map(str::to_owned) }
}

/// A token's id from an object such as `{"token": {"jti"}}`.
pub fn token_id(session: &Value) -> TokenId {
    session["token"]["jti"].as_str().expect("a jti").parse().expect("an id")
}

/// What the rows of a list are called, in their order: the device's name, or the user's where it has none.
pub fn labels(list: &Value) -> Vec<String> {
    let label = |row: &Value| row["device_name"].as_str().or(row["user"]["username"].as_str()).map(str::to_owned);
    list["items"].as_array().expect("rows").iter().map(|row| label(row).expect("a name")).collect()
}

/// The same without an order.
pub fn label_set(list: &Value) -> BTreeSet<String> {
    labels(list).into_iter().collect()
}

/// All rows of a list, page by page.
pub async fn every_page(reader: &TestClient<'_>, path: &str, limit: usize) -> Vec<Value> {
    let join = if path.contains('?') { '&' } else { '?' };
    let mut rows = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = reader.get(&format!("{path}{join}limit={limit}{cursor}")).await.expect(200);
        let items = page["items"].as_array().expect("rows");
        assert!(items.len() <= limit);
        rows.extend(items.iter().cloned());
        match page["next_cursor"].as_str() {
            None => return rows,
            Some(next) => cursor = format!("&cursor={next}"),
        }
        assert_eq!(items.len(), limit, "only the last page is not full");
    }
}
