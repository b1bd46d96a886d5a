//! How somebody proves who they are: what a password must be, how it is kept, and how it is compared.

mod hashing_pool;
pub mod password;
mod policy;
pub mod scheme;
mod strength;
pub mod throttle;
