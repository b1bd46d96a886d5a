//! Vigie: an auth server that can always say who logged in, when, from where, with which token, and whether that session
//! is still alive; and where logged out means logged out.
//!
//! # The map
//!
//! Each room stands on those that are named before it, and no arrow runs back; a test holds that against the imports
//! (`tests/rooms.rs`).
//!
//! | rooms | know | must not know |
//! |---|---|---|
//! | [`clock`], [`key`], [`connectivity`], [`regular_file`], [`trust`], [`whole_file`] | the time, cryptographic keys, reachable servers, files read only where they end, trusted authorities, files written completely or not at all | |
//! | [`model`] | what exists and what may happen to it; pure | input, output, the time of day |
//! | [`config`], [`telemetry`], [`master_key`], [`webhook`], [`keyring`], [`signed_removal`] | the settings, the log and metrics, the key outside the database, signed webhooks, the keys that the master key opens, events that justify removals | the database |
//! | [`token`] | what a token says and whether it is genuine; pure | whether its session lives |
//! | [`store`] | both databases: the only folder that names diesel | rules |
//! | [`view`] | the objects of the contract, for the API, exports and the command line | |
//! | [`vault`], [`signing_keys`] | the stored keyring and what it encrypts; the keys that sign tokens | sessions |
//! | [`credential`] | passwords and what failures cost | sessions |
//! | [`refusals`] | what was refused, aggregated and recorded; below every room that has something to record | the rules that refuse |
//! | [`alert`] | what reviewers should look at: raised, stored, acknowledged | what may be done with sessions |
//! | [`coherence`] | the lease protocol and this node's live view: a change made through it holds on every node | logins |
//! | [`authentication`] | who are you: a password against an account, under the throttles | sessions |
//! | [`session`] | what may be done with sessions: start, refresh, end, **check** | HTTP |
//! | [`audit`], [`client`], [`user`], [`rotation`] | the history as it is read and shipped, applications, accounts, replacing the master key | HTTP |
//! | [`app`] | all of these, built once | |
//! | [`background`], [`http`], [`cli`] | the same operations by the clock, by HTTP (the only folder that names actix), and by hand | SQL |
//!
//! Alerts stand below the protocol, since the protocol itself reports a database that went back in time; and views stand above the
//! store, since they show its rows as they are.
//!
//! # How a request passes
//!
//! ```text
//! request ─► http::middleware ─► http::authenticate ─► session::check ─► token::verify ─► handler ─► one operation
//!              id, log, limits     who may call          is it alive      is it ours       parse      store.write(…)
//! response ◄─ http::error or JSON ◄──────────────── an operation's error or value ◄─────── Option / StoreError
//! ```
//!
//! # How the check is fast and never wrong
//!
//! While a node holds a lease it answers checks from its live view. Whatever a check depends on is changed through
//! [`coherence`], whose front page describes the protocol. Without a lease every check is a query.
//!
//! # The promises
//!
//! - P1: no token without a row. The session row is committed before its token leaves.
//! - P2: logged out means logged out. Once an end is answered, no request that begins afterwards is accepted, on any node.
//! - P3: no false success. An end is acknowledged when it is durable and every node has stopped accepting.
//! - P4: fail closed. Where the store cannot be asked, the answer is 503: never 200, never 401.
//! - P5: the history is kept. Rows leave only through the retention policy.
//! - P6: the history cannot be changed unseen. `vigie audit verify` names the first bad record.
//! - P7: nothing stored can be replayed: no password, token or secret is in the database, the logs or an export.
//! - P8: fast enough that nobody is tempted to skip the check.
//! - P9: introspection, forward-auth and Vigie's own API never disagree whether a credential is good.
//!
//! # What holds everywhere
//!
//! - *Absence is `Option`; "could not ask" is an error and answers 503.* These never meet (P4).
//! - *A session row is committed before its token leaves* (P1), and every end passes `session::end::end_all_in`.
//! - *The time of day is an argument*: only [`clock`] asks the system.
//! - *Nothing stored can be replayed* (P7): refresh tokens are derived under a key that the database has only encrypted, other
//!   secrets are kept as digests.

pub mod alert;
pub mod app;
pub mod audit;
pub mod authentication;
pub mod background;
pub mod cli;
pub mod client;
pub mod clock;
pub mod coherence;
pub mod config;
pub mod connectivity;
pub mod credential;
pub mod http;
pub mod key;
pub mod keyring;
pub mod master_key;
pub mod model;
pub mod refusals;
pub mod regular_file;
pub mod rotation;
pub mod session;
pub mod signed_removal;
pub mod signing_keys;
pub mod store;
pub mod telemetry;
pub mod token;
pub mod trust;
pub mod user;
pub mod vault;
pub mod view;
pub mod webhook;
pub mod whole_file;
