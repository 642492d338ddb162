//! A TCP proxy for gRPC that cuts a connection in the middle of a message, once it is told to.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// Length, kind, flags and stream of an HTTP/2 frame (RFC 9113, 4.1).
const FRAME_HEADER: usize = 9;
/// The kind of a frame that carries parts of messages.
const DATA: u8 = 0;
/// Compression and length of a gRPC message.
const MESSAGE_HEADER: usize = 5;

/// A cut, once for all proxies that share it.
pub struct Cutter {
    knife: Arc<Knife>,
    cuts: Receiver<usize>,
}

struct Knife {
    armed: AtomicBool,
    done: Sender<usize>,
}

// === impl Cutter ===

impl Cutter {
    /// One that lets everything through.
    pub fn new() -> Self {
        let (done, cuts) = channel();
        Self { knife: Arc::new(Knife { armed: AtomicBool::new(false), done }), cuts }
    }

    /// A proxy to `server`; it goes on until the test process ends.
    pub fn proxy(&self, server: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let knife = Arc::clone(&self.knife);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A server that is away is away for the client too.
                let Ok(server) = TcpStream::connect(server) else { continue };
                // The other end may be gone already.
                let _ = join(client, server, &knife);
            }
        });
        address
    }

    /// Cuts the next message that takes more than one frame, in the middle of its first one.
    pub fn arm(&self) {
        self.knife.armed.store(true, Ordering::SeqCst);
    }

    /// Waits for the cut; gives the length of the message that was cut.
    pub fn wait(&self, within: Duration) -> usize {
        self.cuts.recv_timeout(within).expect("a message that is cut")
    }
}

// === impl Knife ===

impl Knife {
    /// Lets frames through until the stream ends or is cut.
    fn frames(&self, mut from: impl Read, mut to: impl Write) -> io::Result<()> {
        loop {
            let mut header = [0; FRAME_HEADER];
            from.read_exact(&mut header)?;
            let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
            let mut payload = vec![0; length as usize];
            from.read_exact(&mut payload)?;
            to.write_all(&header)?;
            let cut = unfinished(&payload).filter(|_| header[3] == DATA && self.armed.load(Ordering::SeqCst));
            if let Some((begin, length)) = cut.filter(|_| self.armed.swap(false, Ordering::SeqCst)) {
                to.write_all(&payload[..begin.midpoint(payload.len())])?;
                // Nobody waits for it where the test has failed.
                let _ = self.done.send(length);
                return Ok(());
            }
            to.write_all(&payload)?;
        }
    }
}

/// Where a message begins that does not end with these bytes, and how long it is. They begin with a message, as nothing
/// was armed while one was under way.
fn unfinished(payload: &[u8]) -> Option<(usize, usize)> {
    let mut begin = 0;
    loop {
        let header = payload.get(begin..begin + MESSAGE_HEADER)?;
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
        let end = begin + MESSAGE_HEADER + length;
        if end > payload.len() {
            return Some((begin, length));
        }
        begin = end;
    }
}

/// Copies both ways, each on a thread; the end of one is the end of both.
fn join(client: TcpStream, server: TcpStream, knife: &Arc<Knife>) -> io::Result<()> {
    let (mut asks, mut asked) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut asks, &mut asked);
        close([&asks, &asked]);
    });
    let knife = Arc::clone(knife);
    thread::spawn(move || {
        let _ = knife.frames(&server, &client);
        close([&server, &client]);
    });
    Ok(())
}

fn close(ends: [&TcpStream; 2]) {
    for end in ends {
        // It may be closed already.
        let _ = end.shutdown(Shutdown::Both);
    }
}
