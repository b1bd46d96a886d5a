//! The lists in which a session has something in common with others. Each is a filter of its own: what was looked for before does
//! not hide anything there.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use url::form_urlencoded;

use super::super::agent::Agent;
use super::super::frame::Frame;
use crate::model::address::wide_network;
use crate::model::session::Session;

/// How far around a login others are near it.
const AROUND: TimeDelta = TimeDelta::minutes(15);

/// A list of sessions.
#[derive(Debug)]
pub(super) struct Near {
    pub text: String,
    /// What it is called in full, where the text leaves something out.
    pub name: Option<String>,
    /// Its query string.
    pub query: String,
}

/// The lists that a session leads to.
pub(super) fn near(frame: &Frame, session: &Session) -> Vec<Near> {
    let ip = session.client_info.ip;
    let (username, address, network) = (session.username.as_str(), ip.to_string(), wide_network(ip).to_string());
    let list =
        |text: &str, value: &str, query: String| Near { text: frame.with(text, "value", value), name: None, query };
    let mut lists = vec![
        list("near-user", username, of_user(session)),
        list("near-address", &address, query(&[("ip", &address)])),
        list("near-network", &network, query(&[("ip", &network)])),
    ];
    if let Some(whole) = &session.client_info.user_agent {
        let Agent { short, whole: further } = Agent::new(frame, &session.device, Some(whole));
        let text = frame.with("near-device", "value", &short);
        // Two that are alike in short are told apart by all that they say.
        let name = further.map(|further| format!("{text}, {further}"));
        lists.push(Near { text, name, query: query(&[("user_agent", whole)]) });
    }
    let (from, to) = (second(session.started_at - AROUND), second(session.started_at + AROUND + TimeDelta::seconds(1)));
    let around = query(&[("started_from", &from), ("started_to", &to)]);
    lists.push(list("near-time", &frame.moment(session.started_at).exact, around));
    lists
}

/// The list of the sessions of the same user.
pub(super) fn of_user(session: &Session) -> String {
    query(&[("user", &session.user_id.to_string())])
}

fn query(members: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(members).finish()
}

/// To the second: a field of a browser holds no more.
fn second(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
