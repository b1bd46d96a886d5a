//! What exists and what may happen to it: users, clients, sessions, attempts, audit events, and the small types
//! they are made of. No input or output but random bytes, and time is an argument.

pub mod address;
pub mod alert;
pub mod attempt;
pub mod audit;
pub mod change;
pub mod client;
pub mod delivery;
pub mod details;
pub mod device;
pub mod filter;
pub mod folding;
pub mod id;
pub mod lookalike;
pub mod not_before;
pub mod record;
pub mod redaction;
pub mod retention;
pub mod secret;
pub mod session;
pub mod user;
pub(crate) mod words;

pub use words::UnknownWord;
pub(crate) use words::words;
