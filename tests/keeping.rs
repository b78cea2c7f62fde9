//! A service that keeps what it is given: `POST /write/ID`, and `GET /writes` for all of it, `GET /dead` for its dead letters and
//! `GET /queued` for what waits. It hands each write to a dependency first, and differs in what it does when that does not answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What becomes of a write whose dependency does not answer within 800 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// It is refused with 503, and not kept.
    OrRefuses,
    /// It is acknowledged, and forgotten.
    OrForgets,
    /// It is acknowledged, and kept twice.
    OrKeepsTwice,
    /// It is acknowledged, and put with the dead letters.
    OrSetsAside,
    /// It is acknowledged, and waits for better times, which do not come.
    OrQueues,
}

/// Where writes are.
#[derive(Debug, Default)]
struct Places {
    kept: Vec<String>,
    dead: Vec<String>,
    queued: Vec<String>,
}

/// Serves for as long as the test's process lives.
pub fn keeping(dependency: SocketAddr, how: Keeping) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let places: Arc<Mutex<Places>> = Arc::default();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let places = Arc::clone(&places);
            std::thread::spawn(move || serve(stream, dependency, how, &places));
        }
    });
    address
}

fn serve(mut stream: TcpStream, dependency: SocketAddr, how: Keeping, places: &Mutex<Places>) {
    let mut lines = BufReader::new(stream.try_clone().expect("a socket")).lines();
    let mut path = String::new();
    while let Some(Ok(line)) = lines.next() {
        if let Some(rest) = line.strip_prefix("POST ").or_else(|| line.strip_prefix("GET ")) {
            path = rest.split(' ').next().unwrap_or_default().to_owned();
        }
        if !line.is_empty() {
            continue;
        }
        let (status, body) = match path.strip_prefix("/write/") {
            Some(id) => (write(dependency, how, places, id), String::new()),
            None => (200, places.lock().expect("no panic").at(&path).join("\n")),
        };
        let head = format!("HTTP/1.1 {status} Status\r\nContent-Length: {}\r\n\r\n", body.len());
        if stream.write_all((head + &body).as_bytes()).is_err() {
            return;
        }
    }
}

impl Places {
    fn at(&self, path: &str) -> &[String] {
        match path {
            "/dead" => &self.dead,
            "/queued" => &self.queued,
            _ => &self.kept,
        }
    }
}

fn write(dependency: SocketAddr, how: Keeping, places: &Mutex<Places>, id: &str) -> u16 {
    let answers = answers(dependency);
    let mut places = places.lock().expect("no panic");
    match (answers, how) {
        (true, _) => places.kept.push(id.to_owned()),
        (false, Keeping::OrRefuses) => return 503,
        (false, Keeping::OrForgets) => {}
        (false, Keeping::OrKeepsTwice) => places.kept.extend([id.to_owned(), id.to_owned()]),
        (false, Keeping::OrSetsAside) => places.dead.push(id.to_owned()),
        (false, Keeping::OrQueues) => places.queued.push(id.to_owned()),
    }
    200
}

fn answers(dependency: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(dependency) else { return false };
    // Longer than a busy machine takes: what is forgotten before the fault would be no deed of it.
    stream.set_read_timeout(Some(Duration::from_millis(800))).expect("a socket");
    let asked = stream.write_all(b"GET / HTTP/1.1\r\nHost: db\r\n\r\n");
    asked.and_then(|()| stream.read_exact(&mut [0; 8])).is_ok()
}
