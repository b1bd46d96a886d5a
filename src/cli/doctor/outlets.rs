//! What the doctor finds out about those who are told of alerts: whether they could be told now. Nothing is sent.

use std::fmt::Display;
use std::time::Duration;

use super::Report;
use crate::alert::{InvalidOutlet, Reach, try_mail, try_webhook};
use crate::config::Config;

/// How long a server may take to show itself.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whether what is needed to tell others is there, and whether they are. That somebody is away is no fault of the
/// installation: what is to be told waits.
pub(super) async fn look_at(config: &Config, report: &mut Report) {
    tell("alert webhook", "[alerts] webhook_url", try_webhook(config, PATIENCE).await, report);
    tell("mail", "[mail] smtp_url", try_mail(config, PATIENCE).await, report);
}

fn tell(name: &'static str, setting: impl Display, found: Result<Reach, InvalidOutlet>, report: &mut Report) {
    match found {
        Ok(Reach::Off) => {}
        Ok(Reach::Reached) => report.ok(name, "can be reached"),
        Ok(Reach::NotReached(why)) => report.warn(name, format_args!("cannot be reached now: {why}; check {setting}")),
        Err(error) => report.fail(name, error),
    }
}
