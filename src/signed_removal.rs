//! Signed removals: events that say what was removed from the history, or redacted in it. Verifying accepts what is missing by
//! their word alone, so each carries a MAC under a key that the database has only encrypted: whoever can only write to that can add
//! such an event, and justifies nothing by it.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::keyring::{EarlierKey, KeyPurpose, Keyring};
use crate::model::audit::AuditEvent;

/// The member of the details that holds the MAC.
const MAC: &str = "mac";

/// Makes and tells genuine signed removals of one history (HMAC-SHA256).
pub struct RemovalKey {
    now: hmac::Key,
    /// Keys that somebody else may have by now, and at which size of the record chain the next began to count.
    earlier: Vec<(hmac::Key, u64)>,
}

/// Whether the server itself recorded an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authenticity {
    /// The MAC is that of the present key: the server recorded the event.
    Genuine,
    /// The MAC is that of an earlier key, which somebody else may have by now: genuine only if the event is among so many first
    /// records of the chain.
    GenuineBefore(u64),
    /// The MAC is of no key of ours: the server did not record the event.
    Forged,
}

impl RemovalKey {
    /// The keys for it in this keyring.
    #[must_use]
    pub fn new(keyring: &Keyring) -> Self {
        let earlier = keyring.earlier(KeyPurpose::Removal).into_iter();
        Self {
            now: hmac::Key::new(hmac::HMAC_SHA256, keyring.key(KeyPurpose::Removal).bytes()),
            earlier: earlier
                .map(|EarlierKey { key, until }| (hmac::Key::new(hmac::HMAC_SHA256, key.bytes()), until))
                .collect(),
        }
    }

    /// The same event with its MAC. To be signed last: nothing of what it says may change afterwards.
    #[must_use]
    pub fn signed(&self, mut event: AuditEvent) -> AuditEvent {
        let mac = STANDARD.encode(hmac::sign(&self.now, &covered(&event)));
        if let Value::Object(details) = &mut event.details {
            details.insert(MAC.to_owned(), Value::String(mac));
        }
        event
    }

    /// Whether the server itself recorded this: of this kind, at this time, about this subject, with these details.
    #[must_use]
    pub fn authenticity(&self, event: &AuditEvent) -> Authenticity {
        let mac = event.details[MAC].as_str().and_then(|mac| STANDARD.decode(mac).ok());
        let Some(mac) = mac else { return Authenticity::Forged };
        let covered = covered(event);
        let verifies = |key| hmac::verify(key, &covered, &mac).is_ok();
        if verifies(&self.now) {
            return Authenticity::Genuine;
        }
        let earlier = self.earlier.iter().find(|(key, _)| verifies(key));
        earlier.map_or(Authenticity::Forged, |(_, until)| Authenticity::GenuineBefore(*until))
    }
}

/// What a MAC covers. Not the number, which is not known before the event is written: so the time, and the event can be
/// repeated as it is, which says nothing new.
fn covered(event: &AuditEvent) -> Vec<u8> {
    let mut details = event.details.clone();
    if let Value::Object(details) = &mut details {
        details.remove(MAC);
    }
    let subject = (event.subject.kind.as_str(), &event.subject.id);
    // Objects are sorted by their members' names, in both databases.
    json!([event.kind.as_str(), event.at.timestamp_micros(), subject, details]).to_string().into_bytes()
}

impl fmt::Debug for RemovalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RemovalKey")
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;
    use crate::master_key::MasterKey;
    use crate::model::audit::{AuditContext, AuditKind, Details, Subject, SubjectKind};

    fn event() -> AuditEvent {
        let (at, subject) = (DateTime::UNIX_EPOCH, Subject::new(SubjectKind::User, "one"));
        let details = Details::UserErased { events: Some(vec![1, 2]), mac: None };
        AuditEvent::new(at, details, &AuditContext::command_line(), subject)
    }

    fn keyring(bytes: [u8; 32], database: &str) -> Keyring {
        Keyring::derived(&MasterKey::from_bytes(bytes), database)
    }

    #[test]
    fn a_warrant_is_genuine_as_it_was_signed_and_not_otherwise() {
        let key = RemovalKey::new(&keyring([1; 32], "one"));
        assert_eq!(key.authenticity(&event()), Authenticity::Forged);
        let signed = key.signed(event());
        assert_eq!(key.authenticity(&signed), Authenticity::Genuine);
        assert_eq!(key.signed(signed.clone()), signed);

        let changed: [fn(&mut AuditEvent); 6] = [
            |event| event.kind = AuditKind::RetentionRan,
            |event| event.at += TimeDelta::microseconds(1),
            |event| event.subject.kind = SubjectKind::Session,
            |event| event.subject.id = Some("two".to_owned()),
            |event| event.details["events"] = json!([1, 2, 3]),
            |event| event.details[MAC] = json!("AAAA"),
        ];
        for (number, change) in changed.iter().enumerate() {
            let mut event = signed.clone();
            change(&mut event);
            assert_eq!(key.authenticity(&event), Authenticity::Forged, "{number}");
        }
        for (bytes, database) in [([2; 32], "one"), ([1; 32], "two")] {
            assert_eq!(RemovalKey::new(&keyring(bytes, database)).authenticity(&signed), Authenticity::Forged);
        }
        assert_eq!(format!("{key:?}"), "RemovalKey");
    }

    #[test]
    fn a_signed_removal_of_an_earlier_key_is_genuine_only_where_it_was_sealed_while_that_counted() {
        let mut keyring = keyring([1; 32], "one");
        let signed = RemovalKey::new(&keyring).signed(event());
        keyring.succeed(KeyPurpose::Removal, 7);
        let key = RemovalKey::new(&keyring);
        assert_eq!(key.authenticity(&signed), Authenticity::GenuineBefore(7));
        assert_eq!(key.authenticity(&key.signed(event())), Authenticity::Genuine);
    }
}
