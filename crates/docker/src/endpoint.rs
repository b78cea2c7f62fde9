//! Where the engine is: `DOCKER_HOST` and its companions, else the sockets at which an engine usually listens. Pure but
//! for one look at which socket files exist; it never connects.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where engines listen, as Docker's own client takes it.
const PLAIN_PORT: u16 = 2375;
const TLS_PORT: u16 = 2376;

/// An engine's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A socket file of this machine.
    Unix(PathBuf),
    /// Plain HTTP, `host:port`.
    Tcp(String),
    /// HTTPS with client certificates.
    Tls {
        /// `host:port`.
        host: String,
        /// The directory of `key.pem`, `cert.pem` and `ca.pem`.
        certificates: PathBuf,
    },
    /// Through `ssh`.
    Ssh(SshHost),
}

/// A machine that `ssh` reaches, with the engine's client on it: `[user@]host[:port][/path/of/socket]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshHost {
    /// As written behind `ssh://`.
    text: String,
    /// `user@host`, as `ssh` takes it.
    target: String,
    port: Option<u16>,
    /// The engine's socket there, where it is not the usual one.
    socket: Option<String>,
}

impl SshHost {
    fn parse(text: &str) -> Option<SshHost> {
        let (place, socket) = match text.find('/') {
            Some(at) => (&text[..at], Some(text[at..].to_owned())),
            None => (text, None),
        };
        let (user, host) = match place.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, place),
        };
        let (host, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':')?)),
            None => match host.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (host, None),
            },
        };
        let port = port.map(str::parse).transpose().ok()?;
        let target = user.map_or(host.to_owned(), |user| format!("{user}@{host}"));
        // A name that looks like an option would be one.
        let odd = |text: &str| text.is_empty() || text.starts_with('-') || text.contains(char::is_whitespace);
        let wrong = odd(host) || user.is_some_and(odd) || socket.as_deref().is_some_and(odd);
        (!wrong).then(|| SshHost { text: text.to_owned(), target, port, socket })
    }

    /// What `ssh` is called with, and the command there that carries an engine's socket. Murphy can answer no question, so
    /// none is asked.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments: Vec<String> =
            ["-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15"].map(str::to_owned).to_vec();
        if let Some(port) = self.port {
            arguments.extend(["-p".to_owned(), port.to_string()]);
        }
        arguments.extend(["--".to_owned(), self.target.clone(), "docker".to_owned()]);
        if let Some(socket) = &self.socket {
            // The far end's shell reads it.
            let quoted = socket.replace('\'', r"'\''");
            arguments.extend(["--host".to_owned(), format!("'unix://{quoted}'")]);
        }
        arguments.extend(["system", "dial-stdio"].map(str::to_owned));
        arguments
    }
}

impl fmt::Display for SshHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Endpoint {
    /// True if the engine's containers run on this machine's kernel as far as the address tells.
    pub fn is_local(&self) -> bool {
        matches!(self, Endpoint::Unix(_))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Unix(path) => write!(f, "unix://{}", path.display()),
            Endpoint::Tcp(host) | Endpoint::Tls { host, .. } => write!(f, "tcp://{host}"),
            Endpoint::Ssh(host) => write!(f, "ssh://{host}"),
        }
    }
}

/// Why `DOCKER_HOST` is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// No scheme that is known.
    #[error(
        "DOCKER_HOST=`{host}` is not an engine's address: write unix:///path, tcp://host:port or ssh://user@host"
    )]
    Scheme {
        /// The text as written.
        host: String,
    },
    /// TLS is asked for, but there are no certificates.
    #[error(
        "DOCKER_TLS_VERIFY is set, but there is no `{}`: set DOCKER_CERT_PATH to the directory of ca.pem, cert.pem and key.pem",
        .missing.display()
    )]
    Certificates {
        /// The first file that is not there.
        missing: PathBuf,
    },
}

