//! Ids: UUIDs with a type each, so that one kind is never taken for another. An id is never a secret.

use chrono::{DateTime, Utc};
use uuid::fmt::Hyphenated;
use uuid::{NoContext, Timestamp, Uuid};

/// Defines an id type over a UUID.
macro_rules! id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id (UUID version 7, RFC 9562 §5.7): ids made later sort later, to the millisecond.
            #[must_use]
            pub fn new(now: DateTime<Utc>) -> Self {
                Self(version_7(now))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(|id: Hyphenated| Self(id.into_uuid()))
            }
        }
    };
}

id!(
    /// Names a session; the claim `sid` of its tokens.
    SessionId
);
id!(
    /// Names a user; the claim `sub`. A user imported with an id keeps it.
    UserId
);
id!(
    /// Names one access token; its claim `jti`.
    TokenId
);
id!(
    /// Names one try to log in.
    AttemptId
);
id!(
    /// Names one running node, from its start to its stop.
    NodeId
);
id!(
    /// Names one request; the header `X-Request-Id`.
    RequestId
);

id!(
    /// Names one end of all sessions that match a filter.
    BulkEndId
);
id!(
    /// Names one alert.
    AlertId
);
id!(
    /// Names one message that is to be delivered.
    DeliveryId
);

/// Names what failures are counted for. Made of what it names, so that the store need not keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ThrottleId(pub Uuid);

impl ThrottleId {
    /// The id (UUID version 8, RFC 9562 §5.8) made of these bytes, of which it keeps all but six bits.
    #[must_use]
    pub const fn made_of(bytes: [u8; 16]) -> Self {
        Self(Uuid::new_v8(bytes))
    }
}

impl std::fmt::Display for ThrottleId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl std::str::FromStr for ThrottleId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(|id: Hyphenated| Self(id.into_uuid()))
    }
}

fn version_7(now: DateTime<Utc>) -> Uuid {
    let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_made_later_sort_later() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let first = SessionId::new(now);
        let second = SessionId::new(now + chrono::TimeDelta::milliseconds(1));
        assert!(first < second);
        assert_eq!(first.0.get_version_num(), 7);
    }
}
