//! The languages of pages: which one a reader gets, and its texts.
//!
//! Texts are Fluent files. A text that is missing would be a fault of ours; tests look for each that a template names.

use std::sync::LazyLock;

use actix_web::HttpRequest;
use actix_web::http::header::{AcceptLanguage, Header as _};
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use unic_langid::LanguageIdentifier;

use super::cookies::{CookieUse, Cookies};
use crate::app::App;
use crate::config::Language;

/// The texts of one language.
pub(super) struct Texts(FluentBundle<FluentResource>);

static FRENCH: LazyLock<Texts> = LazyLock::new(|| Texts::read("fr", include_str!("texts/fr.ftl")));
static ENGLISH: LazyLock<Texts> = LazyLock::new(|| Texts::read("en", include_str!("texts/en.ftl")));

impl Texts {
    /// The texts of a language.
    pub fn of(language: Language) -> &'static Self {
        match language {
            Language::Fr => &FRENCH,
            Language::En => &ENGLISH,
        }
    }

    fn read(language: &str, source: &str) -> Self {
        let language: LanguageIdentifier = language.parse().expect("the name of a language");
        let mut bundle = FluentBundle::new_concurrent(vec![language]);
        // The marks around values would be for texts of two directions; they get into what is copied from a page.
        bundle.set_use_isolating(false);
        let resource = FluentResource::try_new(source.to_owned()).expect("the texts are Fluent");
        bundle.add_resource(resource).expect("each text has a name of its own");
        Self(bundle)
    }

    /// The text of this name, with these values in it.
    pub fn get(&self, name: &str, values: Option<&FluentArgs<'_>>) -> String {
        let Some(pattern) = self.0.get_message(name).and_then(|message| message.value()) else {
            tracing::error!(text = name, "a text of a page is missing");
            return name.to_owned();
        };
        self.0.format_pattern(pattern, values, &mut Vec::new()).into_owned()
    }
}

/// The language of a request: the reader's own choice, what the browser asks for, or that of the configuration.
pub(super) fn language(app: &App, request: &HttpRequest) -> Language {
    let chosen = Cookies::of(app).read(request, CookieUse::Language).and_then(|word| word.parse().ok());
    chosen.or_else(|| asked_for(request)).unwrap_or(app.config.console.language)
}

fn asked_for(request: &HttpRequest) -> Option<Language> {
    let asked = AcceptLanguage::parse(request).ok()?;
    asked.ranked().iter().filter_map(|tag| tag.item()).find_map(|tag| tag.primary_language().parse().ok())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use actix_web::test::TestRequest;

    use super::*;

    fn names(source: &str) -> BTreeSet<&str> {
        source
            .lines()
            .filter(|line| !line.starts_with([' ', '#', '}']))
            .filter_map(|line| line.split(" =").next())
            .filter(|name| !name.is_empty())
            .collect()
    }

    #[test]
    fn both_languages_have_the_same_texts() {
        assert_eq!(names(include_str!("texts/fr.ftl")), names(include_str!("texts/en.ftl")));
    }

    #[test]
    fn each_text_that_a_page_names_is_there() {
        let known = names(include_str!("texts/fr.ftl"));
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/pages/templates");
        let folders = [folder.to_owned(), format!("{folder}/console")].map(|folder| std::fs::read_dir(folder).unwrap());
        let templates = folders.into_iter().flatten().map(|template| template.unwrap().path());
        let mut looked = 0;
        for template in templates.filter(|path| path.is_file()) {
            let source = std::fs::read_to_string(template).unwrap();
            for call in ["text(\"", "with(\""] {
                for named in source.split(call).skip(1) {
                    let name = named.split('"').next().unwrap();
                    assert!(known.contains(name), "{name}");
                    looked += 1;
                }
            }
        }
        assert!(looked > 50, "{looked}");
    }

    #[test]
    fn the_browser_is_asked_for_its_language_as_it_ranks_them() {
        let asked =
            |text: &str| asked_for(&TestRequest::default().insert_header(("Accept-Language", text)).to_http_request());
        assert_eq!(asked("fr-CA,fr;q=0.9,en;q=0.8"), Some(Language::Fr));
        assert_eq!(asked("de, en-GB;q=0.7, fr;q=0.3"), Some(Language::En));
        for none in ["de", "*", "", "f", "x;;q=z"] {
            assert_eq!(asked(none), None, "{none}");
        }
    }
}
