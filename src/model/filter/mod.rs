//! Filters of the history: which sessions, attempts or events. There is one type for each history: query strings, bodies and
//! flags are read into it, the store asks by it, and the record keeps it as it was asked for.
//!
//! All members hold together. A member that takes several values wants one of them, and has a twin, `not_…`, that wants none
//! of its own; a row that has no such value at all is never excluded.

mod attempts;
mod events;
mod member;
mod sessions;
mod value;

pub use attempts::AttemptFilter;
pub use events::EventFilter;
pub use member::{Criterion, Filter, MOST_VALUES, Member, object_of};
pub use sessions::{SessionFilter, Sort, StateFilter};
pub use value::{LONGEST_TEXT, Moment, Network, Text, UserSelector, ValueKind};
