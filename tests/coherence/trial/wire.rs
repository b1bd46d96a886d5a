//! HTTP as thin as it can be, so that the machine's time goes to the servers.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

/// An answer that takes longer is none. A halted node answers once it goes on: that is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection that was not used for this long may be closed by the server any moment.
const FRESH: Duration = Duration::from_secs(2);

/// What is asked.
pub struct Question<'a> {
    pub method: &'static str,
    pub path: &'a str,
    /// Empty: nobody asks.
    pub token: &'a str,
    pub body: Option<Value>,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// A connection that is kept, and made anew where it broke or leads to where the node was before.
pub struct Line {
    connection: Option<Connection>,
    used: Instant,
}

/// One connection.
pub struct Connection {
    to: SocketAddr,
    stream: BufReader<TcpStream>,
}

impl Question<'_> {
    fn text(&self, host: SocketAddr) -> String {
        let Self { method, path, token, body } = self;
        let by = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
        let body = body.as_ref().map(Value::to_string).unwrap_or_default();
        let form = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let length = body.len();
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{by}{form}Content-Length: {length}\r\n\r\n{body}")
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

impl Default for Line {
    fn default() -> Self {
        Self { connection: None, used: Instant::now() }
    }
}

impl Line {
    /// Asks, and waits for the whole answer. `None`: nobody answered, and nothing is known of what was done.
    pub fn ask(&mut self, to: SocketAddr, question: &Question) -> Option<Answer> {
        let kept = self.connection.take().filter(|kept| kept.to == to && self.used.elapsed() < FRESH);
        let mut connection = match kept {
            Some(kept) => kept,
            None => Connection::open(to).ok()?,
        };
        connection.send(question).ok()?;
        let (answer, stays_open) = connection.receive().ok()?;
        self.used = Instant::now();
        self.connection = stays_open.then_some(connection);
        Some(answer)
    }
}

impl Connection {
    pub fn open(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { to, stream: BufReader::new(stream) })
    }

    pub fn send(&mut self, question: &Question) -> io::Result<()> {
        self.stream.get_mut().write_all(question.text(self.to).as_bytes())
    }

    /// The answer, and whether the connection can be used again.
    pub fn receive(&mut self) -> io::Result<(Answer, bool)> {
        let status = self.line()?.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or_else(unreadable)?;
        let (mut length, mut stays_open) = (0, true);
        loop {
            let header = self.line()?;
            match header.split_once(':') {
                None if header.is_empty() => break,
                None => return Err(unreadable()),
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().map_err(|_| unreadable())?;
                }
                Some((name, value)) if name.eq_ignore_ascii_case("connection") => {
                    stays_open = !value.trim().eq_ignore_ascii_case("close");
                }
                Some((name, _)) if name.eq_ignore_ascii_case("transfer-encoding") => return Err(unreadable()),
                Some(_) => {}
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        let body = String::from_utf8(body).map_err(|_| unreadable())?;
        Ok((Answer { status, body }, stays_open))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

fn unreadable() -> io::Error {
    io::ErrorKind::InvalidData.into()
}
