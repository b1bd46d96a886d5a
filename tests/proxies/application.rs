//! An application behind a proxy: it answers what it was asked, and echoes what is said over a WebSocket.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use serde_json::{Value, json};

use super::wire::WEBSOCKET_ACCEPT;

/// Starts one; it runs as long as this process.
pub fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// A request as it arrived.
struct Asked {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Asked {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn json(&self) -> Value {
        json!({ "method": self.method, "target": self.target, "headers": self.headers, "body": self.body })
    }
}

/// Serves a connection until the other end closes it.
fn serve(stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream);
    while let Some(asked) = read(&mut reader) {
        let stream = reader.get_mut();
        if asked.header("upgrade").is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket")) {
            return echo(stream);
        }
        let body = asked.json().to_string();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).ok()?;
    }
    Some(())
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut lines = std::iter::from_fn(|| {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end();
        (!line.is_empty()).then(|| line.to_owned())
    });
    let first = lines.next()?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let pair = |line: String| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
    let headers: Vec<(String, String)> = lines.filter_map(pair).collect();
    let mut asked = Asked { method, target, headers, body: String::new() };
    let length = asked.header("content-length").map_or(Some(0), |length| length.parse().ok())?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    asked.body = String::from_utf8(body).ok()?;
    Some(asked)
}

/// What comes goes back: frames are nothing that a proxy looks into.
fn echo(stream: &mut TcpStream) -> Option<()> {
    let accepted = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {WEBSOCKET_ACCEPT}\r\n\r\n"
    );
    stream.write_all(accepted.as_bytes()).ok()?;
    let mut said = [0; 64];
    let length = stream.read(&mut said).ok()?;
    stream.write_all(&said[..length]).ok()
}
