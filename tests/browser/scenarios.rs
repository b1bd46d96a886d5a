//! What people do with the pages. What a script needs of the installation is made here; the rest it does itself.

use rstest::rstest;
use vigie::model::secret::{Secret, SecretKind};

use super::script::passes;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;
use crate::support::program::{Program, Server};

/// An installation with one user, and its server.
fn serve_with(backend: Backend, name: &str) -> (Program, Server) {
    let program = Program::new(backend);
    program.add_user(name, "agent");
    let server = program.serve();
    (program, server)
}

#[rstest]
fn people_log_in_and_out_and_nothing_is_left_in_the_browser(#[values(Sqlite, Postgres)] backend: Backend) {
    let (_program, server) = serve_with(backend, "alice");
    passes("login.mjs", &server, &[]);
}

#[rstest]
fn what_one_browser_ends_the_other_sees_at_its_next_click(#[values(Sqlite, Postgres)] backend: Backend) {
    let (_program, server) = serve_with(backend, "alice");
    passes("account.mjs", &server, &[]);
}

#[rstest]
fn a_link_is_used_once_and_leaves_the_address(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    let server = program.serve();
    let setup = server.setup_token().expect("an empty installation prints a token");
    passes("links.mjs", &server, &[("VIGIE_SETUP_TOKEN", &setup)]);
    program.add_user("carol", "agent");
    let reset = program.run(&["user", "reset-password", "carol", "--json"]).json();
    passes("links.mjs", &server, &[("VIGIE_RESET_TOKEN", reset["token"].as_str().expect("a token"))]);
    passes("links.mjs", &server, &[("VIGIE_REPORT_TOKEN", &report_token(&program, "carol"))]);
}

/// A token as the mail about a new device holds it, of the newest session of this user.
fn report_token(program: &Program, name: &str) -> String {
    let token = Secret::random();
    let mut beside = Beside::connect(&program.database.url);
    let statement = format!(
        "INSERT INTO one_time_tokens (digest, purpose, user_id, session_id, created_at, expires_at)
         SELECT {}, 'not_me', user_id, id, started_at, expires_at FROM sessions WHERE username = '{name}'
         ORDER BY started_at DESC LIMIT 1",
        beside.literal(&token.digest().0)
    );
    assert_eq!(beside.execute(&statement).expect("one statement"), 1);
    token.reveal(SecretKind::OneTimeToken)
}

#[rstest]
fn reviewers_find_a_session_and_administrators_end_it(#[values(Sqlite, Postgres)] backend: Backend) {
    let (program, server) = serve_with(backend, "alice");
    program.add_user("nadia", "auditor");
    program.add_user("root", "admin");
    passes("console.mjs", &server, &[]);
}

#[test]
fn every_action_works_without_script() {
    let (_program, server) = serve_with(Sqlite, "bob");
    passes("without-script.mjs", &server, &[]);
}

#[test]
fn every_page_speaks_english_to_who_asks_for_it() {
    let (_program, server) = serve_with(Sqlite, "eve");
    passes("english.mjs", &server, &[]);
}

#[test]
fn the_pages_fit_small_screens_large_letters_and_the_readers_colours() {
    let (_program, server) = serve_with(Sqlite, "dora");
    passes("looks.mjs", &server, &[]);
}

#[test]
fn each_page_holds_what_the_rgaa_asks_for() {
    let program = Program::new(Sqlite);
    let picture = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'><circle cx='4' cy='4' r='4'/></svg>";
    let logo = program.file("logo.svg", picture);
    let program = program
        .with("VIGIE__CONSOLE__LOGO_FILE", &logo)
        .with("VIGIE__CONSOLE__ACCESSIBILITY_CONTACT", "acces@example.org")
        .with("VIGIE__CONSOLE__ACCESSIBILITY_SCHEME", "https://www.example.org/schema");
    program.add_user("rose", "agent");
    program.add_user("rémi", "agent");
    program.add_user("root", "admin");
    let reset = program.run(&["user", "reset-password", "rémi", "--json"]).json();
    let server = program.serve();
    passes("rgaa.mjs", &server, &[("VIGIE_RESET_TOKEN", reset["token"].as_str().expect("a token"))]);
}

#[test]
fn the_keyboard_alone_is_enough() {
    let (_program, server) = serve_with(Sqlite, "flora");
    passes("keyboard.mjs", &server, &[]);
}

#[test]
fn a11y_03_the_idle_end_is_announced_and_one_action_goes_on() {
    let (_program, server) = serve_with(Sqlite, "ida");
    passes("idle.mjs", &server, &[]);
}

#[test]
fn web_02_forms_of_another_origin_do_nothing() {
    let (_program, server) = serve_with(Sqlite, "gina");
    passes("foreign-forms.mjs", &server, &[]);
}

#[test]
fn firefox_logs_in_ends_a_session_and_logs_out() {
    let (_program, server) = serve_with(Sqlite, "hugo");
    passes("firefox.mjs", &server, &[]);
}