/// The variables that say where the engine is. Taken as data, so that tests need not touch the process's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Environment {
    /// `DOCKER_HOST`.
    pub docker_host: Option<String>,
    /// `DOCKER_TLS_VERIFY`; any text but the empty one asks for TLS.
    pub tls_verify: Option<String>,
    /// `DOCKER_CERT_PATH`.
    pub cert_path: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
    /// `HOME`.
    pub home: Option<PathBuf>,
}

impl Environment {
    /// That of this process.
    pub fn of_process() -> Environment {
        let path = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let text = |name| std::env::var(name).ok().filter(|v| !v.is_empty());
        Environment {
            docker_host: text("DOCKER_HOST"),
            tls_verify: text("DOCKER_TLS_VERIFY"),
            cert_path: path("DOCKER_CERT_PATH"),
            runtime_dir: path("XDG_RUNTIME_DIR"),
            home: path("HOME"),
        }
    }

    /// The address that `DOCKER_HOST` gives, if it is set.
    pub fn given(&self) -> Result<Option<Endpoint>, EndpointError> {
        let Some(host) = &self.docker_host else { return Ok(None) };
        let endpoint: Endpoint = host.parse()?;
        let wants_tls = self.tls_verify.is_some() || host.starts_with("https://");
        Ok(Some(match endpoint {
            Endpoint::Tcp(host) if wants_tls => {
                Endpoint::Tls { host: with_port(&host, TLS_PORT), certificates: self.certificates()? }
            }
            Endpoint::Tcp(host) => Endpoint::Tcp(with_port(&host, PLAIN_PORT)),
            other => other,
        }))
    }

    fn certificates(&self) -> Result<PathBuf, EndpointError> {
        let directory = self
            .cert_path
            .clone()
            .or_else(|| self.home.as_ref().map(|home| home.join(".docker")))
            .unwrap_or_else(|| PathBuf::from(".docker"));
        match ["ca.pem", "cert.pem", "key.pem"]
            .map(|file| directory.join(file))
            .into_iter()
            .find(|f| !f.exists())
        {
            Some(missing) => Err(EndpointError::Certificates { missing }),
            None => Ok(directory),
        }
    }

