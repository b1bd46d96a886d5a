//! What a sink takes at a time: events and checkpoints in the order of the chain, each as JSON.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::audit::chain::cutoffs;
use crate::config::ShippingFormat;
use crate::model::audit::RecordedEvent;
use crate::model::record::RecordKind;
use crate::signed_removal::RemovalKey;
use crate::store::chain::{self, SealedRecord, StoredCheckpoint};
use crate::store::shipping::Cursor;
use crate::store::{Db, StoreError, audit};
use crate::view::ocsf::{self, Severity};
use crate::view::{EventObject, time};

/// What a sink takes at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shipment {
    /// The same for the same items: a receiver may tell doubles by it.
    pub id: String,
    /// In the order of the chain.
    pub items: Vec<Item>,
}

/// An event or a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// The word of its kind.
    pub kind: &'static str,
    /// When the event happened, or the checkpoint was signed.
    pub at: DateTime<Utc>,
    /// How grave it is.
    pub severity: Severity,
    /// All that there is to say, in one line.
    pub json: String,
}

/// What of the chain follows a cursor.
#[derive(Debug)]
pub(super) struct Following {
    from: Cursor,
    until: Cursor,
    sealed: Vec<SealedRecord>,
    events: HashMap<String, RecordedEvent>,
    checkpoints: Vec<StoredCheckpoint>,
}

impl Following {
    /// Reads at most `limit` records, and the checkpoints over them and what was before.
    pub(super) fn after(db: &mut Db, from: Cursor, limit: i64, removal_key: &RemovalKey) -> Result<Self, StoreError> {
        let mut sealed = chain::page(db, from.position, i64::MAX, limit)?;
        let position = sealed.last().map_or(from.position, |last| last.position + 1);
        // Attempts and sessions are told as events too: their own records are for the chain alone.
        sealed.retain(|sealed| sealed.record.kind == RecordKind::Event);
        let numbers = sealed.iter().filter_map(|sealed| sealed.record.subject.parse().ok()).collect();
        let events = audit::by_numbers(db, numbers)?;
        let removed_before = cutoffs(db, removal_key)?.events;
        let events: HashMap<_, _> = events.into_iter().map(|event| (event.seq.to_string(), event)).collect();
        let checkpoints = chain::checkpoints_between(db, from.checkpoint_size, position, limit)?;
        let checkpoint_size = checkpoints.last().map_or(from.checkpoint_size, |last| last.size);
        // What the history no longer keeps is not told to a sink that comes so late.
        let is_kept = |at| removed_before.is_none_or(|before| at >= before);
        sealed.retain(|sealed| events.contains_key(&sealed.record.subject) || is_kept(sealed.record.at));
        Ok(Self { from, until: Cursor { position, checkpoint_size }, sealed, events, checkpoints })
    }

    /// Where the cursor is when the sink has taken this.
    pub(super) const fn until(&self) -> Cursor {
        self.until
    }

    /// The same as a sink takes it. `history` is the name that checkpoints call the chain by.
    pub(super) fn shipment(&self, format: ShippingFormat, history: &str) -> Shipment {
        let events = self.sealed.iter().map(|sealed| (sealed.position, self.event(sealed, format, history)));
        let checkpoints = self.checkpoints.iter().map(|sealed| (sealed.size - 1, checkpoint(sealed, format, history)));
        let mut items: Vec<(i64, Item)> = events.chain(checkpoints).collect();
        // Stable: a checkpoint stays behind the last record that it is about.
        items.sort_by_key(|(position, _)| *position);
        let Self { from, until, .. } = self;
        let id = format!("{history}-{}-{}-{}", from.position, until.position, until.checkpoint_size).replace('/', "-");
        Shipment { id, items: items.into_iter().map(|(_, item)| item).collect() }
    }

    fn event(&self, sealed: &SealedRecord, format: ShippingFormat, history: &str) -> Item {
        let record = json!({
            "history": history, "position": sealed.position,
            "digest": STANDARD.encode(sealed.record.digest), "link": STANDARD.encode(sealed.chain_hash),
        });
        let at = sealed.record.at;
        let Some(recorded) = self.events.get(&sealed.record.subject) else {
            return lost(&sealed.record.subject, at, &record, format);
        };
        let mut object = match format {
            ShippingFormat::Vigie => json!(EventObject::from(recorded)),
            ShippingFormat::Ocsf => ocsf::event(recorded),
        };
        match format {
            ShippingFormat::Vigie => object["record"] = record,
            ShippingFormat::Ocsf => object["unmapped"]["record"] = record,
        }
        let severity = ocsf::severity_of(&recorded.event);
        Item { kind: recorded.event.kind.as_str(), at, severity, json: object.to_string() }
    }
}

fn checkpoint(checkpoint: &StoredCheckpoint, format: ShippingFormat, history: &str) -> Item {
    let StoredCheckpoint { size, at, note } = checkpoint;
    let members = json!({ "history": history, "size": size, "note": note });
    other("history.checkpoint", "What the history was, signed", ocsf::INFORMATIONAL, *at, &members, format)
}

/// A sealed event that is not there any more: the record is told without it, and says what it was the digest of.
fn lost(number: &str, at: DateTime<Utc>, record: &Value, format: ShippingFormat) -> Item {
    let members = json!({ "seq": number, "record": record });
    other("history.event_lost", "An event that was sealed is gone", ocsf::CRITICAL, at, &members, format)
}

fn other(
    kind: &'static str,
    message: &str,
    severity: Severity,
    at: DateTime<Utc>,
    members: &Value,
    format: ShippingFormat,
) -> Item {
    let object = match format {
        ShippingFormat::Vigie => {
            let mut object = members.clone();
            object["kind"] = json!(kind);
            object["at"] = json!(time(at));
            object
        }
        ShippingFormat::Ocsf => ocsf::other(kind, message, severity, at, members),
    };
    Item { kind, at, severity, json: object.to_string() }
}
