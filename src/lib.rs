//! Vigie: an auth server that can always say who logged in, when, from where, with which token, and whether that session
//! is still alive; and where logged out means logged out.
//!
//! # The map
//!
//! Each folder stands on those above it in this list, and no arrow runs back.
//!
//! | part | knows | must not know |
//! |---|---|---|
//! | [`clock`], [`config`], [`telemetry`], [`key`], [`master_key`], [`keyring`], [`trust`], [`reach`], [`webhook`], [`warrant`] | the time, the settings, the log and metrics, what a key does, the key outside the database, the keys that it opens, who is believed, who is there, how others are told, which events may say what was removed | |
//! | [`model`] | what exists and what may happen to it; pure | input, output, the time of day |
//! | [`token`] | what a token says and whether to believe it; pure | whether its session lives |
//! | [`store`] | both databases: the only folder that names diesel | rules |
//! | [`vault`] | the keyring as it is kept, and what is sealed with it | what is sealed |
//! | [`credential`] | passwords and what failures cost | sessions |
//! | [`alert`] | what a reviewer should look at: raised, kept, acknowledged | sessions |
//! | [`session`] | what may be done with sessions: start, refresh, end, **check**; this node's live view and its lease | HTTP |
//! | [`user`], [`client`], [`audit`] | accounts, applications, the history as others read it and as it is sent to them | HTTP |
//! | [`rotation`] | the master key exchanged, and all keys where it leaked | HTTP |
//! | [`view`] | the objects of the contract, for the API, exports and the command line | |
//! | [`app`] | all of these, built once | |
//! | [`http`] | HTTP in, HTTP out: the only folder that names actix | SQL |
//! | [`background`], [`cli`] | the same operations, by the clock and by hand | |
//!
//! # How a request passes
//!
//! ```text
//! request ─► http::middleware ─► http::authenticate ─► token::verify ─► session::check ─► handler ─► one operation
//!              id, log, limits     who may call          is it ours       is it alive       parse      store.write(…)
//! response ◄─ http::error or JSON ◄──────────────── an operation's error or value ◄─────── Option / StoreError
//! ```
//!
//! # How the check is fast and never wrong
//!
//! While a node holds a lease ([`session::lease`]) it answers checks from its live view ([`session::live`]). Whatever a
//! check depends on is changed through [`session::change`], which notes it in the same transaction and returns when every
//! node has applied it or holds no lease any more. `background::coherence` renews the lease and listens for hints; the
//! tables are `changes`, `change_head` and `nodes`. Without a lease every check is a query.
//!
//! A change gets its number after its commit. A number given in the transaction would hold one row's lock until the commit
//! is on the disk: ends would wait for each other's disk, and two that lock their sessions in another order would lock
//! each other out. The numbers are dense all the same, and a lower one never appears after a higher.
//!
//! # What holds everywhere
//!
//! - *Absence is `Option`; "could not ask" is an error and answers 503.* These never meet (P4).
//! - *A session row is committed before its token leaves* (P1), and every end passes `session::end::end_all_in`.
//! - *The time is an argument*: only [`clock`] asks the system.
//! - *Nothing stored can be replayed* (P7): refresh tokens are derived under a key that the database has only sealed, other
//!   secrets are kept as digests.

pub mod alert;
pub mod app;
pub mod audit;
pub mod background;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod credential;
pub mod http;
pub mod key;
pub mod keyring;
pub mod master_key;
pub mod model;
pub mod reach;
pub mod rotation;
pub mod session;
pub mod store;
pub mod telemetry;
pub mod token;
pub mod trust;
pub mod user;
pub mod vault;
pub mod view;
pub mod warrant;
pub mod webhook;
