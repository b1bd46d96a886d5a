//! Mails alerts to reviewers, and to users what concerns them. Links lead to `[server] public_url` only, whatever host a
//! request was sent to (D5-40).

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use percent_encoding::percent_decode_str;
use url::Url;

use super::REPORT_LINK_LIFE;
use super::message::{self, Text};
use super::notifier::{InvalidNotifier, read_secret};
use crate::config::{Config, Language, is_loopback};
use crate::model::delivery::{AccountChange, Delivery};
use crate::model::secret::{Secret, SecretKind};
use crate::model::session::Session;
use crate::model::user::{Email, User};
use crate::regular_file;
use crate::view::AlertObject;

/// How a certificate begins in a file.
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
/// How long a try may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The configured mail server.
pub(super) struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    reviewers: Vec<Email>,
    language: Language,
    public_url: Url,
}

impl Mail {
    /// The mailer of `[mail]`; `None` where no `smtp_url` is configured.
    pub fn open(config: &Config) -> Result<Option<Self>, InvalidNotifier> {
        let rules = &config.mail;
        let Some(url) = &rules.smtp_url else { return Ok(None) };
        let failed = |key: &'static str| move |error: String| InvalidNotifier::new(key, &error);
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let authorities = authorities(&rules.ca_file).map_err(failed("mail.ca_file"))?;
        let (tls, port) = security(url, &host, authorities).map_err(failed("mail.smtp_url"))?;
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(url.port().unwrap_or(port))
            .tls(tls)
            .timeout(Some(PATIENCE));
        if !url.username().is_empty() {
            let password = read_secret("mail.password_file", &rules.password_file)?;
            builder = builder.credentials(Credentials::new(decoded_user(url), password.to_string()));
        }
        let from = rules.from.parse::<Mailbox>().map_err(|error| failed("mail.from")(error.to_string()))?;
        Ok(Some(Self {
            transport: builder.build(),
            from,
            reviewers: rules.reviewers.clone(),
            language: rules.language,
            public_url: config.server.public_url.clone(),
        }))
    }

    /// The addresses of `[mail] reviewers`, to which every alert is mailed.
    pub fn reviewers(&self) -> &[Email] {
        &self.reviewers
    }

