//! HTTP/1.1 as far as the tests need it: one request on one connection, and an upstream that echoes what reached it.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// No answer on loopback takes this long unless something hangs.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A request to be sent.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// An answer, read whole.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header lines in their order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, taken out of its chunks.
    pub body: Vec<u8>,
}

/// An upstream that answers 200 to everything with a JSON account of the request: see [`Response::echo`].
#[derive(Debug)]
pub struct EchoServer {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What the upstream saw.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Echo {
    /// The method.
    pub method: String,
    /// The request target: path and query, as they arrived.
    pub target: String,
    /// The header lines in their order, names in lower case.
    pub headers: Vec<(String, String)>,
}

/// The start line, the header lines and the body of a message.
type Message = (String, Vec<(String, String)>, Vec<u8>);

/// Gets `target` from `address`.
pub fn get(address: SocketAddr, target: &str) -> io::Result<Response> {
    Request::new("GET", target).send(address)
}

// === impl Request ===

impl Request {
    /// A request without a body. `target` goes out as it stands, also where it is not a legal one.
    pub fn new(method: &str, target: &str) -> Self {
        Self { method: method.to_owned(), target: target.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it on a connection of its own and reads the answer. A `host` header of the request's own replaces ours.
    pub fn send(&self, address: SocketAddr) -> io::Result<Response> {
        let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.write_all(&self.encode(address))?;
        let (start, headers, body) = read_message(&mut BufReader::new(stream), true)?;
        let status =
            start.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| invalid("status line"))?;
        Ok(Response { status, headers, body })
    }

    fn encode(&self, address: SocketAddr) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nconnection: close\r\n", self.method, self.target);
        if find(&self.headers, "host").is_none() {
            let _ = write!(head, "host: {address}\r\n");
        }
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if !self.body.is_empty() {
            let _ = write!(head, "content-length: {}\r\n", self.body.len());
        }
        [head.as_bytes(), b"\r\n", &self.body].concat()
    }
}

// === impl Response ===

impl Response {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON: {error}: {self:?}"))
    }

    /// What the upstream saw. Panics where this answer is not the upstream's.
    pub fn echo(&self) -> Echo {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no echo: {error}: {self:?}"))
    }
}

// === impl Echo ===

impl Echo {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

// === impl EchoServer ===

impl EchoServer {
    /// Starts on a free port of the loopback address.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let (requests, stopping) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let thread = thread::spawn({
            let (requests, stopping) = (Arc::clone(&requests), Arc::clone(&stopping));
            move || accept(&listener, &requests, &stopping)
        });
        Self { address, requests, stopping, thread: Some(thread) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests reached it: what was denied on the way must not be among them.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // The accepting thread sees the flag when one more connection comes.
        let _ = TcpStream::connect_timeout(&self.address, TIMEOUT);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, requests: &Arc<AtomicUsize>, stopping: &AtomicBool) {
    for stream in listener.incoming().map_while(Result::ok) {
        if stopping.load(Ordering::SeqCst) {
            return;
        }
        let requests = Arc::clone(requests);
        // A connection that breaks off is the client's affair: a proxy closes idle ones.
        thread::spawn(move || drop(echo(stream, &requests)));
    }
}

fn echo(stream: TcpStream, requests: &AtomicUsize) -> io::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut reader = BufReader::new(stream);
    let (start, headers, _) = read_message(&mut reader, false)?;
    requests.fetch_add(1, Ordering::SeqCst);
    let mut words = start.split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let seen = Echo { method: word(), target: word(), headers };
    let body = serde_json::to_string(&seen)?;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let sent = if seen.method == "HEAD" { head } else { head + &body };
    reader.get_mut().write_all(sent.as_bytes())
}

// === reading a message ===

fn read_message(reader: &mut impl BufRead, until_close: bool) -> io::Result<Message> {
    let start = read_line(reader)?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| invalid("header line"))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let body = read_body(reader, &headers, until_close)?;
    Ok((start, headers, body))
}

/// A body ends where its length or its last chunk says; an answer with neither ends with the connection.
fn read_body(reader: &mut impl BufRead, headers: &[(String, String)], until_close: bool) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if find(headers, "transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        while let length @ 1.. = read_chunk_length(reader)? {
            reader.take(length).read_to_end(&mut body)?;
            read_line(reader)?;
        }
        while !read_line(reader)?.is_empty() {}
    } else if let Some(length) = find(headers, "content-length") {
        let length: usize = length.parse().map_err(|_| invalid("content-length"))?;
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
    } else if until_close {
        reader.read_to_end(&mut body)?;
    }
    Ok(body)
}

fn read_chunk_length(reader: &mut impl BufRead) -> io::Result<u64> {
    let line = read_line(reader)?;
    let digits = line.split(';').next().unwrap_or_default().trim();
    u64::from_str_radix(digits, 16).map_err(|_| invalid("chunk length"))
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned())
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: {what}"))
}
