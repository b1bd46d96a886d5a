//! What the doctor finds out about those who are told of alerts and of events: whether they could be told now. Nothing is
//! sent.

use std::fmt::Display;
use std::time::Duration;

use super::Report;
use crate::alert::{InvalidNotifier, try_mail, try_webhook};
use crate::audit::shipping::Sink;
use crate::config::Config;
use crate::connectivity::Connectivity;

/// How long a server may take to show itself.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whether what is needed to tell others is there, and whether they are. That somebody is away is no fault of the
/// installation: what is to be told waits.
pub(super) async fn look_at(config: &Config, report: &mut Report) {
    sinks(config, report).await;
    notifier("alert webhook", "[alerts] webhook_url", try_webhook(config, PATIENCE).await, report);
    notifier("mail", "[mail] smtp_url", try_mail(config, PATIENCE).await, report);
}

/// The sinks that events are sent to.
async fn sinks(config: &Config, report: &mut Report) {
    match Sink::configured(config) {
        Ok(sinks) => {
            for sink in sinks {
                let (name, reach) = (sink.name(), sink.probe(PATIENCE).await);
                tell("shipping", format_args!("{name} "), format_args!("[shipping.{name}]"), &reach, report);
            }
        }
        Err(error) => report.fail("shipping", error),
    }
}

fn notifier(
    name: &'static str,
    setting: &str,
    found: Result<Option<Connectivity>, InvalidNotifier>,
    report: &mut Report,
) {
    match found {
        Ok(None) => {}
        Ok(Some(reach)) => tell(name, "", setting, &reach, report),
        Err(error) => report.fail(name, error),
    }
}

fn tell(name: &'static str, who: impl Display, setting: impl Display, reach: &Connectivity, report: &mut Report) {
    match reach {
        Connectivity::Reachable => report.ok(name, format_args!("{who}can be reached")),
        Connectivity::Unreachable(why) => {
            report.warn(name, format_args!("{who}cannot be reached now: {why}; check {setting}"));
        }
    }
}
