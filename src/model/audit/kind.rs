//! What can happen. This table is the one source of `docs/audit-events.md` (LOG-10): whatever is recorded keeps to it.

use super::super::words::words;
use super::{Outcome, Reason, SubjectKind};

/// What the events of a kind have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindFacts {
    /// What happened, in a sentence.
    pub meaning: &'static str,
    /// Whether it was done.
    pub outcome: Outcome,
    /// What such events are about.
    pub subjects: &'static [SubjectKind],
    /// Why it was not done: one of these.
    pub reasons: &'static [Reason],
    /// The members of `details`, and what each says. Not every event has each.
    pub details: &'static [(&'static str, &'static str)],
}

/// Defines the kinds: each has a meaning, a word, an outcome, subjects, reasons and members of its details.
macro_rules! kinds {
    ($($(#[doc = $meaning:literal])+
       $variant:ident = $word:literal: $outcome:ident about [$($subject:ident),+] for [$($reason:ident),*]
       { $($member:literal: $says:literal),* })+) => {
        words! {
            /// What happened. The words are stable: reviewers filter on them.
            pub enum AuditKind { $($(#[doc = $meaning])+ $variant = $word,)+ }
        }

        impl AuditKind {
            /// What events of this kind have in common.
            #[must_use]
            pub const fn facts(self) -> KindFacts {
                match self {
                    $(Self::$variant => KindFacts {
                        meaning: concat!($($meaning),+).trim_ascii(),
                        outcome: Outcome::$outcome,
                        subjects: &[$(SubjectKind::$subject),+],
                        reasons: &[$(Reason::$reason),*],
                        details: &[$(($member, $says)),*],
                    },)+
                }
            }
        }
    };
}

kinds! {
    /// A login started a session.
    SessionStarted = "session.started": Success about [User] for [] {
        "token": "`jti` of the first access token",
        "client_id": "the application that was named",
        "methods": "how the user proved the identity (RFC 8176)"
    }
    /// A refresh token was spent for a new pair of tokens.
    SessionRefreshed = "session.refreshed": Success about [Session] for [] {
        "token": "`jti` of the new access token",
        "generation": "how often the session was refreshed",
        "again": "`true` for a retry within the grace",
        "replaced": "`true` where all tokens of the session from before are void"
    }
    /// A session ended.
    SessionEnded = "session.ended": Success about [Session] for [] {
        "reason": "why it ended, of the list of ends", "note": "what the administrator noted"
    }
    /// An end of all sessions that match a filter began: recorded with the first of them. One that nothing with the same
    /// `end` follows was broken off, by a crash or a store that was lost.
    SessionsEndBegun = "sessions.end_begun": Success about [Everybody] for [] {
        "end": "names this end",
        "filter": "the filter as it was asked for",
        "matched": "active sessions that matched",
        "note": "what the administrator noted"
    }
    /// Sessions were ended by a filter, or those of a user. Each has an event of its own as well.
    SessionsEnded = "sessions.ended": Success about [User, Everybody] for [] {
        "end": "names the end by a filter, as `sessions.end_begun` did when it began",
        "filter": "the filter as it was asked for",
        "matched": "active sessions that matched",
        "ended": "how many of them this ended",
        "complete": "`false` where an end by a filter was broken off; then at least so many ended",
        "reason": "why those of a user ended",
        "note": "what the administrator noted"
    }
    /// A try to log in failed. Each is an attempt as well, with its true reason.
    LoginFailed = "login.failed": Failure about [User, Unknown]
        for [UnknownUser, WrongPassword, Disabled, Throttled, NoPassword, UnknownClient] {
        "username": "the user's name; masked where nobody has it", "client_id": "the application that was named"
    }
    /// An access token was refused.
    TokenRefused = "token.refused": Failure about [Session, Unknown]
        for [TooLarge, Malformed, DuplicateMember, HeaderRefused, Algorithm, Type, KeyUnknown, KeyRevoked, Signature,
             ClaimMissing, ClaimType, Issuer, Audience, NotYetValid, Expired, Replaced, Subject, SessionEnded, TokenInAddress,
             TwoCredentials] {
        "route": "what was asked for",
        "token": "`jti` of the token, where its signature is good",
        "end_reason": "why its session ended"
    }
    /// A token with a good signature named a session that was never there: somebody else signs with our key, or the
    /// database lost rows.
    SessionUnknown = "session.unknown": Failure about [Session, Unknown] for [SessionUnknown] {
        "route": "what was asked for", "token": "`jti` of the token"
    }
    /// A refresh token was refused.
    RefreshRefused = "refresh.refused": Failure about [Session, Unknown]
        for [Malformed, TokenUnknown, RefreshReused, SessionEnded, PasswordChangeRequired] {
        "end_reason": "why its session ended"
    }
    /// A caller who is known asked for what the caller may not do, or not without a new login.
    AccessRefused = "access.refused": Failure about [User, Unknown]
        for [NotAllowed, ReauthenticationRequired, PasswordChangeRequired] {
        "route": "what was asked for"
    }
    /// An operation was refused that the caller may ask for.
    OperationRefused = "operation.refused": Failure about [User, Session, Client, Key, Throttle, Alert, Everybody, Unknown]
        for [NotFound, NotOwn, NameTaken, IdTaken, LastAdministrator, UnacceptablePassword, InTheFuture, RefusedLines,
             SessionEnded, NotAllowed] {
        "operation": "the kind of the event that did not happen", "lines": "how many lines were refused"
    }
    /// A user was created.
    UserCreated = "user.created": Success about [User] for [] { "username": "the name", "role": "the role" }
    /// A user was imported.
    UserImported = "user.imported": Success about [User] for [] { "username": "the name", "role": "the role" }
    /// A user got another name.
    UserRenamed = "user.renamed": Success about [User] for [] { "from": "the name before", "to": "the name since" }
    /// A user got another role.
    UserRoleChanged = "user.role_changed": Success about [User] for [] {
        "from": "the role before",
        "to": "the role since"
    }
    /// A user may log in again.
    UserEnabled = "user.enabled": Success about [User] for [] {}
    /// A user may no longer log in.
    UserDisabled = "user.disabled": Success about [User] for [] {}
    /// A user was deleted.
    UserDeleted = "user.deleted": Success about [User] for [] { "username": "the name", "role": "the role" }
    /// The throttling of a user was lifted.
    UserUnlocked = "user.unlocked": Success about [User] for [] {
        "was_throttled": "whether there was anything to lift"
    }
    /// A user's logins are closed after too many failures in a row.
    UserLocked = "user.locked": Success about [User] for [] {}
    /// A user set another password.
    PasswordChanged = "password.changed": Success about [User] for [] {
        "sessions_ended": "how many other sessions ended"
    }
    /// A user was refused another password.
    PasswordChangeRefused = "password.change_refused": Failure about [User, Unknown]
        for [WrongPassword, Disabled, Throttled, NoPassword, UnknownUser, UnacceptablePassword, SessionEnded, NotAllowed] {}
    /// A token for setting a new password was issued.
    PasswordResetIssued = "password.reset_issued": Success about [User] for [] {
        "expires_at": "until when it is good", "password_voided": "whether the password logs in no more since"
    }
    /// A password was set with such a token.
    PasswordReset = "password.reset": Success about [User] for [] { "sessions_ended": "how many sessions ended" }
    /// Such a token, or the password with it, was refused.
    PasswordResetRefused = "password.reset_refused": Failure about [User, Unknown]
        for [Malformed, TokenUnknown, Expired, UnacceptablePassword] {}
    /// A stored password was hashed anew, at today's cost.
    PasswordUpgraded = "password.upgraded": Success about [User] for [] { "to": "the kind and cost of the new hash" }
    /// The one-time token for the first administrator was issued.
    SetupIssued = "setup.issued": Success about [Everybody] for [] { "expires_at": "until when it is good" }
    /// The first administrator was created.
    SetupCompleted = "setup.completed": Success about [User] for [] {}
    /// The token for the first administrator, or the name or password with it, was refused.
    SetupRefused = "setup.refused": Failure about [Everybody, Unknown]
        for [Malformed, TokenUnknown, Expired, AlreadySetUp, NameTaken, UnacceptablePassword] {}
    /// A client was registered.
    ClientCreated = "client.created": Success about [Client] for [] {
        "name": "what people call it",
        "scopes": "what it may ask for"
    }
    /// A client was removed.
    ClientRemoved = "client.removed": Success about [Client] for [] { "sessions_ended": "how many sessions ended" }
    /// A client got a new secret.
    ClientSecretRotated = "client.secret_rotated": Success about [Client] for [] {}
    /// A signing key was made.
    KeyCreated = "key.created": Success about [Key] for [] { "algorithm": "what it signs with" }
    /// A signing key was replaced by a newer one.
    KeyRotated = "key.rotated": Success about [Key] for [] {}
    /// A signing key was revoked: its tokens are refused.
    KeyRevoked = "key.revoked": Success about [Key] for [] {}
    /// The master key was rotated.
    MasterKeyRotated = "key.master_rotated": Success about [Everybody] for [] {
        "step": "`begun`: both master keys open the database; `finished`: only the new one does; `compromised`: every key is to be replaced",
        "from": "the id of the old master key",
        "to": "the id of the new one"
    }
    /// A not-before was set.
    NotBeforeSet = "not_before.set": Success about [User, Client, Everybody] for [] {
        "at": "what was issued before is refused", "note": "what the administrator noted"
    }
    /// The database turned out to be an older copy of itself: every session is refused.
    DatabaseWentBack = "database.went_back": Failure about [Everybody] for [OlderCopy] {
        "remembered": "the number that changes, or this node's leases, had reached", "found": "the number that was found"
    }
    /// The server started on another database than the one that its data directory remembers.
    DatabaseUnexpected = "database.unexpected": Failure about [Everybody] for [OtherDatabase] {
        "remembered": "the name of that one", "found": "the name of this one"
    }
    /// The server verified the whole history, and it is what it was.
    RecordVerified = "record.verified": Success about [Everybody] for [] {
        "records": "how many sealed records there are", "checkpoints": "how many checkpoints they agree with"
    }
    /// The history is not what it was: the server found so when it verified all of it, or when it was to sign it.
    RecordDamaged = "record.damaged": Failure about [Everybody] for [Altered] {
        "damage": "the first bad record, and what is wrong with it"
    }
    /// From here on records are linked by a key that is not in the database; those before were verified once more.
    RecordKeyed = "record.keyed": Success about [Everybody] for [] {
        "position": "how many records were there before", "damage": "what is wrong with them; null where nothing is"
    }
    /// What is older than the history is kept was removed, and old addresses were cut.
    RetentionRan = "retention.ran": Success about [Everybody] for [] {
        "sessions": "`before`: those that ended before; `rows`: how many",
        "attempts": "the same",
        "audit": "the same of these events",
        "addresses": "the same of rows whose addresses were cut to /24 or /48",
        "records": "the same of sealed records, by their place in the chain",
        "mac": "shows that the server itself recorded this ([record-chain.md](record-chain.md))"
    }
    /// A person was erased: the account, and what names the person in the history.
    UserErased = "user.erased": Success about [User] for [] {
        "events": "numbers of the events whose details were removed",
        "mac": "shows that the server itself recorded this ([record-chain.md](record-chain.md))"
    }
    /// Somebody exported their own history.
    OwnHistoryExported = "history.own_exported": Success about [User] for [] {}
    /// Somebody read other people's history.
    HistoryRead = "history.read": Success about [Session, Alert, Everybody] for [] {
        "what": "`sessions`, `attempts`, `audit`, `alerts`, or `session` or `alert` for one in detail",
        "filter": "the filter as it was asked for",
        "count": "how many rows were shown, or counted by a dry run",
        "dry_run": "`true` where an end by a filter only counted"
    }
    /// Somebody exported other people's history.
    HistoryExported = "history.exported": Success about [Everybody] for [] {
        "what": "`sessions`, `attempts` or `audit`",
        "filter": "the filter as it was asked for",
        "format": "how it is written",
        "count": "how many rows matched"
    }
    /// Somebody looked up a session by a token.
    TokenLookedUp = "token.looked_up": Success about [Session] for [] {}
    /// An administrator lifted a throttle.
    ThrottleLifted = "throttle.lifted": Success about [User, Throttle] for [] {
        "throttle": "its id",
        "scope": "what failures were counted for",
        "name": "the name that was tried, masked, where nobody has it",
        "network": "the address or network that was counted",
        "failures": "how many there were"
    }
    /// A reviewer acknowledged an alert.
    AlertAcknowledged = "alert.acknowledged": Success about [Alert] for [] {
        "kind": "the kind of the alert",
        "note": "what the reviewer noted"
    }
    /// A user said that a login was not theirs.
    UnrecognisedLoginReported = "session.disowned": Success about [User] for [] {
        "other_sessions_ended": "how many other sessions ended"
    }
    /// The token of the link for that was refused.
    UnrecognisedLoginReportRefused = "session.disown_refused": Failure about [User, Unknown] for [Malformed, TokenUnknown, Expired] {}
    /// A password no longer logs in; a one-time token sets another.
    PasswordVoided = "password.voided": Success about [User] for [] {}
    /// A user got another e-mail address, or none.
    UserEmailChanged = "user.email_changed": Success about [User] for [] {
        "has_email": "whether there is one now"
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

/// What an event says in place of the rest where it stands for many that were counted.
pub const AGGREGATED: &[(&str, &str)] = &[
    ("folded", "how many more there were"),
    ("from", "the first of all that were counted together"),
    ("to", "the last of them"),
    ("network", "the /24 or /48 they came from; null where they came from more of them than are told apart"),
    ("route", "of a caller who is known: what was asked for"),
    ("operation", "of a caller who is known: the kind of the event that did not happen"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_reasons_and_a_success_has_none() {
        for kind in AuditKind::ALL {
            let facts = kind.facts();
            assert_eq!(facts.outcome == Outcome::Failure, !facts.reasons.is_empty(), "{kind}");
            assert!(facts.meaning.ends_with('.'), "{kind}: {}", facts.meaning);
            assert!(
                !kind.is_aggregated() || facts.subjects.contains(&SubjectKind::Unknown),
                "{kind}: many are about nothing in particular"
            );
        }
    }

    #[test]
    fn every_reason_is_some_kinds() {
        for reason in Reason::ALL {
            assert!(AuditKind::ALL.iter().any(|kind| kind.facts().reasons.contains(reason)), "{reason}");
        }
    }
}
