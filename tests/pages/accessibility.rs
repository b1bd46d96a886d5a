//! The declaration of accessibility: its numbers are those of the grid, and every page names its state.

use rstest::rstest;

use super::browser::{Browser, Page as _};
use crate::support::app::TestApp;
use crate::support::backend::Backend::{self, Postgres, Sqlite};

/// How many criteria of the grid are in this state, counted from its text.
fn in_grid(state: &str) -> usize {
    include_str!("../../docs/accessibility.md")
        .lines()
        .filter(|line| {
            let cells: Vec<&str> = line.split(" | ").collect();
            let is_criterion = cells[0].strip_prefix("| ").is_some_and(|number| number.split('.').count() == 2);
            is_criterion && cells.get(2) == Some(&state)
        })
        .count()
}

/// The sum of a column of the table of themes.
fn column(page: &str, label: &str) -> usize {
    let begin = format!("<td data-label=\"{label}\">");
    page.split(&begin).skip(1).map(|cell| cell.split('<').next().unwrap().parse::<usize>().unwrap()).sum()
}

#[rstest]
#[actix_web::test]
async fn a11y_06_the_declaration_has_the_numbers_of_the_grid(#[values(Sqlite, Postgres)] backend: Backend) {
    let name = ("VIGIE__CONSOLE__NAME", "Mairie d'Exemple");
    let app = TestApp::start_with(backend, &[name]).await;
    app.user("alice", "agent").await;
    let (met, not_met, not_applicable) = (in_grid("conforme"), in_grid("non conforme"), in_grid("non applicable"));
    assert_eq!(met + not_met + not_applicable, 106);
    let applicable = met + not_met;
    for mut browser in [Browser::new(&app), Browser::logged_in(&app, "alice").await] {
        let page = browser.open("/accessibility").await.expect_page(200);
        assert_eq!(column(&page, "Conformes"), met);
        assert_eq!(column(&page, "Non conformes"), not_met);
        assert_eq!(column(&page, "Non applicables"), not_applicable);
        let percentage = met * 100 / applicable;
        let result =
            format!("{percentage}\u{a0}% des critères applicables sont respectés\u{a0}: {met} sur {applicable}.");
        assert!(page.contains(&result), "{result}: {page}");
        let state = if not_met == 0 { "totalement conformes" } else { "partiellement conformes" };
        assert!(page.contains(&format!("<strong>Ces pages sont {state}")), "{page}");
        let (_, missing) = page.split_once("<ul lang=\"fr\">").expect("what is not met");
        let (missing, _) = missing.split_once("</ul>").unwrap();
        assert_eq!(missing.matches("<li>").count(), not_met);
        for said in [
            "Mairie d&#39;Exemple s&#39;engage",
            "auto-évaluation",
            "30 novembre 2026",
            "formulaire.defenseurdesdroits.fr",
        ] {
            assert!(page.contains(said), "{said}: {page}");
        }
    }
}

#[rstest]
#[actix_web::test]
async fn a11y_06_every_page_says_how_accessible_it_is(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    let mut browser = Browser::logged_in(&app, "alice").await;
    let state = if in_grid("non conforme") == 0 { "totalement conforme" } else { "partiellement conforme" };
    let link = format!("<a href=\"/accessibility\">Accessibilité\u{a0}: {state}</a>");
    for path in
        ["/account", "/account/sessions", "/account/attempts", "/account/password", "/account/export", "/logout"]
    {
        let page = browser.open(path).await.expect_page(200);
        assert!(page.contains(&link), "{path}: {page}");
    }
    let mut stranger = Browser::new(&app);
    for path in ["/login", "/privacy", "/accessibility"] {
        assert!(stranger.open(path).await.expect_page(200).contains(&link), "{path}");
    }
    stranger.submit("/preferences", &[("language", "en"), ("return_to", "/accessibility")]).await;
    let page = stranger.open("/accessibility").await.expect_page(200);
    assert!(page.contains("<h1>Accessibility statement</h1>") && page.contains("Accessibility: "), "{page}");
    assert!(page.contains("<th scope=\"row\" lang=\"fr\">Images</th>"), "{page}");
    app.app.chain.seal().await.unwrap();
    assert_eq!(crate::audit::verify(&app).await.unwrap().waiting, 0);
}

#[rstest]
#[actix_web::test]
async fn a11y_06_the_declaration_names_whom_to_write_to(#[values(Sqlite, Postgres)] backend: Backend) {
    let contact = ("VIGIE__CONSOLE__ACCESSIBILITY_CONTACT", "acces@example.org");
    let scheme = ("VIGIE__CONSOLE__ACCESSIBILITY_SCHEME", "https://www.example.org/schema");
    let app = TestApp::start_with(backend, &[contact, scheme]).await;
    let page = Browser::new(&app).open("/accessibility").await.expect_page(200);
    assert!(page.contains("<a href=\"mailto:acces@example.org\">acces@example.org</a>"), "{page}");
    assert!(page.contains("<a href=\"https://www.example.org/schema\">Schéma pluriannuel"), "{page}");
    let app = TestApp::start(backend).await;
    let page = Browser::new(&app).open("/accessibility").await.expect_page(200);
    assert!(page.contains("administrateur du service") && !page.contains("mailto:"), "{page}");
    assert!(!page.contains("Schéma pluriannuel"), "{page}");
}
