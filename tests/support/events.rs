//! What every test's record must keep to: each event is what the table of kinds says of its kind (LOG-02).

use serde_json::Value;
use vigie::model::audit::{Aggregate, AuditKind, Details, Outcome, Reason, SubjectKind};
use vigie::model::details::erased_details;

use super::dump::Beside;

/// What is wrong with the events in the database at `url`. Nothing where it holds none.
pub fn faults(url: &str) -> Vec<String> {
    let query = "SELECT DISTINCT kind || ' ' || subject_kind || ' ' || outcome || ' ' || coalesce(reason, '-') || ' '
                 || CAST(details AS TEXT) AS line FROM audit_events";
    let events = Beside::connect(url).try_lines(query).unwrap_or_default();
    events.into_iter().filter(|event| !keeps_to_its_kind(event).unwrap_or(false)).collect()
}

/// Whether an event does, as the query above shows it. `None` where it cannot be read.
fn keeps_to_its_kind(event: &str) -> Option<bool> {
    let mut words = event.splitn(5, ' ');
    let kind: AuditKind = words.next()?.parse().ok()?;
    let subject: SubjectKind = words.next()?.parse().ok()?;
    let outcome: Outcome = words.next()?.parse().ok()?;
    let reason = words.next().filter(|reason| *reason != "-").map(str::parse::<Reason>).transpose().ok()?;
    let details: Value = serde_json::from_str(words.next()?).ok()?;
    let facts = kind.facts();
    let has_reason = reason.map_or(facts.reasons.is_empty(), |reason| facts.reasons.contains(&reason));
    Some(facts.subjects.contains(&subject) && facts.outcome == outcome && has_reason && fits(kind, &details))
}

/// Whether these are details of an event of this kind: exactly its members, or those of one that stands for many, or what an
/// erasure leaves.
pub fn fits(kind: AuditKind, details: &Value) -> bool {
    let is_own = || Details::read(kind, details).is_ok_and(|read| read.into_value() == *details);
    let is_of_many = || Aggregate::read(details).is_ok_and(|read| read.into_value() == *details);
    details == erased_details() || is_own() || kind.is_aggregated() && is_of_many()
}
