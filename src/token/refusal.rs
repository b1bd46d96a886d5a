//! Why a token is refused, in one word for the log and the metrics.

use crate::model::audit::Reason;
use crate::model::words;

words! {
    /// The first reason found. Clients are told less: that it is past its time, or simply "invalid".
    pub enum TokenRefusal {
        /// Longer than any token of ours.
        TooLarge = "too_large",
        /// Not three base64url parts that hold JSON objects.
        Malformed = "malformed",
        /// A JSON object has a member twice: two readers could see two different tokens.
        DuplicateMember = "duplicate_member",
        /// A header member we never write, such as `jku`, `jwk` or `crit`.
        HeaderRefused = "header_refused",
        /// Not an algorithm of ours, or not the one of the key it names.
        Algorithm = "algorithm",
        /// The header `typ` is not that of our access tokens.
        Type = "type",
        /// Names no key, or none of ours.
        KeyUnknown = "key_unknown",
        /// Not signed by the key it names.
        Signature = "signature",
        /// A claim is not there.
        ClaimMissing = "claim_missing",
        /// A claim has another JSON type, or a value out of range.
        ClaimType = "claim_type",
        /// The claim `iss` is not our issuer.
        Issuer = "issuer",
        /// The claim `aud` does not name our audience.
        Audience = "audience",
        /// Issued, or usable, only in the future.
        NotYetValid = "not_yet_valid",
        /// Ours in every respect, but past its time.
        Expired = "expired",
    }
}

impl From<TokenRefusal> for Reason {
    fn from(refusal: TokenRefusal) -> Self {
        match refusal {
            TokenRefusal::TooLarge => Self::TooLarge,
            TokenRefusal::Malformed => Self::Malformed,
            TokenRefusal::DuplicateMember => Self::DuplicateMember,
            TokenRefusal::HeaderRefused => Self::HeaderRefused,
            TokenRefusal::Algorithm => Self::Algorithm,
            TokenRefusal::Type => Self::Type,
            TokenRefusal::KeyUnknown => Self::KeyUnknown,
            TokenRefusal::Signature => Self::Signature,
            TokenRefusal::ClaimMissing => Self::ClaimMissing,
            TokenRefusal::ClaimType => Self::ClaimType,
            TokenRefusal::Issuer => Self::Issuer,
            TokenRefusal::Audience => Self::Audience,
            TokenRefusal::NotYetValid => Self::NotYetValid,
            TokenRefusal::Expired => Self::Expired,
        }
    }
}

impl std::error::Error for TokenRefusal {}
