//! What can happen. This table is the one source of `docs/audit-events.md` (LOG-10), of the details that events are made with,
//! and of what an erasure looks for in them.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::super::client::{Audiences, ClientId, LoginClient, Scope};
use super::super::details;
use super::super::id::{BulkEndId, TokenId};
use super::super::session::{EndReason, SessionCredential};
use super::super::user::Role;
use super::values::{HistoryPart, Removed, RotationStep};
use super::{Outcome, Reason, SubjectKind};

/// What the events of a kind have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindFacts {
    /// Whether it was done.
    pub outcome: Outcome,
    /// What such events are about.
    pub subjects: &'static [SubjectKind],
    /// Why it was not done: one of these.
    pub reasons: &'static [Reason],
}

/// Defines the kinds and the details of events, and what the events of a kind have in common: an outcome, subjects and reasons.
macro_rules! kinds {
    ($($(#[doc = $meaning:literal])+
       $variant:ident = $word:literal: $outcome:ident about [$($subject:ident),+] for [$($reason:ident),*]
       $members:tt)+) => {
        details::kinds! {
            /// What happened. The words are stable: reviewers filter on them.
            pub enum AuditKind;
            /// What happened, with all that there is to say of it.
            pub enum Details;
            $($(#[doc = $meaning])+ $variant = $word $members)+
        }

        impl AuditKind {
            /// What events of this kind have in common.
            #[must_use]
            pub const fn facts(self) -> KindFacts {
                match self {
                    $(Self::$variant => KindFacts {
                        outcome: Outcome::$outcome,
                        subjects: &[$(SubjectKind::$subject),+],
                        reasons: &[$(Reason::$reason),*],
                    },)+
                }
            }
        }
    };
}

kinds! {
    /// A login started a session.
    SessionStarted = "session.started": Success about [User] for [] {
        /// `jti` of the first access token; missing where a cookie continues the session
        token: Option<TokenId> [optional],
        /// the application that was named
        client_id: Option<ClientId>,
        /// `true` where that application authenticated: the session is its own
        client_authenticated: Option<bool> [optional],
        /// how the user proved the identity (RFC 8176)
        methods: Vec<String>,
        /// `cookie` where the login was on Vigie's own login page
        credential: Option<SessionCredential> [optional],
        /// whether it is the user's first login, or one with a browser and system not seen for long
        new_device: bool,
    }
    /// A refresh token was spent for a new pair of tokens.
    SessionRefreshed = "session.refreshed": Success about [Session] for [] {
        /// `jti` of the new access token; missing where a cookie continues the session
        token: Option<TokenId> [optional],
        /// how often the session was refreshed
        generation: u32,
        /// `true` for a retry within the grace
        again: Option<bool> [optional],
        /// `true` where all tokens of the session from before are void
        replaced: Option<bool> [optional],
    }
    /// A session ended.
    SessionEnded = "session.ended": Success about [Session] for [] {
        /// why it ended, of the list of ends
        reason: EndReason,
        /// what the administrator noted
        note: Option<String> [optional text],
    }
    /// A user gave a session of their own a name, or another one.
    SessionNamed = "session.named": Success about [Session] for [] {
        /// the name since then; `null` for none
        name: Option<String> [text],
    }
    /// An end of all sessions that match a filter began: recorded with the first of them. One that nothing with the same
    /// `end` follows was broken off, by a crash or a store that was lost.
    SessionsEndBegun = "sessions.end_begun": Success about [Everybody] for [] {
        /// names this end
        end: BulkEndId,
        /// the filter as it was asked for
        filter: Value [filter],
        /// active sessions that matched
        matched: i64,
        /// what the administrator noted
        note: Option<String> [text],
    }
    /// Sessions were ended by a filter, or those of a user. Each has an event of its own as well.
    SessionsEnded = "sessions.ended": Success about [User, Everybody] for [] {
        /// names the end by a filter, as `sessions.end_begun` did when it began
        end: Option<BulkEndId> [optional],
        /// the filter as it was asked for
        filter: Option<Value> [optional filter],
        /// active sessions that matched
        matched: Option<i64> [optional],
        /// how many of them this ended
        ended: i64,
        /// `false` where an end by a filter was broken off; then at least so many ended
        complete: Option<bool> [optional],
        /// why those of a user ended
        reason: Option<EndReason> [optional],
        /// what the administrator noted
        note: Option<String> [text],
    }
    /// A try to log in failed. Each is an attempt as well, with its true reason.
    LoginFailed = "login.failed": Failure about [User, Unknown]
        for [UnknownUser, WrongPassword, Disabled, Throttled, NoPassword, UnknownClient] {
        /// the user's name; masked where nobody has it
        username: Option<String> [optional person],
        /// the application that was named
        client_id: Option<ClientId>,
        /// `true` where that application authenticated
        client_authenticated: Option<bool> [optional],
    }
    /// An access token or a session cookie was refused.
    TokenRefused = "token.refused": Failure about [Session, Unknown]
        for [TooLarge, Malformed, DuplicateMember, HeaderRefused, Algorithm, Type, KeyUnknown, KeyRevoked, Signature,
             ClaimMissing, ClaimType, Issuer, Audience, NotYetValid, Expired, Replaced, Subject, SessionEnded, TokenInAddress,
             TwoCredentials] {
        /// what was asked for
        route: String,
        /// `jti` of the token, where its signature is good; missing where it is a cookie
        token: Option<TokenId> [optional],
        /// why its session ended
        end_reason: Option<EndReason> [optional],
    }
    /// A token with a good signature, or a cookie of ours, named a session that was never there: somebody else signs with our
    /// key, or the database lost rows.
    SessionUnknown = "session.unknown": Failure about [Session, Unknown] for [SessionUnknown] {
        /// what was asked for
        route: String,
        /// `jti` of the token; missing where it is a cookie
        token: Option<TokenId> [optional],
    }
    /// A form was refused that does not come from one of Vigie's own pages, or from a page of another session.
    FormRefused = "form.refused": Failure about [Session, Unknown] for [OtherOrigin, FormToken] {
        /// what was asked for
        route: String,
    }
    /// A request came to the gate with cookies of different sessions: a host of the same domain has set one of them.
    GateCookiesDiffer = "gate.cookies_differ": Failure about [Unknown] for [CookiesDiffer] {
        /// what was asked for
        route: String,
    }
    /// A refresh token was refused.
    RefreshRefused = "refresh.refused": Failure about [Session, Unknown]
        for [Malformed, TokenUnknown, RefreshReused, Replaced, SessionEnded, PasswordChangeRequired, OtherClient] {
        /// why its session ended
        end_reason: Option<EndReason> [optional],
    }
    /// A client was not believed: unknown, with a wrong secret, or with an assertion that does not prove it.
    ClientRefused = "client.refused": Failure about [Client, Unknown]
        for [UnknownClient, WrongSecret, AssertionRefused, AssertionReused] {
        /// what was asked for
        route: String,
    }
    /// A caller who is known asked for what the caller may not do, or not without a new login.
    AccessRefused = "access.refused": Failure about [User, Client, Unknown]
        for [NotAllowed, ReauthenticationRequired, PasswordChangeRequired] {
        /// what was asked for
        route: String,
    }
    /// An operation was refused that the caller may ask for.
    OperationRefused = "operation.refused": Failure about [User, Session, Client, Key, Throttle, Alert, Everybody, Unknown]
        for [NotFound, NotOwn, NameTaken, IdTaken, LastAdministrator, UnacceptablePassword, InTheFuture, RefusedLines,
             SessionEnded, NotAllowed] {
        /// the kind of the event that did not happen
        operation: AuditKind,
        /// how many lines were refused
        lines: Option<usize> [optional],
    }
    /// A user was created.
    UserCreated = "user.created": Success about [User] for [] {
        /// the name
        username: String [person],
        /// the role
        role: Role,
    }
    /// A user was imported.
    UserImported = "user.imported": Success about [User] for [] {
        /// the name
        username: String [person],
        /// the role
        role: Role,
    }
    /// A user got another name.
    UserRenamed = "user.renamed": Success about [User] for [] {
        /// the name before
        from: String [person],
        /// the name since
        to: String [person],
    }
    /// A user got another role.
    UserRoleChanged = "user.role_changed": Success about [User] for [] {
        /// the role before
        from: Role,
        /// the role since
        to: Role,
    }
    /// A user may log in again.
    UserEnabled = "user.enabled": Success about [User] for [] {}
    /// A user may no longer log in.
    UserDisabled = "user.disabled": Success about [User] for [] {}
    /// A user was deleted.
    UserDeleted = "user.deleted": Success about [User] for [] {
        /// the name
        username: String [person],
        /// the role
        role: Role,
    }
    /// The throttling of a user was lifted.
    UserUnlocked = "user.unlocked": Success about [User] for [] {
        /// whether there was anything to lift
        was_throttled: bool,
    }
    /// A user's logins are closed after too many failures in a row.
    UserLocked = "user.locked": Success about [User] for [] {}
    /// A user set another password.
    PasswordChanged = "password.changed": Success about [User] for [] {
        /// how many other sessions ended
        sessions_ended: i64,
    }
    /// A user was refused another password.
    PasswordChangeRefused = "password.change_refused": Failure about [User, Unknown]
        for [WrongPassword, Disabled, Throttled, NoPassword, UnknownUser, UnacceptablePassword, SessionEnded, NotAllowed] {}
    /// A token for setting a new password was issued.
    PasswordResetIssued = "password.reset_issued": Success about [User] for [] {
        /// until when it is good
        expires_at: DateTime<Utc>,
        /// whether the password logs in no more since
        password_voided: bool,
    }
    /// A password was set with such a token.
    PasswordReset = "password.reset": Success about [User] for [] {
        /// how many sessions ended
        sessions_ended: i64,
    }
    /// Such a token, or the password with it, was refused.
    PasswordResetRefused = "password.reset_refused": Failure about [User, Unknown]
        for [Malformed, TokenUnknown, Expired, UnacceptablePassword] {}
    /// A stored password was hashed anew, at today's cost.
    PasswordUpgraded = "password.upgraded": Success about [User] for [] {
        /// the kind and cost of the new hash
        to: String,
    }
    /// The one-time token for the first administrator was issued.
    SetupIssued = "setup.issued": Success about [Everybody] for [] {
        /// until when it is good
        expires_at: DateTime<Utc>,
    }
    /// The first administrator was created.
    SetupCompleted = "setup.completed": Success about [User] for [] {}
    /// The token for the first administrator, or the name or password with it, was refused.
    SetupRefused = "setup.refused": Failure about [Everybody, Unknown]
        for [Malformed, TokenUnknown, Expired, AlreadySetUp, NameTaken, UnacceptablePassword] {}
    /// A client was registered.
    ClientCreated = "client.created": Success about [Client] for [] {
        /// what people call it
        name: String,
        /// what it may ask for
        scopes: Vec<Scope>,
        /// whose tokens it may ask about, where that is not the audience of the configuration
        audiences: Option<Audiences> [optional],
        /// how many public keys it has
        keys: Option<usize> [optional],
    }
    /// A client was removed.
    ClientRemoved = "client.removed": Success about [Client] for [] {
        /// how many sessions ended
        sessions_ended: i64,
    }
    /// A client got a new secret.
    ClientSecretRotated = "client.secret_rotated": Success about [Client] for [] {
        /// until when the secret before counts as well
        previous_until: Option<DateTime<Utc>> [optional],
    }
    /// A signing key was made.
    KeyCreated = "key.created": Success about [Key] for [] {
        /// what it signs with
        algorithm: String,
    }
    /// A signing key was replaced by a newer one.
    KeyRotated = "key.rotated": Success about [Key] for [] {}
    /// A signing key was revoked: its tokens are refused.
    KeyRevoked = "key.revoked": Success about [Key] for [] {}
    /// The master key was rotated.
    MasterKeyRotated = "key.master_rotated": Success about [Everybody] for [] {
        /// `begun`: both master keys open the database; `finished`: only the new one does; `compromised`: every key is to be
        /// replaced
        step: RotationStep,
        /// the id of the old master key
        from: String,
        /// the id of the new one
        to: String,
    }
    /// A not-before was set.
    NotBeforeSet = "not_before.set": Success about [User, Client, Everybody] for [] {
        /// what was issued before is refused
        at: DateTime<Utc>,
        /// what the administrator noted
        note: Option<String> [text],
    }
    /// The database turned out to be an older copy of itself: every session is refused.
    DatabaseWentBack = "database.went_back": Failure about [Everybody] for [OlderCopy] {
        /// the number that changes, or this node's leases, had reached
        remembered: i64,
        /// the number that was found
        found: i64,
    }
    /// The server started on another database than the one that its data directory remembers.
    DatabaseUnexpected = "database.unexpected": Failure about [Everybody] for [OtherDatabase] {
        /// the name of that one
        remembered: String,
        /// the name of this one
        found: String,
    }
    /// The server verified the whole history, and it is what it was.
    RecordVerified = "record.verified": Success about [Everybody] for [] {
        /// how many sealed records there are
        records: u64,
        /// how many checkpoints they agree with
        checkpoints: usize,
    }
    /// The history is not what it was: the server found so when it verified all of it, or when it was to sign it.
    RecordDamaged = "record.damaged": Failure about [Everybody] for [Altered] {
        /// the first bad record, and what is wrong with it
        damage: String,
    }
    /// From here on records are linked by a key that is not in the database; those before were verified once more.
    RecordKeyed = "record.keyed": Success about [Everybody] for [] {
        /// how many records were there before
        position: i64,
        /// what is wrong with them; null where nothing is
        damage: Option<String>,
    }
    /// What is older than the history is kept was removed, and old addresses were cut.
    RetentionRan = "retention.ran": Success about [Everybody] for [] {
        /// `before`: those that ended before; `rows`: how many
        sessions: Removed<DateTime<Utc>>,
        /// the same
        attempts: Removed<DateTime<Utc>>,
        /// the same of these events
        audit: Removed<DateTime<Utc>>,
        /// the same of rows whose addresses were cut to /24 or /48
        addresses: Removed<DateTime<Utc>>,
        /// the same of sealed records, by their place in the chain
        records: Removed<i64>,
        /// shows that the server itself recorded this ([record-chain.md](record-chain.md))
        mac: Option<String> [optional],
    }
    /// A person was erased: the account, and what names the person in the history.
    UserErased = "user.erased": Success about [User] for [] {
        /// numbers of the events whose details were removed
        events: Option<Vec<i64>> [optional],
        /// shows that the server itself recorded this ([record-chain.md](record-chain.md))
        mac: Option<String> [optional],
    }
    /// Somebody exported their own history.
    OwnHistoryExported = "history.own_exported": Success about [User] for [] {}
    /// Somebody read other people's history.
    HistoryRead = "history.read": Success about [Session, Alert, Everybody] for [] {
        /// `sessions`, `attempts`, `audit`, `alerts`, or `session` or `alert` for one in detail
        what: HistoryPart,
        /// the filter as it was asked for
        filter: Option<Value> [optional filter],
        /// how many rows were shown, or counted by a dry run
        count: Option<usize> [optional],
        /// `true` where an end by a filter only counted
        dry_run: Option<bool> [optional],
    }
    /// Somebody exported other people's history.
    HistoryExported = "history.exported": Success about [Everybody] for [] {
        /// `sessions`, `attempts` or `audit`
        what: HistoryPart,
        /// the filter as it was asked for
        filter: Value [filter],
        /// how it is written
        format: String,
        /// how many rows matched
        count: i64,
        /// what it is for, as whoever asked for it says
        purpose: Option<String> [optional],
    }
    /// Somebody looked up a session by a token.
    TokenLookedUp = "token.looked_up": Success about [Session] for [] {}
    /// An administrator lifted a throttle.
    ThrottleLifted = "throttle.lifted": Success about [User, Throttle] for [] {
        /// its id
        throttle: String,
        /// what failures were counted for
        scope: String,
        /// the name that was tried, masked, where nobody has it
        name: Option<String>,
        /// the address or network that was counted
        network: Option<String> [network],
        /// how many there were
        failures: i32,
    }
    /// A reviewer acknowledged an alert.
    AlertAcknowledged = "alert.acknowledged": Success about [Alert] for [] {
        /// the kind of the alert
        kind: String,
        /// what the reviewer noted
        note: Option<String> [text],
    }
    /// A user said that a login was not theirs.
    UnrecognisedLoginReported = "session.disowned": Success about [User] for [] {
        /// how many other sessions ended
        other_sessions_ended: i64,
    }
    /// The token of the link for that was refused.
    UnrecognisedLoginReportRefused = "session.disown_refused": Failure about [User, Unknown] for [Malformed, TokenUnknown, Expired] {}
    /// A password no longer logs in; a one-time token sets another.
    PasswordVoided = "password.voided": Success about [User] for [] {}
    /// A user got another e-mail address, or none.
    UserEmailChanged = "user.email_changed": Success about [User] for [] {
        /// whether there is one now
        has_email: bool,
    }
}

impl AuditKind {
    /// Whether such events are counted by cause and site, so that a flood of them is a few events (`refusals`).
    #[must_use]
    pub const fn is_aggregated(self) -> bool {
        matches!(self.facts().outcome, Outcome::Failure)
            && !matches!(self, Self::DatabaseWentBack | Self::DatabaseUnexpected | Self::RecordDamaged)
    }
}

impl Details {
    /// That a login failed, of somebody and through an application.
    #[must_use]
    pub fn login_failed(username: Option<String>, client: &LoginClient) -> Self {
        let client_authenticated = client.authenticated().map(|_| true);
        Self::LoginFailed { username, client_id: client.id().cloned(), client_authenticated }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::details::{Member, Names};

    #[test]
    fn a_failure_has_reasons_and_a_success_has_none() {
        for kind in AuditKind::ALL {
            let facts = kind.facts();
            assert_eq!(facts.outcome == Outcome::Failure, !facts.reasons.is_empty(), "{kind}");
            assert!(kind.meaning().ends_with('.'), "{kind}: {}", kind.meaning());
            assert!(
                !kind.is_aggregated() || facts.subjects.contains(&SubjectKind::Unknown),
                "{kind}: many are about nothing in particular"
            );
        }
    }

    #[test]
    fn details_are_read_as_they_were_written() {
        let noted = |note: Option<&str>| Details::SessionsEnded {
            end: None,
            filter: None,
            matched: None,
            ended: 3,
            complete: None,
            reason: Some(EndReason::Logout),
            note: note.map(str::to_owned),
        };
        let (bare, named) = (noted(None), noted(Some("a telephone")));
        assert_eq!(bare.clone().into_value(), json!({ "ended": 3, "note": null, "reason": "logout" }));
        assert_eq!(named.clone().into_value(), json!({ "ended": 3, "note": "a telephone", "reason": "logout" }));
        for details in [bare, named, Details::KeyRotated {}] {
            assert_eq!(Details::read(details.kind(), &details.clone().into_value()).unwrap(), details);
        }
    }

    #[test]
    fn details_of_another_version_are_read_as_far_as_they_are_known() {
        let read = |details| Details::read(AuditKind::UserDisabled, &details).map(Details::into_value);
        assert_eq!(read(json!({ "since": 1 })).unwrap(), json!({}));
        assert_eq!(read(json!([])).unwrap_err().to_string(), "details that are no object");
        let read = |details| Details::read(AuditKind::ClientRemoved, &details).unwrap_err().to_string();
        assert_eq!(read(json!({})), "no member sessions_ended");
        assert!(read(json!({ "sessions_ended": "3" })).starts_with("member sessions_ended: invalid type"));
    }

    #[test]
    fn what_may_name_a_person_is_said_of_each_member() {
        let marked = |kind: AuditKind| kind.members().iter().map(|member| member.names).collect::<Vec<_>>();
        assert_eq!(marked(AuditKind::UserRenamed), [Names::Person, Names::Person]);
        assert_eq!(marked(AuditKind::SessionsEndBegun), [Names::Nobody, Names::Filter, Names::Nobody, Names::Text]);
        for kind in AuditKind::ALL {
            for Member { name, names, .. } in kind.members() {
                let expected = match *name {
                    "username" => Names::Person,
                    "note" => Names::Text,
                    "filter" => Names::Filter,
                    _ => continue,
                };
                assert_eq!(*names, expected, "{name} of {kind}");
            }
        }
    }

    #[test]
    fn every_reason_is_some_kinds() {
        for reason in Reason::ALL {
            assert!(AuditKind::ALL.iter().any(|kind| kind.facts().reasons.contains(reason)), "{reason}");
        }
    }
}
