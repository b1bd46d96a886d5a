//! Filters of lists: which sessions, attempts, events, alerts or users. There is one type for each list: query strings, bodies
//! and flags are read into it, the store asks by it, and the record keeps it as it was asked for.
//!
//! All members hold together. A member that takes several values wants one of them, and has a twin, `not_…`, that wants none
//! of its own; a row that has no such value at all is never excluded.

mod alerts;
mod attempts;
mod events;
mod parse;
mod sessions;
mod users;
mod value;

pub use alerts::{AlertFilter, AlertStateFilter};
pub use attempts::AttemptFilter;
pub use events::EventFilter;
pub use parse::{Criterion, Filter, MOST_VALUES, Member, object_of};
pub use sessions::{SessionFilter, Sort, StateFilter};
pub use users::UserFilter;
pub use value::{LONGEST_TEXT, Moment, Network, Text, UserSelector, ValueKind};
