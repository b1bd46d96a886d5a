//! Pages for people with a browser, as the server sends them. What browsers make of them is in `tests/browser`.

mod accessibility;
mod answers;
mod browser;
mod console;
mod forms;
mod gate;
mod half_filled;
mod hints;
mod links;
mod logged_out;
mod login;
mod names;
mod not_me;
mod own;
mod waits;
