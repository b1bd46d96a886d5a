//! A mail server in the test: takes every mail, in the clear or by TLS, or refuses as long as it is told to.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::certificates::acceptor;

/// A mail that was taken.
#[derive(Debug, Clone)]
pub struct Mail {
    pub to: Vec<String>,
    /// Header and body, decoded.
    pub text: String,
}

/// The server.
pub struct Smtp {
    /// As in `[mail] smtp_url`.
    pub url: String,
    inbox: Arc<Inbox>,
}

#[derive(Default)]
struct Inbox {
    mails: Mutex<Vec<Mail>>,
    /// What clients said to log in.
    logins: Mutex<Vec<String>>,
    refuses: AtomicBool,
}

#[derive(Clone)]
enum Security {
    None,
    /// Nothing but STARTTLS is taken before TLS.
    StartTls(TlsAcceptor),
    /// From the first byte.
    Tls(TlsAcceptor),
}

impl Smtp {
    /// One that speaks in the clear.
    pub async fn start() -> Self {
        Self::listen("smtp", "127.0.0.1", Security::None).await
    }

    /// One that takes mail by TLS alone, with the certificate in a directory: by STARTTLS (`smtp`), or from the first byte
    /// (`smtps`). It is on every address of the machine, also those that its certificate does not have.
    pub async fn secure(scheme: &str, directory: &Path) -> Self {
        let acceptor = acceptor(directory);
        let security = if scheme == "smtps" { Security::Tls(acceptor) } else { Security::StartTls(acceptor) };
        Self::listen(scheme, "0.0.0.0", security).await
    }

    async fn listen(scheme: &str, address: &str, security: Security) -> Self {
        let listener = TcpListener::bind((address, 0)).await.expect("a free port");
        let url = format!("{scheme}://127.0.0.1:{}", listener.local_addr().expect("an address").port());
        let inbox = Arc::new(Inbox::default());
        let smtp = Self { url, inbox: Arc::clone(&inbox) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(take(stream, security.clone(), Arc::clone(&inbox)));
            }
        });
        smtp
    }

    pub fn refuse(&self, refuses: bool) {
        self.inbox.refuses.store(refuses, Ordering::SeqCst);
    }

    /// The mails taken so far.
    pub fn mails(&self) -> Vec<Mail> {
        self.inbox.mails.lock().expect("nobody panics").clone()
    }

    /// Those to this address.
    pub fn mails_to(&self, address: &str) -> Vec<Mail> {
        self.mails().into_iter().filter(|mail| mail.to.iter().any(|to| to == address)).collect()
    }

    /// How clients have logged in (`AUTH PLAIN`, in base64).
    pub fn logins(&self) -> Vec<String> {
        self.inbox.logins.lock().expect("nobody panics").clone()
    }
}

async fn take(stream: TcpStream, security: Security, inbox: Arc<Inbox>) -> Option<()> {
    match security {
        Security::None => {
            let mut stream = BufReader::new(stream);
            say(&mut stream, "220 test").await?;
            talk(stream, &inbox).await
        }
        Security::Tls(acceptor) => {
            let mut stream = BufReader::new(acceptor.accept(stream).await.ok()?);
            say(&mut stream, "220 test").await?;
            talk(stream, &inbox).await
        }
        Security::StartTls(acceptor) => {
            let mut stream = BufReader::new(stream);
            say(&mut stream, "220 test").await?;
            loop {
                match verb(&hear(&mut stream).await?).as_str() {
                    "EHLO" => say(&mut stream, "250-test\r\n250 STARTTLS").await?,
                    "STARTTLS" => break,
                    _ => say(&mut stream, "530 STARTTLS first").await?,
                }
            }
            say(&mut stream, "220 go on").await?;
            talk(BufReader::new(acceptor.accept(stream.into_inner()).await.ok()?), &inbox).await
        }
    }
}

/// Speaks as much of RFC 5321 as a client needs.
async fn talk(mut stream: impl AsyncBufRead + AsyncWrite + Unpin, inbox: &Inbox) -> Option<()> {
    let mut to = Vec::new();
    loop {
        let line = hear(&mut stream).await?;
        let answer = match verb(&line).as_str() {
            "EHLO" => "250-test\r\n250 AUTH PLAIN",
            "AUTH" => {
                inbox.logins.lock().expect("nobody panics").push(line);
                "235 welcome"
            }
            "MAIL" if inbox.refuses.load(Ordering::SeqCst) => "451 later",
            "RCPT" => {
                to.push(line.split(['<', '>']).nth(1).unwrap_or_default().to_owned());
                "250 ok"
            }
            "DATA" => {
                say(&mut stream, "354 go on").await?;
                let mut text = String::new();
                loop {
                    let line = hear(&mut stream).await?;
                    if line == "." {
                        break;
                    }
                    text.push_str(line.strip_prefix('.').unwrap_or(&line));
                    text.push('\n');
                }
                let mail = Mail { to: std::mem::take(&mut to), text: decode(&text) };
                inbox.mails.lock().expect("nobody panics").push(mail);
                "250 taken"
            }
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        say(&mut stream, answer).await?;
    }
}

fn verb(line: &str) -> String {
    line.split([' ', ':']).next().unwrap_or_default().to_uppercase()
}

async fn hear(stream: &mut (impl AsyncBufRead + Unpin)) -> Option<String> {
    let mut line = String::new();
    let length = stream.read_line(&mut line).await.ok()?;
    (length > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), answer: &str) -> Option<()> {
    stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    stream.flush().await.ok()
}

/// Quoted-printable (RFC 2045 §6.7), where the mail says so.
fn decode(text: &str) -> String {
    if !text.contains("quoted-printable") {
        return text.to_owned();
    }
    let (text, mut bytes) = (text.replace("=\n", ""), Vec::new());
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        let hex = others.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let escaped = hex.filter(|_| *first == b'=').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = &others[if escaped.is_some() { 2 } else { 0 }..];
    }
    String::from_utf8(bytes).expect("UTF-8")
}
