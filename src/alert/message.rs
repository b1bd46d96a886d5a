//! What mails say, in French and in English. The first line of a template is the subject.

use chrono::{DateTime, Utc};
use url::Url;

use crate::config::Language;
use crate::model::delivery::AccountChange;
use crate::model::session::Session;
use crate::model::user::User;
use crate::view::AlertObject;

const TITLES_EN: &str = include_str!("templates/titles.en.txt");
const TITLES_FR: &str = include_str!("templates/titles.fr.txt");
const CHANGES_EN: &str = include_str!("templates/changes.en.txt");
const CHANGES_FR: &str = include_str!("templates/changes.fr.txt");

/// The subject and the body of a mail, as plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    pub subject: String,
    pub body: String,
}

impl Text {
    fn read(text: &str) -> Self {
        let (subject, body) = text.split_once("\n\n").unwrap_or((text, ""));
        Self { subject: subject.to_owned(), body: body.to_owned() }
    }
}

/// What a kind of alert is called; one of a newer version, by its word.
fn title(language: Language, kind: &str) -> &str {
    phrase(if language == Language::En { TITLES_EN } else { TITLES_FR }, kind).unwrap_or(kind)
}

/// What a list says of a word: one a line, with a colon behind it.
fn phrase(list: &'static str, word: &str) -> Option<&'static str> {
    let of_word = |line: &'static str| line.split_once(": ").filter(|(of, _)| *of == word).map(|(_, phrase)| phrase);
    list.lines().find_map(of_word)
}

/// As a mail writes a time.
fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// The mail to a reviewer about an alert.
pub(super) fn to_reviewer(language: Language, alert: &AlertObject, public_url: &Url) -> Text {
    let nothing = || "-".to_owned();
    let user = alert.user.as_ref().map(|user| match &user.username {
        Some(name) => format!("{name} ({})", user.id),
        None => user.id.clone(),
    });
    let (user, details) = (user.unwrap_or_else(nothing), alert.details.to_string());
    let (session, ip) = (alert.session_id.clone().unwrap_or_else(nothing), alert.ip.clone().unwrap_or_else(nothing));
    let title = title(language, &alert.kind);
    let url = public_url.as_str().trim_end_matches('/');
    let disowned = match (&alert.disowned_at, language) {
        (None, _) => "",
        (Some(_), Language::En) => "The user says that this login was not theirs.\n",
        (Some(_), Language::Fr) => "L'utilisateur dit que cette connexion n'était pas la sienne.\n",
    };
    macro_rules! fill {
        ($template:literal) => {
            format!(
                include_str!($template),
                title = title,
                kind = alert.kind,
                user = user,
                session = session,
                ip = ip,
                raised = alert.raised_at,
                last = alert.last_at,
                count = alert.count,
                details = details,
                disowned = disowned,
                id = alert.id,
                url = url,
            )
        };
    }
    Text::read(&match language {
        Language::En => fill!("templates/reviewer.en.txt"),
        Language::Fr => fill!("templates/reviewer.fr.txt"),
    })
}

/// To a user about a session from a new device, with the address at which the login is reported until `until`.
pub(super) fn to_user(language: Language, user: &User, session: &Session, link: &str, until: DateTime<Utc>) -> Text {
    let device: Vec<&str> =
        [&session.device.browser, &session.device.os].into_iter().flatten().map(String::as_str).collect();
    let device = if device.is_empty() { "-".to_owned() } else { device.join(", ") };
    macro_rules! fill {
        ($template:literal) => {
            format!(
                include_str!($template),
                username = user.username,
                at = moment(session.started_at),
                device = device,
                ip = session.client_info.ip,
                link = link,
                until = moment(until),
            )
        };
    }
    Text::read(&match language {
        Language::En => fill!("templates/new_device.en.txt"),
        Language::Fr => fill!("templates/new_device.fr.txt"),
    })
}

/// To a user about a change of the account.
pub(super) fn of_change(language: Language, user: &User, change: AccountChange, at: DateTime<Utc>) -> Text {
    let changes = if language == Language::En { CHANGES_EN } else { CHANGES_FR };
    let change = phrase(changes, change.as_str()).unwrap_or_default();
    macro_rules! fill {
        ($template:literal) => {
            format!(
                include_str!($template),
                username = user.username,
                role = user.role,
                change = change,
                at = moment(at)
            )
        };
    }
    Text::read(&match language {
        Language::En => fill!("templates/changed.en.txt"),
        Language::Fr => fill!("templates/changed.fr.txt"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::alert::AlertKind;

    #[test]
    fn every_kind_has_a_title_in_both_languages() {
        for kind in AlertKind::ALL {
            for language in Language::ALL {
                assert_ne!(title(*language, kind.as_str()), kind.as_str(), "{language}");
            }
        }
        assert_eq!(title(Language::En, "of_a_newer_version"), "of_a_newer_version");
        for change in AccountChange::ALL {
            for changes in [CHANGES_EN, CHANGES_FR] {
                assert!(phrase(changes, change.as_str()).is_some(), "{change}");
            }
        }
    }

    #[test]
    fn the_first_line_of_a_template_is_the_subject() {
        let text = Text::read("One\n\nTwo\n\nThree\n");
        assert_eq!((text.subject.as_str(), text.body.as_str()), ("One", "Two\n\nThree\n"));
    }
}
