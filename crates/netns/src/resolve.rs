//! The addresses of a name as the process in the namespace would get them: its own hosts file, then its own name server
//! (Docker's answers on 127.0.0.11, inside the namespace only), asked through a socket made inside.
//!
//! Must never use the name service of the machine on which Murphy runs.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::time::timeout;

use crate::dns::{self, Answer, RecordType};
use crate::hosts::{self, NameService};
use crate::socket::IpFamily;
use crate::{Netns, NetnsError};

/// How long one server may take for one question, and how often it is asked.
const PATIENCE: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;

/// Why a name has no address.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// Its name service knows no such name, or no address for it.
    #[error(
        "the name service of process {pid} has no address for `{name}`; is it on the same network, and running?"
    )]
    NoAddress {
        /// The name.
        name: String,
        /// The process whose name service was asked.
        pid: i32,
    },
    /// It cannot be a name.
    #[error("`{name}` cannot be the name of a machine; write a name or an address, without a port")]
    BadName {
        /// The text.
        name: String,
    },
    /// No server answered.
    #[error("no name server of process {pid} answers for `{name}` (asked {}): {last}", servers(.asked))]
    Silent {
        /// The name.
        name: String,
        /// The process whose name service was asked.
        pid: i32,
        /// The servers.
        asked: Vec<IpAddr>,
        /// What the last one did.
        last: String,
    },
    /// The namespace or the files of the process could not be used.
    #[error(transparent)]
    Netns(#[from] NetnsError),
}

fn servers(asked: &[IpAddr]) -> String {
    asked.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ")
}

/// What one name came to over all servers.
enum Found {
    Addresses(Vec<IpAddr>),
    Nothing,
    Silent(String),
}

impl Netns {
    /// All addresses of a name, IPv4 first, as the process in the namespace would get them. Never empty.
    pub async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        if let Ok(address) = name.trim_matches(['[', ']']).parse() {
            return Ok(vec![address]);
        }
        let process = self.identity().process;
        let bare = name.strip_suffix('.').unwrap_or(name);
        if dns::question(0, bare, RecordType::A).is_none() || bare.contains([':', '/', ' ']) {
            return Err(ResolveError::BadName { name: name.to_owned() });
        }
        let known = hosts::addresses_in(&hosts::read(process, "/etc/hosts")?, bare);
        if !known.is_empty() {
            return Ok(known);
        }
        let service = NameService::read(&hosts::read(process, "/etc/resolv.conf")?);
        let mut silence = None;
        for candidate in service.candidates(name) {
            match self.look_up(&service.servers, &candidate).await? {
                Found::Addresses(addresses) => return Ok(addresses),
                Found::Nothing => {}
                Found::Silent(last) => silence = Some(last),
            }
        }
        let (name, pid) = (name.to_owned(), process.pid);
        Err(match silence {
            Some(last) => ResolveError::Silent { name, pid, asked: service.servers, last },
            None => ResolveError::NoAddress { name, pid },
        })
    }

    async fn look_up(&self, servers: &[IpAddr], name: &str) -> Result<Found, NetnsError> {
        let mut addresses = Vec::new();
        let mut last = None;
        for record in [RecordType::A, RecordType::Aaaa] {
            match self.ask_all(servers, name, record).await? {
                Ok(Answer::Addresses(found)) => addresses.extend(found),
                // A name that does not exist has no address of the other type, either.
                Ok(Answer::NoSuchName) => break,
                Ok(Answer::Truncated) => last = Some("an answer too long even for TCP".to_owned()),
                Ok(Answer::Failed(code)) => last = Some(format!("error code {code}")),
                Err(silence) => last = Some(silence),
            }
        }
        Ok(match last {
            // One type is enough: many servers know nothing of IPv6.
            _ if !addresses.is_empty() => Found::Addresses(addresses),
            Some(last) => Found::Silent(last),
            None => Found::Nothing,
        })
    }

    /// Asks one server after the other. The inner error is what the last one did, for the message.
    async fn ask_all(
        &self,
        servers: &[IpAddr],
        name: &str,
        record: RecordType,
    ) -> Result<Result<Answer, String>, NetnsError> {
        let id = next_id();
        let Some(question) = dns::question(id, name, record) else { return Ok(Ok(Answer::NoSuchName)) };
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            for server in servers {
                let server = SocketAddr::new(*server, 53);
                let asked = timeout(PATIENCE, async {
                    match self.ask(server, &question).await {
                        Ok(Ok(Answer::Truncated)) => self.ask_by_stream(server, &question).await,
                        other => other,
                    }
                });
                match asked.await {
                    Ok(Ok(Ok(Answer::Failed(code)))) => last = format!("error code {code}"),
                    Ok(Ok(Ok(answer))) => return Ok(Ok(answer)),
                    Ok(Ok(Err(error))) => last = error.to_string(),
                    Ok(Err(error)) => return Err(error),
                    Err(_) => last = format!("no answer within {} s", PATIENCE.as_secs()),
                }
            }
        }
        Ok(Err(last))
    }

    async fn ask(&self, server: SocketAddr, question: &[u8]) -> Result<io::Result<Answer>, NetnsError> {
        let socket = match self.udp_socket(server).await {
            Ok(socket) => socket,
            // A server that cannot be reached is one that does not answer.
            Err(NetnsError::Io { source, .. }) => return Ok(Err(source)),
            Err(error) => return Err(error),
        };
        Ok(exchange(socket, question).await)
    }

    async fn ask_by_stream(
        &self,
        server: SocketAddr,
        question: &[u8],
    ) -> Result<io::Result<Answer>, NetnsError> {
        let socket = self.dial_socket(IpFamily::of(&server)).await?;
        Ok(exchange_by_stream(socket, server, question).await)
    }
}

async fn exchange(socket: std::net::UdpSocket, question: &[u8]) -> io::Result<Answer> {
    let socket = UdpSocket::from_std(socket)?;
    socket.send(question).await?;
    let mut buffer = [0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        // What answers another question (a late one) is passed over; the caller's patience bounds the loop.
        if let Some(answer) = dns::answer(question, &buffer[..length]) {
            return Ok(answer);
        }
    }
}

/// Over TCP each message has its length in front (RFC 1035 section 4.2.2).
async fn exchange_by_stream(
    socket: socket2::Socket,
    server: SocketAddr,
    question: &[u8],
) -> io::Result<Answer> {
    let mut stream = TcpSocket::from_std_stream(socket.into()).connect(server).await?;
    let mut message = (question.len() as u16).to_be_bytes().to_vec();
    message.extend(question);
    stream.write_all(&message).await?;
    let length = stream.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    let unfit = || io::Error::new(io::ErrorKind::InvalidData, "an answer that does not fit the question");
    dns::answer(question, &message).ok_or_else(unfit)
}

/// Numbers tell a late answer from the present one; the socket is connected, so they need not be secret.
fn next_id() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
