//! A real `sshd` on a port of its own, with keys and a client's settings in a folder of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::bench::{Bench, free_ports};
use crate::wait::eventually;

/// For whatever another process has to do: a machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);
const SSHD: &str = "/usr/sbin/sshd";

/// `sshd` for this user. Gone when dropped.
#[derive(Debug)]
pub struct SshServer {
    child: Child,
    port: u16,
    bench: Bench,
}

impl Drop for SshServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn done(program: &str, words: &[&str], folder: &Path) {
    let output = Command::new(program).args(words).current_dir(folder).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

impl SshServer {
    /// Lets in whoever has the key `user`, and not `stranger`. `None` without `sshd` and `ssh`, said out loud; in CI that is a failure.
    pub fn start(test: &str) -> Option<SshServer> {
        if !Path::new(SSHD).exists() || Command::new("ssh").arg("-V").output().is_err() {
            murphy_testkit::skip(format_args!("there is no sshd: {test}"));
            return None;
        }
        let bench = Bench::new();
        let folder = bench.path();
        for key in ["host", "user", "stranger"] {
            done("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", key], folder);
        }
        let [port] = free_ports();
        let at = folder.display();
        bench.file(
            "sshd.conf",
            &format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host\nAuthorizedKeysFile {at}/user.pub\n\
                 PermitRootLogin yes\nStrictModes no\nUsePAM no\nPidFile none\n"
            ),
        );
        let key = std::fs::read_to_string(folder.join("host.pub")).expect("the host's key");
        bench.file("known", &format!("[127.0.0.1]:{port} {key}"));
        // `sshd` wants this folder; it is the system's, and empty.
        let _ = std::fs::create_dir("/run/sshd");
        let child = Command::new(SSHD)
            .args(["-D", "-e", "-f", &format!("{at}/sshd.conf")])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sshd");
        let server = SshServer { child, port, bench };
        eventually("sshd listens", PATIENCE, || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(server)
    }

    /// Where it listens on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its keys are.
    pub fn folder(&self) -> &Path {
        self.bench.path()
    }

    /// The name to log in with.
    pub fn user(&self) -> String {
        nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten().expect("a user").name
    }

    /// How a shell calls the client with that key and these settings: `ssh` reads no folder but its user's home.
    pub fn client(&self, key: &str) -> String {
        format!(
            "/usr/bin/ssh -F none -o IdentitiesOnly=yes -o IdentityFile={0}/{key} -o UserKnownHostsFile={0}/known",
            self.bench.path().display()
        )
    }
}
