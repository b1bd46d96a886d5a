//! Queries on `sessions`: one row a login, kept after its end.

mod change;
mod list;
mod old;

use std::collections::HashMap;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use diesel::deserialize;
use diesel::prelude::*;

pub use change::{Closing, SessionUse, end_all, reissue, rename, spend, touch_all};
pub use list::{Position, count, ids_matching, list};
pub use old::{
    count_ended_before, count_whole_addresses, kept_of_user, names_of_user, oldest, redact, remove_ended_before,
    whole_addresses,
};

use super::backend::{Db, MultiBackend, on_backend};
use super::chain;
use super::columns::{At, Id, address, fixed, parsed, proofs};
use super::criteria::AnyOf;
use super::error::StoreError;
use super::schema::{alerts, sessions, users};
use crate::model::address::{key, key_ranges};
use crate::model::client::{ClientId, LoginClient};
use crate::model::device::alike;
use crate::model::id::{SessionId, TokenId, UserId};
use crate::model::not_before::{NotBefore, Scope};
use crate::model::redaction::WithProofs;
use crate::model::session::{Actor, ClientInfo, CurrentToken, Device, End, RefreshTokens, Session, SessionCredential};
use crate::model::user::{Role, UserStatus, Username};

#[derive(Queryable, QueryableByName, Insertable)]
#[diesel(table_name = sessions)]
struct Row {
    id: Id,
    user_id: Id,
    username: String,
    username_folded: String,
    role: String,
    client_id: Option<String>,
    device_name: Option<String>,
    ip: String,
    ip_key: Vec<u8>,
    user_agent: Option<String>,
    browser: Option<String>,
    os: Option<String>,
    device_kind: Option<String>,
    methods: String,
    started_at: At,
    last_seen_at: At,
    last_ip: String,
    expires_at: At,
    idle_expires_at: At,
    token_id: Id,
    token_issued_at: At,
    token_expires_at: At,
    refresh_generation: i32,
    refresh_seed: Vec<u8>,
    refresh_spent_at: Option<At>,
    ended_at: Option<At>,
    end_reason: Option<String>,
    ended_by_kind: Option<String>,
    ended_by_id: Option<String>,
    end_note: Option<String>,
    address_proof: Option<Vec<u8>>,
    person_proof: Option<Vec<u8>>,
    valid_from_generation: i32,
    client_authentication: Option<String>,
    credential: Option<String>,
    name: Option<String>,
}

impl Row {
    fn new(WithProofs { row: session, proofs }: &WithProofs<Session>) -> Self {
        let end = session.end.as_ref();
        Self {
            id: Id(session.id.0),
            user_id: Id(session.user_id.0),
            username: session.username.as_str().to_owned(),
            username_folded: session.username.folded(),
            role: session.role.as_str().to_owned(),
            client_id: session.client.id().map(|id| id.as_str().to_owned()),
            device_name: session.device_name.clone(),
            ip: session.client_info.ip.to_string(),
            ip_key: key(session.client_info.ip).to_vec(),
            user_agent: session.client_info.user_agent.clone(),
            browser: session.device.browser.clone(),
            os: session.device.os.clone(),
            device_kind: session.device.kind.clone(),
            methods: session.methods.join(" "),
            started_at: At(session.started_at),
            last_seen_at: At(session.last_seen_at),
            last_ip: session.last_ip.to_string(),
            expires_at: At(session.expires_at),
            idle_expires_at: At(session.idle_expires_at),
            token_id: Id(session.token.id.0),
            token_issued_at: At(session.token.issued_at),
            token_expires_at: At(session.token.expires_at),
            refresh_generation: i32::try_from(session.refresh.generation).unwrap_or(i32::MAX),
            refresh_seed: session.refresh.seed.to_vec(),
            refresh_spent_at: session.refresh.spent_at.map(At),
            ended_at: end.map(|end| At(end.at)),
            end_reason: end.map(|end| end.reason.as_str().to_owned()),
            ended_by_kind: end.map(|end| end.by.kind.as_str().to_owned()),
            ended_by_id: end.map(|end| end.by.id.clone()),
            end_note: end.and_then(|end| end.note.clone()),
            address_proof: proofs.addresses.to_bytes(),
            person_proof: proofs.person.to_bytes(),
            valid_from_generation: i32::try_from(session.refresh.valid_from).unwrap_or(i32::MAX),
            client_authentication: session.client.authentication().map(str::to_owned),
            credential: session.credential.recorded().map(str::to_owned),
            name: session.name.clone(),
        }
    }

