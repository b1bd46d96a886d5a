//! A TCP proxy between the server and its database, so that a test can take the database away and give it back.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use url::Url;

/// Passes connections on until it is told otherwise; ends them all when dropped.
pub struct Proxy {
    address: SocketAddr,
    line: Arc<Line>,
    listening: Option<JoinHandle<()>>,
}

/// What the threads of a proxy share.
struct Line {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    flow: Flow,
    /// Hangs up behind this word of a client, once.
    last_word: Option<&'static str>,
    target: SocketAddr,
    connections: Vec<TcpStream>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Open,
    /// Connections stay, nothing passes: a network that swallows packets.
    Stalled,
    Cut,
    Closed,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and passes on to `target`.
    pub fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port can be had");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = Mutex::new(State { flow: Flow::Open, last_word: None, target, connections: Vec::new() });
        let line = Arc::new(Line { state, changed: Condvar::new() });
        let shared = Arc::clone(&line);
        let listening = thread::spawn(move || shared.accept(&listener));
        Self { address, line, listening: Some(listening) }
    }

    /// A proxy in front of the database at `url`, and the URL that leads through it.
    pub fn in_front_of(url: &str) -> (Self, String) {
        let mut url = Url::parse(url).expect("a database URL");
        let proxy = Self::start(address_of(&url));
        url.set_ip_host(proxy.address.ip()).expect("a postgres URL may have another host");
        url.set_port(Some(proxy.address.port())).expect("a postgres URL may have another port");
        (proxy, url.into())
    }

    /// Leads new connections to the database at `url`, as a name does that points elsewhere.
    pub fn lead_to(&self, url: &str) {
        self.line.state().target = address_of(&Url::parse(url).expect("a database URL"));
    }

    /// Where the proxy listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Drops all connections and closes each new one at once.
    pub fn cut(&self) {
        self.line.turn(Flow::Cut);
    }

    /// Passes this word of a client on, and hangs up before the answer: on one client, once.
    pub fn hang_up_behind(&self, word: &'static str) {
        self.line.state().last_word = Some(word);
    }

    /// Keeps all connections and takes new ones, but passes nothing on until [`Self::restore`], which loses nothing.
    pub fn stall(&self) {
        self.line.turn(Flow::Stalled);
    }

    /// Passes connections on again.
    pub fn restore(&self) {
        self.line.turn(Flow::Open);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.line.turn(Flow::Closed);
        // Wakes the listening thread, which then ends.
        drop(TcpStream::connect(self.address));
        if self.listening.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::debug!("a proxy's listening thread had panicked");
        }
    }
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it holds the lock")
    }

    fn turn(&self, flow: Flow) {
        let mut state = self.state();
        state.flow = flow;
        if matches!(flow, Flow::Cut | Flow::Closed) {
            for connection in state.connections.drain(..) {
                hang_up(&connection);
            }
        }
        self.changed.notify_all();
    }

    fn is_last_word(&self, said: &[u8]) -> bool {
        let mut state = self.state();
        let is_said = |word: &&str| said.windows(word.len()).any(|part| part == word.as_bytes());
        let is_last = state.last_word.as_ref().is_some_and(is_said);
        if is_last {
            state.last_word = None;
        }
        is_last
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming().map_while(Result::ok) {
            let (flow, target) = {
                let state = self.state();
                (state.flow, state.target)
            };
            if flow == Flow::Closed {
                return;
            }
            // A side that cannot be reached shows itself to the client as a closed connection.
            let Ok(server) = TcpStream::connect(target) else { continue };
            self.join(&client, &server);
        }
    }

    /// Passes on between both, each direction in a thread of its own; unless the line was cut meanwhile.
    fn join(self: &Arc<Self>, client: &TcpStream, server: &TcpStream) {
        let duplicate = |stream: &TcpStream| stream.try_clone().expect("a descriptor can be had");
        let mut state = self.state();
        if matches!(state.flow, Flow::Cut | Flow::Closed) {
            return;
        }
        state.connections.extend([duplicate(client), duplicate(server)]);
        for (from, to, is_client) in [(client, server, true), (server, client, false)] {
            let (line, from, to) = (Arc::clone(self), duplicate(from), duplicate(to));
            thread::spawn(move || line.copy(from, to, is_client));
        }
    }

    fn copy(&self, mut from: TcpStream, mut to: TcpStream, is_client: bool) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let stalled = self.changed.wait_while(self.state(), |state| state.flow == Flow::Stalled);
            drop(stalled);
            let is_last = is_client && self.is_last_word(&buffer[..length]);
            if is_last {
                hang_up(&from);
            }
            if to.write_all(&buffer[..length]).is_err() || is_last {
                break;
            }
        }
        hang_up(&from);
        hang_up(&to);
    }
}

fn address_of(url: &Url) -> SocketAddr {
    url.socket_addrs(|| Some(5432)).expect("the database's host is known")[0]
}

/// The other side may have hung up first: then there is nothing left to do.
fn hang_up(connection: &TcpStream) {
    connection.shutdown(Shutdown::Both).ok();
}
