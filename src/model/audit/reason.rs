//! Why something was refused.

use super::super::attempt::AttemptOutcome;
use super::super::words::explained_words;

explained_words! {
    /// Why something was not done. The words are stable; the person refused is told less.
    pub enum Reason {
        /// The token is longer than any of ours.
        TooLarge = "too_large",
        /// The token has not the form of one of ours.
        Malformed = "malformed",
        /// A JSON object in the token has a member twice.
        DuplicateMember = "duplicate_member",
        /// The token's header has a member that we never write, such as `jku`, `jwk` or `crit`.
        HeaderRefused = "header_refused",
        /// The token names an algorithm that is not ours, such as `none`, or not that of its key.
        Algorithm = "algorithm",
        /// Another kind of token.
        Type = "type",
        /// The token names no key, or none of ours.
        KeyUnknown = "key_unknown",
        /// The token's key was revoked, or its time is over.
        KeyRevoked = "key_revoked",
        /// The token is not signed by the key it names.
        Signature = "signature",
        /// A claim of the token is not there.
        ClaimMissing = "claim_missing",
        /// A claim of the token has another JSON type, or a value out of range.
        ClaimType = "claim_type",
        /// The token is from another issuer.
        Issuer = "issuer",
        /// The token is meant for somebody else.
        Audience = "audience",
        /// The token was issued, or is usable, only in the future.
        NotYetValid = "not_yet_valid",
        /// The token was ours and is past its time.
        Expired = "expired",
        /// The token was ours, and was replaced when the password was changed.
        Replaced = "replaced",
        /// The token's session is another user's.
        Subject = "subject",
        /// The token is signed with our key and names a session that was never there.
        SessionUnknown = "session_unknown",
        /// The token's session is over; `details.end_reason` says why.
        SessionEnded = "session_ended",
        /// A token stood in the address of a request.
        TokenInAddress = "token_in_address",
        /// Two credentials came at once.
        TwoCredentials = "two_credentials",
        /// The browser says that the form comes from elsewhere, or does not say where from.
        OtherOrigin = "other_origin",
        /// The form does not hold the token of the session that it comes with.
        FormToken = "form_token",
        /// Cookies of different sessions came at once.
        CookiesDiffer = "cookies_differ",
        /// The token has the right form and was never issued, or has been used.
        TokenUnknown = "token_unknown",
        /// A refresh token that had been spent was presented again: theft. Its session ended.
        RefreshReused = "refresh_reused",
        /// No user has this name.
        UnknownUser = "unknown_user",
        /// The password is not the user's.
        WrongPassword = "wrong_password",
        /// The user is disabled.
        Disabled = "disabled",
        /// Too many failures; the password was not looked at.
        Throttled = "throttled",
        /// The user has no password yet.
        NoPassword = "no_password",
        /// No client of this id is registered.
        UnknownClient = "unknown_client",
        /// The secret is not the client's.
        WrongSecret = "wrong_secret",
        /// The assertion is not signed by a key of the client, not meant for this server alone, or not for now.
        AssertionRefused = "assertion_refused",
        /// The assertion of a client was used before.
        AssertionReused = "assertion_reused",
        /// The refresh token's session is that of a client which did not authenticate.
        OtherClient = "other_client",
        /// The new password does not meet the policy.
        UnacceptablePassword = "unacceptable_password",
        /// The caller's role does not allow it.
        NotAllowed = "not_allowed",
        /// Somebody else chose the user's password, and it was not changed yet.
        PasswordChangeRequired = "password_change_required",
        /// The caller logged in too long ago for it.
        ReauthenticationRequired = "reauthentication_required",
        /// There is no such thing.
        NotFound = "not_found",
        /// It belongs to another user.
        NotOwn = "not_own",
        /// The name is taken.
        NameTaken = "name_taken",
        /// The id is taken.
        IdTaken = "id_taken",
        /// Nobody would be left to administer the server.
        LastAdministrator = "last_administrator",
        /// The first administrator is there already.
        AlreadySetUp = "already_set_up",
        /// The moment lies in the future.
        InTheFuture = "in_the_future",
        /// Lines of the file were refused.
        RefusedLines = "refused_lines",
        /// The database is an older copy of itself.
        OlderCopy = "older_copy",
        /// It is another database.
        OtherDatabase = "other_database",
        /// Somebody changed, removed or added records behind the server's back.
        Altered = "altered",
    }
}

impl Reason {
    /// Why an attempt failed; `None` where it succeeded.
    #[must_use]
    pub const fn of_attempt(outcome: AttemptOutcome) -> Option<Self> {
        match outcome {
            AttemptOutcome::Success => None,
            AttemptOutcome::UnknownUser => Some(Self::UnknownUser),
            AttemptOutcome::WrongPassword => Some(Self::WrongPassword),
            AttemptOutcome::Disabled => Some(Self::Disabled),
            AttemptOutcome::Throttled => Some(Self::Throttled),
            AttemptOutcome::NoPassword => Some(Self::NoPassword),
        }
    }
}