    /// Sockets at which an engine usually listens, most likely first: Docker, Docker Desktop, rootless Docker, then
    /// Podman (of the user, of the system).
    pub fn usual_sockets(&self) -> Vec<PathBuf> {
        let mut sockets = vec![PathBuf::from("/var/run/docker.sock")];
        sockets.extend(self.home.iter().map(|home| home.join(".docker/run/docker.sock")));
        sockets.extend(self.runtime_dir.iter().map(|dir| dir.join("docker.sock")));
        sockets.extend(self.runtime_dir.iter().map(|dir| dir.join("podman/podman.sock")));
        sockets.push(PathBuf::from("/run/podman/podman.sock"));
        sockets
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Endpoint, EndpointError> {
        let unknown = || EndpointError::Scheme { host: text.to_owned() };
        let (scheme, rest) = text.trim().split_once("://").ok_or_else(unknown)?;
        let rest = if scheme == "unix" { rest } else { rest.trim_end_matches('/') };
        if rest.is_empty() {
            return Err(unknown());
        }
        match scheme {
            "unix" => Ok(Endpoint::Unix(PathBuf::from(rest))),
            "tcp" | "http" | "https" => Ok(Endpoint::Tcp(rest.to_owned())),
            "ssh" => SshHost::parse(rest).map(Endpoint::Ssh).ok_or_else(unknown),
            _ => Err(unknown()),
        }
    }
}

/// `host:port`, with this port where none is written. An IPv6 address in brackets has colons of its own.
fn with_port(host: &str, usual: u16) -> String {
    match host.rsplit_once(':') {
        Some((name, "")) => format!("{name}:{usual}"),
        Some((_, port)) if !port.ends_with(']') => host.to_owned(),
        _ => format!("{host}:{usual}"),
    }
}

/// The name of the group that owns a file, for "add yourself to the group …".
pub(crate) fn owning_group(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let gid = std::fs::metadata(path).ok()?.gid();
    let groups = std::fs::read_to_string("/etc/group").ok()?;
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(gid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_host(host: &str) -> Environment {
        Environment { docker_host: Some(host.to_owned()), ..Environment::default() }
    }

    #[test]
    fn every_form_of_docker_host_is_read() {
        let given = |host: &str| with_host(host).given().unwrap().unwrap();
        assert_eq!(given("unix:///run/x.sock"), Endpoint::Unix("/run/x.sock".into()));
        assert_eq!(given("tcp://10.0.0.1:2375/"), Endpoint::Tcp("10.0.0.1:2375".into()));
        for (host, expected) in [
            ("box", "tcp://box:2375"),
            ("box:/", "tcp://box:2375"),
            ("[::1]", "tcp://[::1]:2375"),
            ("[::1]:7", "tcp://[::1]:7"),
        ] {
            assert_eq!(given(&format!("tcp://{host}")).to_string(), expected);
        }
        assert_eq!(given("ssh://me@box:2222").to_string(), "ssh://me@box:2222");
        assert_eq!(Environment::default().given(), Ok(None));
    }

    #[test]
    fn an_ssh_address_becomes_words_for_ssh_and_never_an_option() {
        let words = |text: &str| SshHost::parse(text).map(|host| host.arguments()[5..].join(" "));
        assert_eq!(words("me@box:2222").unwrap(), "-p 2222 -- me@box docker system dial-stdio");
        assert_eq!(words("box").unwrap(), "-- box docker system dial-stdio");
        assert_eq!(words("me@[::1]:22").unwrap(), "-p 22 -- me@::1 docker system dial-stdio");
        assert_eq!(
            words("box/run/user/7/docker.sock").unwrap(),
            "-- box docker --host 'unix:///run/user/7/docker.sock' system dial-stdio"
        );
        for wrong in ["-oProxyCommand=x", "@box", "me@", "box:port", "box:99999", "a b", "-x@box"] {
            assert_eq!(words(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_docker_host_without_a_known_scheme_is_answered_with_the_forms() {
        for host in ["10.0.0.1:2375", "ftp://x", "unix://", "tcp:///"] {
            let error = with_host(host).given().unwrap_err().to_string();
            assert!(error.contains("unix:///path"), "{host}: {error}");
        }
    }

    #[test]
    fn tls_needs_its_three_files_and_names_the_one_that_is_missing() {
        let directory = tempfile::tempdir().unwrap();
        let mut environment = with_host("tcp://box:2376");
        environment.tls_verify = Some("1".into());
        environment.cert_path = Some(directory.path().to_owned());
        std::fs::write(directory.path().join("ca.pem"), "x").unwrap();
        let error = environment.given().unwrap_err();
        assert_eq!(error, EndpointError::Certificates { missing: directory.path().join("cert.pem") });
        std::fs::write(directory.path().join("cert.pem"), "x").unwrap();
        std::fs::write(directory.path().join("key.pem"), "x").unwrap();
        let given = |environment: &Environment| environment.given().unwrap().unwrap();
        assert!(matches!(given(&environment), Endpoint::Tls { host, .. } if host == "box:2376"));
        environment.docker_host = Some("tcp://box".to_owned());
        assert!(matches!(given(&environment), Endpoint::Tls { host, .. } if host == "box:2376"));
    }

    #[test]
    fn podman_comes_after_docker() {
        let environment = Environment { runtime_dir: Some("/run/user/7".into()), ..Environment::default() };
        let sockets = environment.usual_sockets();
        assert_eq!(sockets[0], PathBuf::from("/var/run/docker.sock"));
        assert_eq!(sockets.last(), Some(&PathBuf::from("/run/podman/podman.sock")));
        assert!(sockets.contains(&PathBuf::from("/run/user/7/podman/podman.sock")));
    }
}
