//! The filters of the API as flags: all together, under the same names.

use chrono::{DateTime, Utc};
use ipnet::IpNet;
use serde_json::{Value, json};

use crate::cli::value;
use crate::model::client::ClientId;
use crate::model::id::TokenId;
use crate::model::session::{EndReason, SessionState};
use crate::model::user::Role;
use crate::store::sessions::{SessionFilter, Sort, UserSelector};

/// Which sessions; all flags together.
#[derive(Debug, Default, clap::Args)]
#[group(id = "filter", multiple = true)]
pub(in crate::cli) struct Filter {
    /// Of this user, by id or by name (the present one, or that of a login)
    #[arg(long)]
    user: Option<String>,
    /// Of users who had this role at login
    #[arg(long, value_parser = value::role)]
    role: Option<Role>,
    /// In this state
    #[arg(long)]
    state: Option<State>,
    /// Ended for this reason, such as `logout` or `idle_timeout`; a wrong one lists them all
    #[arg(long)]
    reason: Option<EndReason>,
    /// Whose login came from this address or network, such as `192.0.2.0/24`
    #[arg(long, value_parser = value::network, value_name = "ADDRESS")]
    ip: Option<IpNet>,
    /// Through this application
    #[arg(long, value_parser = value::client_id, value_name = "ID")]
    client: Option<ClientId>,
    /// Whose user agent contains this, whatever the case
    #[arg(long, value_name = "PART")]
    user_agent: Option<String>,
    /// Started not before this time (RFC 3339, or a day)
    #[arg(long, value_parser = value::time, value_name = "TIME")]
    started_from: Option<DateTime<Utc>>,
    /// Started before this time
    #[arg(long, value_parser = value::time, value_name = "TIME")]
    started_to: Option<DateTime<Utc>>,
    /// Last seen not before this time
    #[arg(long, value_parser = value::time, value_name = "TIME")]
    last_seen_from: Option<DateTime<Utc>>,
    /// Last seen before this time
    #[arg(long, value_parser = value::time, value_name = "TIME")]
    last_seen_to: Option<DateTime<Utc>>,
    /// Ended not before this time
    #[arg(long, value_parser = value::time, value_name = "TIME")]
    ended_from: Option<DateTime<Utc>>,
    /// Ended before this time
    #[arg(long, value_parser = value::time, value_name = "TIME")]
    ended_to: Option<DateTime<Utc>>,
    /// Ended by this party: the id of a user or client, or a part of Vigie such as `cli`
    #[arg(long, value_name = "ID")]
    ended_by: Option<String>,
    /// For which this access token was issued: its `jti`
    #[arg(long, value_name = "JTI")]
    token: Option<TokenId>,
}

/// Which states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum State {
    /// That can still be used
    Active,
    /// That cannot
    Ended,
    /// Both
    All,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Ended => "ended",
            Self::All => "all",
        }
    }
}

impl Filter {
    /// The filter as the store takes it.
    pub(super) fn selection(&self) -> SessionFilter {
        SessionFilter {
            user: self.user.as_deref().map(whose),
            role: self.role.as_ref().map(|role| role.as_str().to_owned()),
            state: match self.state {
                Some(State::Active) => Some(SessionState::Active),
                Some(State::Ended) => Some(SessionState::Ended),
                Some(State::All) | None => None,
            },
            reason: self.reason,
            network: self.ip,
            client_id: self.client.as_ref().map(|id| id.as_str().to_owned()),
            user_agent: self.user_agent.clone(),
            started: (self.started_from, self.started_to),
            last_seen: (self.last_seen_from, self.last_seen_to),
            ended: (self.ended_from, self.ended_to),
            ended_by: self.ended_by.clone(),
            token: self.token,
        }
    }

    /// The filter as it was asked for, under the names of the API: for the record.
    pub(super) fn described(&self) -> Value {
        let mut members = json!({
            "user": self.user,
            "role": self.role,
            "state": self.state.map(State::word),
            "reason": self.reason,
            "ip": self.ip.map(|network| network.to_string()),
            "client_id": self.client,
            "user_agent": self.user_agent,
            "started_from": self.started_from,
            "started_to": self.started_to,
            "last_seen_from": self.last_seen_from,
            "last_seen_to": self.last_seen_to,
            "ended_from": self.ended_from,
            "ended_to": self.ended_to,
            "ended_by": self.ended_by,
            "token": self.token,
        });
        if let Value::Object(members) = &mut members {
            members.retain(|_, value| !value.is_null());
        }
        members
    }

    /// Whether every active session matches.
    pub(super) fn matches_every_active(&self) -> bool {
        SessionFilter { state: None, ..self.selection() } == SessionFilter::default()
    }

    /// Whether it asks for sessions that have ended.
    pub(super) fn asks_for_ended(&self) -> bool {
        self.state == Some(State::Ended)
    }
}