    fn into_kept(self) -> Result<WithProofs<Session>, StoreError> {
        let proofs = proofs(self.address_proof.as_deref(), self.person_proof.as_deref());
        let proofs = proofs.map_err(|error| StoreError::Corrupt(format!("sessions {}: {error}", self.id.0)))?;
        Ok(WithProofs { row: self.into_session()?, proofs })
    }

    fn into_session(self) -> Result<Session, StoreError> {
        let id = self.id.0;
        self.read().map_err(|error| StoreError::Corrupt(format!("sessions {id}: {error}")))
    }

    fn read(self) -> deserialize::Result<Session> {
        let refresh = RefreshTokens {
            generation: u32::try_from(self.refresh_generation)?,
            seed: fixed(self.refresh_seed)?,
            spent_at: self.refresh_spent_at.map(|at| at.0),
            valid_from: u32::try_from(self.valid_from_generation)?,
        };
        Ok(Session {
            id: SessionId(self.id.0),
            user_id: UserId(self.user_id.0),
            username: Username::parse(&self.username)?,
            role: Role::parse(&self.role)?,
            client: LoginClient::of(
                self.client_id.map(|id| ClientId::parse(&id)).transpose()?,
                self.client_authentication.is_some(),
            ),
            device_name: self.device_name,
            name: self.name,
            client_info: ClientInfo { ip: address(&self.ip)?, user_agent: self.user_agent },
            device: Device { browser: self.browser, os: self.os, kind: self.device_kind },
            methods: self.methods.split_whitespace().map(str::to_owned).collect(),
            started_at: self.started_at.0,
            last_seen_at: self.last_seen_at.0,
            last_ip: address(&self.last_ip)?,
            expires_at: self.expires_at.0,
            idle_expires_at: self.idle_expires_at.0,
            credential: match self.credential {
                Some(word) => parsed(&word)?,
                None => SessionCredential::Tokens,
            },
            token: CurrentToken {
                id: TokenId(self.token_id.0),
                issued_at: self.token_issued_at.0,
                expires_at: self.token_expires_at.0,
            },
            refresh,
            end: read_end(self.ended_at, self.end_reason, self.ended_by_kind, self.ended_by_id, self.end_note)?,
        })
    }
}

fn read_end(
    at: Option<At>,
    reason: Option<String>,
    by_kind: Option<String>,
    by_id: Option<String>,
    note: Option<String>,
) -> deserialize::Result<Option<End>> {
    let (Some(at), Some(reason), Some(by_kind)) = (at, reason, by_kind) else { return Ok(None) };
    let by = Actor { kind: parsed(&by_kind)?, id: by_id.unwrap_or_default() };
    Ok(Some(End { at: at.0, reason: parsed(&reason)?, by, note }))
}

/// Adds a session, and the record of its start to those that wait to be sealed.
pub fn insert(db: &mut Db, session: &Session) -> Result<(), StoreError> {
    let kept = WithProofs::new(session.clone());
    diesel::insert_into(sessions::table).values(Row::new(&kept)).execute(db)?;
    chain::enqueue(db, &kept.start())
}

/// The session with this id, ended or not.
pub fn find(db: &mut Db, id: SessionId) -> Result<Option<Session>, StoreError> {
    sessions::table.find(Id(id.0)).first::<Row>(db).optional()?.map(Row::into_session).transpose()
}

/// The users whose sessions these are, by the ids of the sessions.
pub fn owners(db: &mut Db, ids: impl Iterator<Item = SessionId>) -> Result<HashMap<SessionId, UserId>, StoreError> {
    let ids: Vec<Id> = ids.map(|id| Id(id.0)).collect();
    let owned = sessions::table.filter(sessions::id.eq_any(ids)).select((sessions::id, sessions::user_id));
    let rows: Vec<(Id, Id)> = on_backend!(db, |connection| owned.load(connection))?;
    Ok(rows.into_iter().map(|(id, user_id)| (SessionId(id.0), UserId(user_id.0))).collect())
}

