//! A real Redis and a real caller of it in containers, which know nothing of Murphy; the programs are this machine's own,
//! lent to them.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use murphy_testkit::{Member, Sandbox};
use serde_json::{Value, json};

use crate::bench::{murphy, redis_or_skip};
use crate::wait::eventually;

const PATIENCE: Duration = Duration::from_secs(60);

/// `cart` calls `redis`, each in a container of its own on one network.
#[derive(Debug)]
pub struct CartStack {
    /// All of it.
    pub sandbox: Sandbox,
    /// Their network.
    pub network: String,
    /// The dependency.
    pub redis: Member,
    /// The caller.
    pub cart: Member,
}

/// A container that runs a program of this machine, with this machine's libraries.
pub fn lent(network: &str, program: &Path, alias: &str) -> Value {
    let mut binds: Vec<String> = ["/usr", "/lib", "/lib64", "/bin"]
        .into_iter()
        .filter(|path| Path::new(path).exists())
        .map(|path| format!("{path}:{path}:ro"))
        .collect();
    binds.push(format!("{}:/murphy:ro", murphy().display()));
    json!({
        "Entrypoint": [program],
        "HostConfig": { "Binds": binds, "NetworkMode": network },
        "NetworkingConfig": { "EndpointsConfig": { network: { "Aliases": [alias] } } },
    })
}

impl CartStack {
    /// Both up and ready; `None` where there is no engine, no root or no Redis, and a test may be skipped.
    pub fn up(test: &str) -> Option<CartStack> {
        if !nix::unistd::geteuid().is_root() {
            murphy_testkit::skip("this is not root");
            return None;
        }
        if !redis_or_skip() {
            return None;
        }
        let sandbox = Sandbox::open(test)?;
        let network = sandbox.network("net", json!({}));
        let redis = redis(&sandbox, &network, "redis");
        let cart = cart(&sandbox, &network, "cart", &sandbox.name("redis"), json!({}));
        let stack = CartStack { sandbox, network, redis, cart };
        stack.wait_ready(&stack.cart);
        Some(stack)
    }

    /// The address of one on their network.
    pub fn address(&self, of: &Member) -> String {
        let networks = &self.sandbox.inspect(&of.id)["NetworkSettings"]["Networks"];
        networks[&self.network]["IPAddress"].as_str().expect("an address").to_owned()
    }

    /// Waits until a cart answers.
    pub fn wait_ready(&self, cart: &Member) {
        let url = format!("{}:7004", self.address(cart));
        eventually("the cart is ready", PATIENCE, || {
            get(&url, "/ready").is_some_and(|(status, _)| status == 200)
        });
    }

    /// The main process of one.
    pub fn pid(&self, of: &Member) -> i64 {
        self.sandbox.inspect(&of.id)["State"]["Pid"].as_i64().expect("a pid")
    }

    /// What a program of this machine says in the network of a container.
    pub fn inside(&self, of: &Member, program: &[&str]) -> String {
        beside(self.pid(of), program)
    }

    /// How long one new call to a Redis takes from inside a container.
    pub fn ping(&self, from: &Member, redis: &Member) -> Duration {
        // What the engine is asked for is no part of it.
        let (address, pid) = (self.address(redis), self.pid(from));
        let begun = Instant::now();
        let said = beside(pid, &["redis-cli", "-h", &address, "ping"]);
        assert!(said.starts_with("PONG"), "{said}");
        begun.elapsed()
    }

    /// How many tables of Murphy's are in the network of a container. The engine has tables of its own in there, for its name
    /// server.
    pub fn tables_of_murphy(&self, of: &Member) -> usize {
        self.inside(of, &["nft", "list", "tables"]).lines().filter(|line| line.contains(" murphy_")).count()
    }
}

/// What a program of this machine says in the network of a process.
fn beside(pid: i64, program: &[&str]) -> String {
    let pid = pid.to_string();
    let output = Command::new("nsenter").args(["-t", &pid, "-n"]).args(program).output().expect("nsenter");
    assert!(output.status.success(), "{program:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A Redis under this name on a network.
pub fn redis(sandbox: &Sandbox, network: &str, short: &str) -> Member {
    let words = ["--save", "", "--appendonly", "no", "--protected-mode", "no"];
    sandbox.container(short, &words, lent(network, Path::new("/usr/bin/redis-server"), short))
}

/// A cart of the demo shop that calls this Redis.
pub fn cart(sandbox: &Sandbox, network: &str, short: &str, redis: &str, more: Value) -> Member {
    let redis = format!("{redis}:6379");
    let words = ["demo-service", "cart", "--careful", "--listen", "0.0.0.0:7004", "--redis", &redis];
    let mut settings = lent(network, Path::new("/murphy"), short);
    if let (Some(settings), Value::Object(more)) = (settings.as_object_mut(), more) {
        settings.extend(more);
    }
    sandbox.container(short, &words, settings)
}

/// Status and time of one request, without any of Murphy's code.
pub fn get(address: &str, path: &str) -> Option<(u16, Duration)> {
    use std::io::{Read, Write};
    let begun = Instant::now();
    let mut stream =
        std::net::TcpStream::connect_timeout(&address.parse().ok()?, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: cart\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some((answer.split(' ').nth(1)?.parse().ok()?, begun.elapsed()))
}
