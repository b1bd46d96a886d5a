//! `[mail]`: how mail leaves.

use std::path::PathBuf;

use lettre::message::Mailbox;

use super::faults::Faults;
use super::secret_url::SecretUrl;
use super::setting::{Text, section, word};
use crate::model::user::Email;
use crate::model::words;

section! {
    /// `[mail]`
    pub struct Mail {
        pub smtp_url: Option<SecretUrl>,
        pub from: String,
        pub password_file: PathBuf,
        pub ca_file: PathBuf,
        pub reviewers: Vec<Email>,
        pub language: Language,
    }
}

words! {
    /// In which language people are written to.
    pub enum Language {
        /// French.
        Fr = "fr",
        /// English.
        En = "en",
    }
}

word!(Language);

impl Mail {
    pub(super) fn check(&self, faults: &mut Faults) {
        if let Some(url) = &self.smtp_url {
            let message = "must begin with smtp:// or smtps://";
            faults.require(matches!(url.scheme(), "smtp" | "smtps"), "mail.smtp_url", message);
            let names_server = url.host_str().is_some_and(|host| !host.is_empty());
            faults.require(names_server, "mail.smtp_url", "names no server");
            let message = "must hold no password: use mail.password_file";
            faults.require(url.password().is_none(), "mail.smtp_url", message);
            let has_password = !self.password_file.as_os_str().is_empty();
            let needs_password = !url.username().is_empty();
            let message = "goes with a user name in mail.smtp_url";
            faults.require(has_password == needs_password, "mail.password_file", message);
            faults.require(self.from.parse::<Mailbox>().is_ok(), "mail.from", "must be an e-mail address");
        }
        let can_be_reached = self.reviewers.is_empty() || self.smtp_url.is_some();
        faults.require(can_be_reached, "mail.reviewers", "can only be written to with mail.smtp_url");
    }
}

impl Text for Email {
    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|_| "each must be an e-mail address".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::support::faults;

    #[test]
    fn mail_asks_for_all_that_it_needs() {
        let smtp = |url| ("VIGIE__MAIL__SMTP_URL", url);
        let from = ("VIGIE__MAIL__FROM", "Vigie <vigie@example.org>");
        let reviewers = ("VIGIE__MAIL__REVIEWERS", "a@example.org, b@example.org");
        assert_eq!(faults(&[smtp("smtp://mail.example.org"), from, reviewers]), [""; 0]);
        assert_eq!(faults(&[smtp("smtp://mail.example.org")]), ["mail.from"]);
        assert_eq!(faults(&[smtp("mail.example.org"), from]), ["mail.smtp_url"]);
        assert_eq!(faults(&[smtp("smtps://v:x@mail.example.org"), from]), ["mail.smtp_url", "mail.password_file"]);
        assert_eq!(faults(&[smtp("smtps://v@mail.example.org"), from]), ["mail.password_file"]);
        assert_eq!(faults(&[reviewers]), ["mail.reviewers"]);
        assert_eq!(faults(&[smtp("smtp://m.example.org"), from, ("VIGIE__MAIL__REVIEWERS", "a")]), ["mail.reviewers"]);
        assert_eq!(faults(&[("VIGIE__MAIL__LANGUAGE", "de")]), ["mail.language"]);
    }
}
