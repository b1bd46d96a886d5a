//! How things are shown: the objects of the contract, the same in the API, in exports and on the command line.

mod attempt;
mod audit;
mod session;
mod user;

use chrono::{DateTime, SecondsFormat, Utc};

pub use attempt::AttemptObject;
pub use audit::{ActorObject, EventObject, SubjectObject};
pub use session::{DeviceObject, SessionObject, SessionUser, TokenObject};
pub use user::{ClientObject, UserObject, UserSummary};

/// RFC 3339 in UTC, ending in `Z`, to the microsecond.
pub(crate) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn optional_time(at: Option<DateTime<Utc>>) -> Option<String> {
    at.map(time)
}
