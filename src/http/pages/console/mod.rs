//! The console: everybody's sessions, for administrators and reviewers. A page reads as the API does, by the same filter and the
//! same operation, so each reading is recorded in the same way. Its address is the query string of the API.
//!
//! | file | knows |
//! |---|---|
//! | `caller` | who may open a page of the console, and who may act there |
//! | `members` | the members of a list's address |
//! | `people` | what users are called that are known by an id |
//! | `words` | what the words of the API are called in the reader's language |
//! | `filter_form` | the form of a filter, with what is wrong in it |
//! | `chips` | what is set in a filter, each part with the address without it |
//! | `near` | the lists in which a session has something in common with others |
//! | `event` | an event of a session's timeline |
//! | `sessions` | the list |
//! | `session` | one session |
//! | `end` | ending it |

mod caller;
mod chips;
pub(super) mod end;
mod event;
mod filter_form;
mod members;
mod near;
mod people;
pub(super) mod session;
pub(super) mod sessions;
mod words;

use actix_web::{HttpResponse, web};

use super::frame::base;
use super::see_other;
use crate::app::App;
use caller::ConsoleReviewer;

/// Leads to the list of sessions.
pub(super) async fn home(_: ConsoleReviewer, app: web::Data<App>) -> HttpResponse {
    see_other(&sessions::address(&base(&app), ""))
}
