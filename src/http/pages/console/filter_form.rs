//! The form of a filter: fields for each member, made from the table of members (`model::filter`). It holds the whole filter, also
//! what is wrong in it, which stands beside its field.

use super::super::frame::Frame;
use super::members::{Members, local};
use super::words;
use crate::http::input::parse_pairs;
use crate::model::filter::{Filter, MOST_VALUES, Member, ValueKind};
use crate::model::id::UserId;

/// Members that name a party. One that is meant by an id is told by its name, which the chips do.
const PARTIES: [&str; 2] = ["user", "ended_by"];
/// Members of an address that belong to no filter.
const OPTIONS: [&str; 3] = ["sort", "limit", "cursor"];

/// The fields of a filter.
#[derive(Debug, Default)]
pub(super) struct FilterForm {
    /// In the order of the members.
    pub fields: Vec<Field>,
    /// Values that no field shows.
    pub hidden: Vec<(&'static str, String)>,
    /// What is wrong: the field, if it is in one, and why.
    pub wrong: Vec<(Option<String>, String)>,
}

/// The fields of one member with its twin, or of both ends of a period.
#[derive(Debug)]
pub(super) struct Field {
    subject: &'static str,
    pub label: String,
    pub inputs: Vec<FilterInput>,
}

/// One field.
#[derive(Debug)]
pub(super) struct FilterInput {
    pub id: String,
    pub name: &'static str,
    pub label: String,
    pub value: String,
    /// Of an `input`.
    pub kind: &'static str,
    /// Words to choose from, with what they are called; none where anything may be typed.
    pub choices: Vec<(&'static str, String)>,
    pub wrong: Option<String>,
}

impl FilterForm {
    /// The form of a list's filter, filled with what the address holds.
    pub fn of<F: Filter>(frame: &Frame, members: &Members) -> Self {
        let mut form = Self::default();
        for member in F::MEMBERS {
            let subject = subject_of(member);
            if form.fields.last().is_none_or(|field| field.subject != subject) {
                let label = frame.text(&format!("filter-{}", words::dashed(subject)));
                form.fields.push(Field { subject, label, inputs: Vec::new() });
            }
            for name in std::iter::once(member.name).chain(member.twin) {
                form.add::<F>(frame, members, member, name);
            }
        }
        let is_known = |name: &str| {
            OPTIONS.contains(&name)
                || F::MEMBERS.iter().any(|member| member.name == name || member.twin.is_some_and(|twin| twin == name))
        };
        let unknown = members.names().filter(|name| !is_known(name));
        form.wrong.extend(unknown.map(|name| (None, frame.with("wrong-unknown", "name", name))));
        form
    }

    /// Adds the fields under one name: one for each value, and an empty one where there may be more.
    fn add<F: Filter>(&mut self, frame: &Frame, members: &Members, member: &Member, name: &'static str) {
        let is_hidden = |value: &str| PARTIES.contains(&member.name) && value.parse::<UserId>().is_ok();
        let count = members.values(name).count();
        let mut shown = 0;
        for (index, value) in members.values(name).enumerate() {
            let wrong = wrong::<F>(frame, member, name, value, index);
            if is_hidden(value) && wrong.is_none() {
                self.hidden.push((name, value.to_owned()));
                continue;
            }
            let input = FilterInput { wrong, ..input(frame, member, name, shown, value) };
            if let Some(text) = &input.wrong {
                let label = self.fields.last().map_or("", |field| field.label.as_str());
                let said = frame.with_all("chip", &[("name", label), ("value", text)]);
                self.wrong.push((Some(input.id.clone()), said));
            }
            self.put(input);
            shown += 1;
        }
        if count == 0 || (member.twin.is_some() && count < MOST_VALUES) {
            self.put(input(frame, member, name, shown, ""));
        }
    }

    fn put(&mut self, input: FilterInput) {
        if let Some(field) = self.fields.last_mut() {
            field.inputs.push(input);
        }
    }
}

/// What a member is about: both ends of a period are about the same.
fn subject_of(member: &Member) -> &'static str {
    let period = member.name.strip_suffix("_from").or_else(|| member.name.strip_suffix("_to"));
    period.filter(|_| member.kind == ValueKind::Moment).unwrap_or(member.name)
}

fn input(frame: &Frame, member: &Member, name: &'static str, index: usize, value: &str) -> FilterInput {
    let (choices, kind, value) = match member.kind {
        ValueKind::Word(known) => {
            let called = |word: &&'static str| (*word, words::value(frame, member.name, word));
            (known.iter().map(called).collect(), "text", value.to_owned())
        }
        ValueKind::Moment => match local(value, frame.zone) {
            Some(local) => (Vec::new(), "datetime-local", local),
            None if value.is_empty() => (Vec::new(), "datetime-local", String::new()),
            // As it is: a field of the browser's own would lose it.
            None => (Vec::new(), "text", value.to_owned()),
        },
        ValueKind::Text | ValueKind::Network | ValueKind::Id => (Vec::new(), "text", value.to_owned()),
    };
    let label = frame.text(label_of(member, name, index));
    FilterInput {
        id: format!("filter-{}-{index}", words::dashed(name)),
        name,
        label,
        value,
        kind,
        choices,
        wrong: None,
    }
}

/// The name of the text that says how a field's value is meant.
fn label_of(member: &Member, name: &str, index: usize) -> &'static str {
    let is_twin = member.name != name;
    match member.kind {
        ValueKind::Moment if member.name.ends_with("_to") => "filter-before",
        ValueKind::Moment => "filter-from",
        _ if index > 0 => {
            if is_twin {
                "filter-nor"
            } else {
                "filter-or"
            }
        }
        _ if member.name == "user_agent" => {
            if is_twin {
                "filter-lacks"
            } else {
                "filter-contains"
            }
        }
        _ => {
            if is_twin {
                "filter-not"
            } else {
                "filter-is"
            }
        }
    }
}

/// What is wrong with a value, in a sentence.
fn wrong<F: Filter>(frame: &Frame, member: &Member, name: &str, value: &str, index: usize) -> Option<String> {
    let text = match member.kind {
        _ if index > 0 && member.twin.is_none() => "wrong-once",
        _ if index >= MOST_VALUES => "wrong-many",
        _ if is_valid::<F>(name, value) => return None,
        ValueKind::Text => "wrong-text",
        ValueKind::Word(_) => "wrong-word",
        ValueKind::Network => "wrong-network",
        ValueKind::Id => "wrong-id",
        ValueKind::Moment => "wrong-moment",
    };
    Some(frame.text(text))
}

/// Whether the filter takes this value.
pub(super) fn is_valid<F: Filter>(name: &str, value: &str) -> bool {
    parse_pairs::<F>(vec![(name.to_owned(), value.to_owned())]).is_ok()
}
