//! What is set in a filter: each part in words, with the address of the same list without it.

use super::super::frame::Frame;
use super::filter_form::is_valid;
use super::members::Members;
use super::people::People;
use super::words;
use crate::model::filter::{Filter, Member, Moment, ValueKind};
use crate::model::id::UserId;

/// A part of a filter.
#[derive(Debug)]
pub(super) struct Chip {
    pub text: String,
    /// The query string without it.
    pub without: String,
}

/// The parts of a filter, in the order of its members. What is wrong stands beside its field, and is none.
pub(super) fn chips<F: Filter>(frame: &Frame, members: &Members, people: &People) -> Vec<Chip> {
    let named = F::MEMBERS
        .iter()
        .flat_map(|member| std::iter::once(member.name).chain(member.twin).map(move |name| (member, name)));
    let of_name = |(member, name): (&Member, &'static str)| {
        let values: Vec<&str> = members.values(name).filter(|value| is_valid::<F>(name, value)).collect();
        let chip = |value: &str| Chip {
            text: text(frame, people, member, name, value),
            without: members.without(name, value).query(),
        };
        values.into_iter().map(chip).collect::<Vec<_>>()
    };
    named.flat_map(of_name).collect()
}

/// The users whom a filter means by their ids.
pub(super) fn users_meant(members: &Members) -> Vec<UserId> {
    let names = ["user", "not_user", "ended_by", "not_ended_by"];
    names.into_iter().flat_map(|name| members.values(name)).filter_map(|value| value.parse().ok()).collect()
}

fn text(frame: &Frame, people: &People, member: &Member, name: &str, value: &str) -> String {
    let subject = match member.kind {
        ValueKind::Moment => member.name.trim_end_matches("_from").trim_end_matches("_to"),
        _ => member.name,
    };
    let label = frame.text(&format!("filter-{}", words::dashed(subject)));
    let shown = match member.kind {
        ValueKind::Word(_) => words::value(frame, member.name, value),
        ValueKind::Moment => moment(frame, value),
        ValueKind::Text if matches!(member.name, "user" | "ended_by") => people.party(frame, value),
        ValueKind::Text | ValueKind::Network | ValueKind::Id => value.to_owned(),
    };
    let pattern = match member.kind {
        ValueKind::Moment if member.name.ends_with("_to") => "chip-before",
        ValueKind::Moment => "chip-from",
        _ if name == member.name => "chip",
        _ => "chip-not",
    };
    frame.with_all(pattern, &[("name", &label), ("value", &shown)])
}

fn moment(frame: &Frame, text: &str) -> String {
    let read = serde_json::from_value::<Moment>(text.into());
    read.map_or_else(|_| text.to_owned(), |Moment(at)| frame.moment(at).exact)
}