    /// Connects and logs in, and sends nothing: whether the server is there, and who it should be.
    pub async fn probe(&self) -> Result<(), String> {
        match self.transport.test_connection().await {
            Ok(true) => Ok(()),
            Ok(false) => Err("it does not go on".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Mails an alert to a reviewer; the text says why that failed.
    pub async fn to_reviewer(
        &self,
        delivery: &Delivery,
        reviewer: &str,
        alert: &AlertObject,
        now: DateTime<Utc>,
    ) -> Result<(), String> {
        self.send(delivery, reviewer, message::to_reviewer(self.language, alert, &self.public_url), now).await
    }

    /// Mails to a user that a session began on a new device, with the means to report it.
    pub async fn to_user(
        &self,
        delivery: &Delivery,
        email: &Email,
        (user, session): (&User, &Session),
        token: &Secret,
        now: DateTime<Utc>,
    ) -> Result<(), String> {
        let base = self.public_url.as_str().trim_end_matches('/');
        let link = format!("{base}/auth/not-me?token={}", token.reveal(SecretKind::OneTimeToken));
        let until = delivery.created_at + REPORT_LINK_LIFE;
        self.send(delivery, email.as_str(), message::to_user(self.language, user, session, &link, until), now).await
    }

    /// Mails to a user, at this address, what was changed of the account.
    pub async fn of_change(
        &self,
        delivery: &Delivery,
        address: &str,
        (user, change): (&User, AccountChange),
        now: DateTime<Utc>,
    ) -> Result<(), String> {
        self.send(delivery, address, message::of_change(self.language, user, change, delivery.created_at), now).await
    }

    async fn send(&self, delivery: &Delivery, to: &str, text: Text, now: DateTime<Utc>) -> Result<(), String> {
        let to = to.parse::<Mailbox>().map_err(|error| error.to_string())?;
        let id = format!("<{}@{}>", delivery.id, self.public_url.host_str().unwrap_or("vigie"));
        let message = automatic(Message::builder())
            .from(self.from.clone())
            .to(to)
            .subject(text.subject)
            .date(now.into())
            .message_id(Some(id))
            .header(ContentType::TEXT_PLAIN)
            .body(text.body)
            .map_err(|error| error.to_string())?;
        self.transport.send(message).await.map(drop).map_err(|error| reason(&error))
    }
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mail")
    }
}

/// Why a mail was not taken. Of what the server answers only the code: its words repeat the address, which is kept no longer than
/// it is needed.
fn reason(error: &smtp::Error) -> String {
    error.status().map_or_else(|| error.to_string(), |code| format!("the mail server answers {code}"))
}

/// Nobody's holiday message answers it (RFC 3834 §5).
fn automatic(builder: MessageBuilder) -> MessageBuilder {
    let name = HeaderName::new_from_ascii_str("Auto-Submitted");
    builder.raw_header(HeaderValue::new(name, "auto-generated".to_owned()))
}

/// The authorities in a file; `None` where no file is named.
fn authorities(file: &Path) -> Result<Option<Certificate>, String> {
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let (mut opened, _) = regular_file::open(file).map_err(|error| failed(&error))?;
    let mut pem = Vec::new();
    opened.read_to_end(&mut pem).map_err(|error| failed(&error))?;
    if !pem.windows(BEGIN.len()).any(|part| part == BEGIN) {
        return Err(failed(&"holds no certificate"));
    }
    Certificate::from_pem(&pem).map(Some).map_err(|error| failed(&error))
}

/// TLS from the first byte with `smtps`, by STARTTLS with `smtp`; without only to this very machine, unless its authorities
/// are named. Authorities that are named are the only ones believed.
fn security(url: &Url, host: &str, authorities: Option<Certificate>) -> Result<(Tls, u16), String> {
    let is_named = authorities.is_some();
    let parameters = || {
        let builder = TlsParameters::builder(host.to_owned());
        let builder = match authorities {
            Some(named) => builder.certificate_store(CertificateStore::None).add_root_certificate(named),
            None => builder,
        };
        builder.build().map_err(|error| error.to_string())
    };
    Ok(match url.scheme() {
        "smtps" => (Tls::Wrapper(parameters()?), 465),
        _ if is_loopback(url) && !is_named => (Tls::None, 25),
        _ => (Tls::Required(parameters()?), 587),
    })
}

/// The name to log in with, without the percent signs of an address.
fn decoded_user(url: &Url) -> String {
    percent_decode_str(url.username()).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> (&'static str, u16) {
        let url: Url = text.parse().unwrap();
        let (tls, port) = security(&url, url.host_str().unwrap(), None).unwrap();
        let word = match tls {
            Tls::None => "none",
            Tls::Opportunistic(_) => "perhaps",
            Tls::Required(_) => "starttls",
            Tls::Wrapper(_) => "tls",
        };
        (word, port)
    }

    #[test]
    fn mail_leaves_the_machine_only_by_tls() {
        assert_eq!(words("smtps://mail.example.org"), ("tls", 465));
        assert_eq!(words("smtp://mail.example.org"), ("starttls", 587));
        assert_eq!(words("smtp://192.0.2.1:25"), ("starttls", 587));
        assert_eq!(words("smtp://127.0.0.1:2525"), ("none", 25));
        assert_eq!(words("smtps://127.0.0.1"), ("tls", 465));
    }

    #[test]
    fn a_user_name_may_hold_an_at_sign() {
        for (user, name) in [("vigie%40example.org", "vigie@example.org"), ("a+b", "a+b"), ("a&b=c", "a&b=c")] {
            assert_eq!(decoded_user(&format!("smtp://{user}@example.org").parse().unwrap()), name);
        }
    }
}
