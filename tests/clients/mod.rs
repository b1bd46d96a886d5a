//! Other people's clients: the packages that applications really use, in processes of their own, against a real server.

mod caller;
mod libraries;
mod node_migration;
mod stacks;