/// What the check needs of a session and its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionStatus {
    /// The user who logged in.
    pub user_id: UserId,
    /// The client that authenticated at the login, if one did.
    pub client_id: Option<ClientId>,
    /// When the user logged in.
    pub started_at: DateTime<Utc>,
    /// When it was last used, as far as the store knows.
    pub last_seen_at: DateTime<Utc>,
    /// The client's address at the last use.
    pub last_ip: IpAddr,
    /// When it ends in any case.
    pub expires_at: DateTime<Utc>,
    /// When it ends unless it is used before, as far as the store knows.
    pub idle_expires_at: DateTime<Utc>,
    /// Why it ended, if it did.
    pub ended: Option<crate::model::session::EndReason>,
    /// Access tokens of an earlier generation are void.
    pub valid_from: u32,
    /// The user now; `None` if deleted.
    pub user: Option<UserStatus>,
}

/// What the check needs of the session with this id.
pub fn status(db: &mut Db, id: SessionId) -> Result<Option<SessionStatus>, StoreError> {
    type OfUser = (Option<String>, Option<String>, Option<String>, Option<At>);
    type Columns = (Id, Option<String>, At, At, String, At, At, Option<String>, i32, OfUser);
    let found: Option<Columns> = sessions::table
        .left_join(users::table.on(users::id.eq(sessions::user_id)))
        .filter(sessions::id.eq(Id(id.0)))
        .select((
            sessions::user_id,
            sessions::client_id,
            sessions::started_at,
            sessions::last_seen_at,
            sessions::last_ip,
            sessions::expires_at,
            sessions::idle_expires_at,
            sessions::end_reason,
            sessions::valid_from_generation,
            (
                users::username.nullable(),
                users::role.nullable(),
                users::state.nullable(),
                users::must_change_password_since.nullable(),
            ),
        ))
        .first(db)
        .optional()?;
    let Some((user_id, client_id, started, seen, last_ip, expires, idle, ended, valid_from, of_user)) = found else {
        return Ok(None);
    };
    let read = || -> deserialize::Result<SessionStatus> {
        let user = match of_user {
            (Some(username), Some(role), Some(state), must_change_since) => Some(UserStatus {
                username: Username::parse(&username)?,
                role: Role::parse(&role)?,
                state: parsed(&state)?,
                must_change_password: must_change_since.is_some(),
            }),
            _ => None,
        };
        Ok(SessionStatus {
            user_id: UserId(user_id.0),
            client_id: client_id.map(|id| ClientId::parse(&id)).transpose()?,
            started_at: started.0,
            last_seen_at: seen.0,
            last_ip: address(&last_ip)?,
            expires_at: expires.0,
            idle_expires_at: idle.0,
            ended: ended.map(|reason| parsed(&reason)).transpose()?,
            valid_from: u32::try_from(valid_from)?,
            user,
        })
    };
    read().map(Some).map_err(|error| StoreError::Corrupt(format!("sessions {id}: {error}")))
}

/// A session of which only the limits matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Names the session.
    pub id: SessionId,
    /// When it ends in any case.
    pub expires_at: DateTime<Utc>,
    /// When it ends unless it is used before.
    pub idle_expires_at: DateTime<Utc>,
}

/// Sessions whose time has come at `now` and whose end is not recorded yet, at most `limit`.
pub fn expired(db: &mut Db, now: DateTime<Utc>, limit: i64) -> Result<Vec<Limits>, StoreError> {
    let rows: Vec<(Id, At, At)> = sessions::table
        .filter(sessions::ended_at.is_null())
        .filter(sessions::idle_expires_at.le(At(now)))
        .select((sessions::id, sessions::expires_at, sessions::idle_expires_at))
        .order(sessions::idle_expires_at.asc())
        .limit(limit)
        .load(db)?;
    Ok(rows.into_iter().map(limits).collect())
}

/// The user's sessions that have no recorded end, oldest first.
pub fn open_of_user(db: &mut Db, user_id: UserId) -> Result<Vec<Limits>, StoreError> {
    let rows: Vec<(Id, At, At)> = sessions::table
        .filter(sessions::user_id.eq(Id(user_id.0)))
        .filter(sessions::ended_at.is_null())
        .select((sessions::id, sessions::expires_at, sessions::idle_expires_at))
        .order((sessions::started_at.asc(), sessions::id.asc()))
        .load(db)?;
    Ok(rows.into_iter().map(limits).collect())
}

fn limits((id, expires_at, idle_expires_at): (Id, At, At)) -> Limits {
    Limits { id: SessionId(id.0), expires_at: expires_at.0, idle_expires_at: idle_expires_at.0 }
}

