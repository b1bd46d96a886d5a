//! Warrants: events that say what was removed from the history, or redacted in it. Verifying accepts what is missing by
//! their word alone, so each carries a MAC under a key that is not in the database: whoever can only write to that can add
//! such an event, and justifies nothing by it.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::master_key::MasterKey;
use crate::model::audit::AuditEvent;

/// The member of the details that holds the MAC.
const MAC: &str = "mac";

/// Makes and tells genuine warrants of one history (HMAC-SHA256).
pub struct WarrantKey(hmac::Key);

impl WarrantKey {
    /// The key for the history with this name, derived from the master key.
    #[must_use]
    pub fn new(master: &MasterKey, database: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &master.digest("warrant key", database.as_bytes())))
    }

    /// The same event with its MAC. To be signed last: nothing of what it says may change afterwards.
    #[must_use]
    pub fn signed(&self, mut event: AuditEvent) -> AuditEvent {
        let mac = STANDARD.encode(hmac::sign(&self.0, &covered(&event)));
        if let Value::Object(details) = &mut event.details {
            details.insert(MAC.to_owned(), Value::String(mac));
        }
        event
    }

    /// Whether the server itself recorded this: of this kind, at this time, about this subject, with these details.
    #[must_use]
    pub fn is_genuine(&self, event: &AuditEvent) -> bool {
        let mac = event.details[MAC].as_str().and_then(|mac| STANDARD.decode(mac).ok());
        mac.is_some_and(|mac| hmac::verify(&self.0, &covered(event), &mac).is_ok())
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

impl fmt::Debug for WarrantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WarrantKey")
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;
    use crate::model::audit::{AuditKind, Cause, Subject, SubjectKind};

    fn event() -> AuditEvent {
        let (at, subject) = (DateTime::UNIX_EPOCH, Subject::new(SubjectKind::User, "one"));
        let event = AuditEvent::new(at, AuditKind::UserErased, &Cause::command_line(), subject);
        event.with(json!({ "events": [1, 2] }))
    }

    #[test]
    fn a_warrant_is_genuine_as_it_was_signed_and_not_otherwise() {
        let key = WarrantKey::new(&MasterKey::from_bytes([1; 32]), "one");
        assert!(!key.is_genuine(&event()));
        let signed = key.signed(event());
        assert!(key.is_genuine(&signed));
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
            assert!(!key.is_genuine(&event), "{number}");
        }
        for (bytes, database) in [([2; 32], "one"), ([1; 32], "two")] {
            assert!(!WarrantKey::new(&MasterKey::from_bytes(bytes), database).is_genuine(&signed));
        }
        assert_eq!(format!("{key:?}"), "WarrantKey");
    }
}
