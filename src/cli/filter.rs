//! The filters of the history as flags: each member under its name in the API, several values by repeating the flag, values
//! that are excluded as `--not-…`.

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Args, Command, Error, FromArgMatches};

use super::value;
use crate::model::filter::{Filter, Member, ValueKind, object_of};
use crate::model::user::Role;

/// So many words are shown in the help of a flag.
const FEW_WORDS: usize = 10;

/// A filter, read from flags of the group `filter`.
#[derive(Debug, Clone, Default)]
pub(super) struct Flags<F>(pub Box<F>);

impl<F: Filter> Args for Flags<F> {
    fn augment_args(command: Command) -> Command {
        let flags: Vec<Arg> = F::MEMBERS.iter().flat_map(flags::<F>).collect();
        let group = ArgGroup::new("filter").multiple(true).args(flags.iter().map(Arg::get_id));
        command.args(flags).group(group)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<F: Filter> FromArgMatches for Flags<F> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let names = F::MEMBERS.iter().flat_map(|member| std::iter::once(member.name).chain(member.twin));
        let given = names.flat_map(|name| {
            let values = matches.get_many::<String>(name).unwrap_or_default();
            values.map(move |value| (name.to_owned(), value.clone()))
        });
        let read = F::deserialize(object_of(given));
        read.map(|filter| Self(Box::new(filter)))
            .map_err(|error| Error::raw(ErrorKind::ValueValidation, format!("{error}\n")))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The flags of a member: its own, and that of its twin.
fn flags<F: Filter>(member: &'static Member) -> impl Iterator<Item = Arg> {
    let long = |name: &str| name.replace("client_id", "client").replace('_', "-");
    let flag = move |name: &'static str, help: String| {
        let action = if member.twin.is_some() { ArgAction::Append } else { ArgAction::Set };
        let arg = Arg::new(name).long(long(name)).help(help).value_name(value_name(member)).action(action);
        // All words of a long list would hide the other flags; a wrong one lists them.
        match member.kind {
            ValueKind::Word(words) => arg.value_parser(words.to_vec()).hide_possible_values(words.len() > FEW_WORDS),
            _ => arg.value_parser(move |text: &str| checked::<F>(member, text)),
        }
    };
    let meaning = member.meaning.trim_end_matches('.');
    let help = match member.kind {
        ValueKind::Moment => format!("{meaning} (RFC 3339, or a day)"),
        ValueKind::Word(words) if words.len() > FEW_WORDS => format!("{meaning}; a wrong one lists them all"),
        _ => meaning.to_owned(),
    };
    let twin = member.twin.map(|twin| flag(twin, format!("Not those that `--{}` finds", long(member.name))));
    std::iter::once(flag(member.name, help)).chain(twin)
}

fn value_name(member: &Member) -> String {
    match member.kind {
        ValueKind::Moment => "TIME".to_owned(),
        ValueKind::Network => "ADDRESS".to_owned(),
        ValueKind::Id => "ID".to_owned(),
        ValueKind::Text | ValueKind::Word(_) => member.name.to_uppercase(),
    }
}

/// The text of a value, as the filter reads it. Stricter than the API where only a mistake could be meant, and a day is a time.
fn checked<F: Filter>(member: &Member, text: &str) -> Result<String, String> {
    match (member.kind, member.name) {
        (ValueKind::Moment, _) => {
            return value::time(text).map(|time| time.to_rfc3339()).map_err(|error| error.to_string());
        }
        (_, "role") => drop(Role::parse(text).map_err(|error| error.to_string())?),
        (_, "client_id") => drop(value::client_id(text).map_err(|error| error.to_string())?),
        _ => {}
    }
    let read = F::deserialize(object_of([(member.name.to_owned(), text.to_owned())]));
    read.map(|_| text.to_owned()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::{Value, json};

    use super::*;
    use crate::model::filter::{EventFilter, SessionFilter};

    #[derive(Debug, Parser)]
    struct Line<F: Filter> {
        #[command(flatten)]
        filter: Flags<F>,
    }

    fn read<F: Filter>(line: &str) -> Result<Value, Error> {
        let line = Line::<F>::try_parse_from(std::iter::once("list").chain(line.split_whitespace()))?;
        Ok(json!(line.filter.0))
    }

    fn sessions(line: &str) -> Value {
        read::<SessionFilter>(line).unwrap()
    }

    #[test]
    fn every_flag_is_a_member_of_the_api() {
        let token = "0198c2a0-0000-7000-8000-000000000000";
        let line = format!(
            "--user Zoé --role agent --state active --reason logout --ip 192.0.2.7/24 --client shop --user-agent Firefox \
             --started-from 2026-11-01 --started-to 2026-11-02 --last-seen-from 2026-11-03 --last-seen-to 2026-11-04 \
             --ended-from 2026-11-05 --ended-to 2026-11-06T07:08:09Z --ended-by cli --token {token}"
        );
        let expected = json!({
            "user": "Zoé", "role": "agent", "state": "active", "reason": "logout", "ip": "192.0.2.0/24",
            "client_id": "shop", "user_agent": "Firefox", "started_from": "2026-11-01T00:00:00.000000Z",
            "started_to": "2026-11-02T00:00:00.000000Z", "last_seen_from": "2026-11-03T00:00:00.000000Z",
            "last_seen_to": "2026-11-04T00:00:00.000000Z", "ended_from": "2026-11-05T00:00:00.000000Z",
            "ended_to": "2026-11-06T07:08:09.000000Z", "ended_by": "cli", "token": token,
        });
        assert_eq!(sessions(&line), expected);
        assert_eq!(sessions(""), json!({}));
    }

    #[test]
    fn a_flag_may_be_repeated_and_excluded() {
        let expected = json!({ "user": ["a", "B"], "not_client_id": ["shop", "crm"], "not_state": "ended" });
        assert_eq!(sessions("--user a --not-client shop --user B --not-client crm --not-state ended"), expected);
        let expected = json!({ "kind": "session.ended", "not_actor": "cli" });
        assert_eq!(read::<EventFilter>("--kind session.ended --not-actor cli").unwrap(), expected);
    }

    #[test]
    fn a_role_is_found_whatever_it_looks_like() {
        assert_eq!(sessions("--role \u{430}dmin"), json!({ "role": "\u{430}dmin" }));
    }

    #[test]
    fn what_cannot_be_is_wrong_use() {
        let (time, many) = ("--started-from 2026-11-01", "--user a ".repeat(21));
        let twice = format!("{time} {time}");
        for line in [
            "--state dead",
            "--reason boredom",
            "--ip localhost",
            "--not-ip localhost",
            "--token x",
            "--started-from soon",
            "--client CRM",
            "--not-started-from 2026-11-01",
            &twice,
            &many,
        ] {
            let refused = read::<SessionFilter>(line).unwrap_err();
            assert_eq!(refused.exit_code(), 2, "{line}");
        }
        let refused = read::<SessionFilter>("--reason boredom").unwrap_err().to_string();
        assert!(refused.contains("idle_timeout"), "a wrong one lists them all: {refused}");
    }
}