/// When and from where the user logged in last.
pub fn latest_of_user(db: &mut Db, user_id: UserId) -> Result<Option<(DateTime<Utc>, IpAddr)>, StoreError> {
    let latest: Option<(At, String)> = sessions::table
        .filter(sessions::user_id.eq(Id(user_id.0)))
        .select((sessions::started_at, sessions::ip))
        .order((sessions::started_at.desc(), sessions::id.desc()))
        .first(db)
        .optional()?;
    let read = |(at, ip): (At, String)| Ok((at.0, address(&ip)?));
    latest
        .map(read)
        .transpose()
        .map_err(|error: Box<dyn std::error::Error + Send + Sync>| StoreError::Corrupt(error.to_string()))
}

/// Sessions of this user that began since `since`, without those that the user has reported: what a stranger did makes
/// nothing known.
#[diesel::dsl::auto_type]
fn own_since(user_id: Id, since: At) -> _ {
    let reported =
        alerts::table.filter(alerts::session_id.eq(sessions::id.nullable())).filter(alerts::disowned_at.is_not_null());
    sessions::table
        .filter(sessions::user_id.eq(user_id))
        .filter(sessions::started_at.ge(since))
        .filter(diesel::dsl::not(diesel::dsl::exists(reported)))
}

/// Whether the user has logged in with this browser on this system since `since`.
pub fn is_known_device(
    db: &mut Db,
    user_id: UserId,
    device: &Device,
    since: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let mut query =
        own_since(Id(user_id.0), At(since)).select(sessions::id).into_boxed::<super::backend::MultiBackend>();
    query = match &device.browser {
        Some(browser) => query.filter(sessions::browser.eq(Some(browser.clone()))),
        None => query.filter(sessions::browser.is_null()),
    };
    query = match &device.os {
        Some(os) => {
            let [one, other] = alike(os).map(|os| Some(os.to_owned()));
            query.filter(sessions::os.eq(one).or(sessions::os.eq(other)))
        }
        None => query.filter(sessions::os.is_null()),
    };
    let found: Option<Id> = query.limit(1).first(db).optional()?;
    Ok(found.is_some())
}

/// Whether the user has logged in from this network since `since`.
pub fn is_known_network(
    db: &mut Db,
    user_id: UserId,
    network: ipnet::IpNet,
    since: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let ranges = key_ranges(network).into_iter();
    let within = ranges.map(|(first, last)| sessions::ip_key.between(first.to_vec(), last.to_vec()));
    let found: Option<Id> = own_since(Id(user_id.0), At(since))
        .filter(AnyOf(within.collect()))
        .select(sessions::id)
        .limit(1)
        .first(db)
        .optional()?;
    Ok(found.is_some())
}

/// Sessions that this not-before covers and whose end is not recorded yet, at most `limit`.
pub fn open_before(db: &mut Db, not_before: &NotBefore, limit: i64) -> Result<Vec<SessionId>, StoreError> {
    let earlier = open_in(&not_before.scope).filter(sessions::started_at.lt(At(not_before.at)));
    let ids: Vec<Id> = earlier.select(sessions::id).limit(limit).load(db)?;
    Ok(ids.into_iter().map(|id| SessionId(id.0)).collect())
}

/// Sessions in this scope that started at this moment or later, and whose end is not recorded yet, at most `limit`.
pub fn open_since(db: &mut Db, scope: &Scope, at: DateTime<Utc>, limit: i64) -> Result<Vec<SessionId>, StoreError> {
    let later = open_in(scope).filter(sessions::started_at.ge(At(at)));
    let ids: Vec<Id> = later.select(sessions::id).limit(limit).load(db)?;
    Ok(ids.into_iter().map(|id| SessionId(id.0)).collect())
}

/// Whether there is a session that was started through this client. Looks at all of them where there is none.
pub fn any_through(db: &mut Db, id: &ClientId) -> Result<bool, StoreError> {
    let one = sessions::table.filter(sessions::client_id.eq(Some(id.as_str().to_owned()))).select(sessions::id);
    let one: Option<Id> = one.first(db).optional()?;
    Ok(one.is_some())
}

/// Sessions in this scope whose end is not recorded yet.
fn open_in(scope: &Scope) -> sessions::BoxedQuery<'static, MultiBackend> {
    let open = sessions::table.filter(sessions::ended_at.is_null()).into_boxed();
    match scope {
        Scope::User(id) => open.filter(sessions::user_id.eq(Id(id.0))),
        Scope::Client(id) => open.filter(sessions::client_id.eq(Some(id.as_str().to_owned()))),
        Scope::Everybody => open,
    }
}
