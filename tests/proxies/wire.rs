//! Requests as they are written: no client in between that would tidy up a path.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

/// The key and its answer of RFC 6455 §1.3.
pub const WEBSOCKET_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const WEBSOCKET_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const LIMIT: Duration = Duration::from_secs(30);

/// Where a site is reached by TLS, whatever its name is.
pub struct Secure<'a> {
    pub address: SocketAddr,
    pub connector: &'a TlsConnector,
    /// The name of the site.
    pub host: &'static str,
}

impl Secure<'_> {
    async fn connect(&self) -> impl AsyncRead + AsyncWrite + Unpin {
        let stream = TcpStream::connect(self.address).await.expect("somebody listens");
        let name = ServerName::try_from(self.host).expect("a name");
        self.connector.connect(name, stream).await.expect("a certificate of the authority")
    }
}

/// A request.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    pub method: &'a str,
    pub target: &'a str,
    pub headers: Vec<(&'a str, String)>,
    pub body: &'a str,
}

/// What was answered.
#[derive(Debug, Clone)]
pub struct Told {
    pub status: u16,
    head: String,
    pub body: String,
}

impl<'a> Question<'a> {
    pub fn get(target: &'a str) -> Self {
        Self { method: "GET", target, headers: Vec::new(), body: "" }
    }

    pub fn bearer(self, token: &str) -> Self {
        self.with("Authorization", &format!("Bearer {token}"))
    }

    pub fn with(mut self, name: &'a str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn text(&self, host: &str) -> String {
        let mut text = format!("{} {} HTTP/1.1\r\nHost: {host}\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            write!(text, "{name}: {value}\r\n").expect("a String takes everything");
        }
        if !self.body.is_empty() {
            write!(text, "Content-Length: {}\r\n", self.body.len()).expect("a String takes everything");
        }
        text + "\r\n" + self.body
    }

    /// Asks, on a connection of its own.
    pub async fn ask(self, to: SocketAddr) -> Told {
        let stream = TcpStream::connect(to).await.expect("somebody listens");
        self.ask_over(stream, &to.to_string()).await
    }

    /// The same by TLS.
    pub async fn ask_securely(self, to: &Secure<'_>) -> Told {
        self.ask_over(to.connect().await, to.host).await
    }

    async fn ask_over(self, mut stream: impl AsyncRead + AsyncWrite + Unpin, host: &str) -> Told {
        let text = self.with("Connection", "close").text(host);
        stream.write_all(text.as_bytes()).await.expect("it is taken");
        let mut answer = Vec::new();
        // Not every program takes leave of TLS before it hangs up.
        let read = timeout(LIMIT, stream.read_to_end(&mut answer)).await.expect("an answer in time");
        assert!(!answer.is_empty(), "an answer: {read:?}");
        Told::read(&String::from_utf8(answer).expect("text"))
    }

    /// Asks for a WebSocket; what comes back of what is said over it, or the answer that is none.
    pub async fn talk(self, to: SocketAddr, said: &str) -> Result<String, Told> {
        let stream = TcpStream::connect(to).await.expect("somebody listens");
        self.talk_over(stream, &to.to_string(), said).await
    }

    /// The same by TLS.
    pub async fn talk_securely(self, to: &Secure<'_>, said: &str) -> Result<String, Told> {
        self.talk_over(to.connect().await, to.host, said).await
    }

    async fn talk_over(
        self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
        host: &str,
        said: &str,
    ) -> Result<String, Told> {
        let question = self.with("Connection", "Upgrade").with("Upgrade", "websocket");
        let question = question.with("Sec-WebSocket-Version", "13").with("Sec-WebSocket-Key", WEBSOCKET_KEY);
        stream.write_all(question.text(host).as_bytes()).await.expect("it is taken");
        let mut head = String::new();
        while !head.contains("\r\n\r\n") {
            let byte = timeout(LIMIT, stream.read_u8()).await.expect("an answer in time").expect("an answer");
            head.push(char::from(byte));
        }
        let told = Told::read(&head);
        if told.status != 101 {
            return Err(told);
        }
        stream.write_all(said.as_bytes()).await.expect("it is taken");
        let mut echoed = vec![0; said.len()];
        timeout(LIMIT, stream.read_exact(&mut echoed)).await.expect("an echo in time").expect("an echo");
        Ok(String::from_utf8(echoed).expect("text"))
    }
}

impl Told {
    fn read(answer: &str) -> Self {
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).next()
    }

    /// Every value of a header.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        let pairs = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        pairs.filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// What the application was asked, where it was.
    #[track_caller]
    pub fn asked(&self) -> Asked {
        assert_eq!(self.status, 200, "{self:?}");
        Asked(serde_json::from_str(&self.body).expect("the application's answer"))
    }
}

/// What the application was asked.
#[derive(Debug)]
pub struct Asked(Value);

impl Asked {
    pub fn text(&self, member: &str) -> &str {
        self.0[member].as_str().expect("a text")
    }

    /// Every value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let headers = self.0["headers"].as_array().expect("pairs").iter();
        let pairs = headers.map(|pair| (pair[0].as_str().expect("a name"), pair[1].as_str().expect("a value")));
        pairs.filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}