fn whose(text: &str) -> UserSelector {
    text.parse().map_or_else(|_| UserSelector::Name(text.to_owned()), UserSelector::Id)
}

/// In which order.
#[derive(Debug, Default, clap::Args)]
pub(in crate::cli) struct Order {
    /// Order; write `--sort=-started_at`
    #[arg(long, default_value = "-started_at", allow_hyphen_values = true)]
    sort: SortWord,
}

/// The orders by name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum SortWord {
    /// Newest login first
    #[default]
    #[value(name = "-started_at")]
    NewestStart,
    /// Oldest login first
    #[value(name = "started_at")]
    OldestStart,
    /// Last used first
    #[value(name = "-last_seen_at")]
    LastSeen,
}

impl Order {
    /// The order as the store takes it.
    pub(super) const fn sort(&self) -> Sort {
        match self.sort {
            SortWord::NewestStart => Sort::NewestStart,
            SortWord::OldestStart => Sort::OldestStart,
            SortWord::LastSeen => Sort::LastSeen,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Flags {
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        order: Order,
    }

    fn flags(line: &str) -> Result<Flags, clap::Error> {
        Flags::try_parse_from(std::iter::once("list").chain(line.split_whitespace()))
    }

    fn at(text: &str) -> DateTime<Utc> {
        value::time(text).unwrap()
    }

    #[test]
    fn without_flags_every_session_is_selected_newest_first() {
        let read = flags("").unwrap();
        assert_eq!(read.filter.selection(), SessionFilter::default());
        assert_eq!(read.filter.described(), json!({}));
        assert_eq!(read.order.sort(), Sort::NewestStart);
    }

    #[test]
    fn every_flag_narrows_the_selection_by_its_own_member() {
        let token = "0198c2a0-0000-7000-8000-000000000000";
        let read = flags(&format!(
            "--user Zoé --role agent --state active --reason logout --ip 192.0.2.7/24 --client shop --user-agent Firefox \
             --started-from 2026-11-01 --started-to 2026-11-02 --last-seen-from 2026-11-03 --last-seen-to 2026-11-04 \
             --ended-from 2026-11-05 --ended-to 2026-11-06T07:08:09Z --ended-by cli --token {token}"
        ));
        let expected = SessionFilter {
            user: Some(UserSelector::Name("Zoé".into())),
            role: Some("agent".into()),
            state: Some(SessionState::Active),
            reason: Some(EndReason::Logout),
            network: Some("192.0.2.0/24".parse().unwrap()),
            client_id: Some("shop".into()),
            user_agent: Some("Firefox".into()),
            started: (Some(at("2026-11-01")), Some(at("2026-11-02"))),
            last_seen: (Some(at("2026-11-03")), Some(at("2026-11-04"))),
            ended: (Some(at("2026-11-05")), Some(at("2026-11-06T07:08:09Z"))),
            ended_by: Some("cli".into()),
            token: Some(token.parse().unwrap()),
        };
        assert_eq!(read.unwrap().filter.selection(), expected);
    }

    #[test]
    fn a_user_is_named_by_id_or_name() {
        let id = "0198c2a0-0000-7000-8000-000000000000";
        assert_eq!(whose(id), UserSelector::Id(id.parse().unwrap()));
        assert_eq!(whose("ALICE"), UserSelector::Name("ALICE".into()));
    }

    #[test]
    fn the_record_says_what_was_asked_under_the_names_of_the_api() {
        let read = flags("--client shop --state all --started-from 2026-11-01 --ip ::ffff:192.0.2.1").unwrap();
        let expected = json!({
            "client_id": "shop", "state": "all", "started_from": "2026-11-01T00:00:00Z", "ip": "192.0.2.1/32",
        });
        assert_eq!(read.filter.described(), expected);
    }

    #[test]
    fn an_order_is_written_as_in_the_api_also_after_a_space() {
        assert_eq!(flags("--sort=-last_seen_at").unwrap().order.sort(), Sort::LastSeen);
        assert_eq!(flags("--sort -last_seen_at").unwrap().order.sort(), Sort::LastSeen);
        assert_eq!(flags("--sort started_at").unwrap().order.sort(), Sort::OldestStart);
    }

    #[test]
    fn what_cannot_be_is_wrong_use() {
        for line in
            ["--state dead", "--reason boredom", "--ip localhost", "--token x", "--started-from soon", "--sort id"]
        {
            assert_eq!(flags(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn a_state_alone_leaves_every_active_session_matching() {
        assert!(flags("").unwrap().filter.matches_every_active());
        assert!(flags("--state active").unwrap().filter.matches_every_active());
        assert!(!flags("--user alice").unwrap().filter.matches_every_active());
    }
}
