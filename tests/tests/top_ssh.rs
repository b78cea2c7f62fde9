//! `murphy top` at the far end of `ssh -t`, within tmux: a real `sshd`, a terminal of its making, and keys that go the whole way.

use std::net::TcpStream;
use std::time::Duration;

use murphy_tests::{Bench, SshServer, Terminal, echo, eventually, free_ports, murphy, round_trip};

/// For whatever another process has to do: a machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn keys_go_over_ssh_and_a_connection_that_is_lost_ends_it_and_its_proxies() {
    let test = "keys_go_over_ssh_and_a_connection_that_is_lost_ends_it_and_its_proxies";
    let Some(server) = SshServer::start(test) else { return };
    let bench = Bench::new();
    let (upstream, [port, other]) = (echo(), free_ports());
    let at = bench.path().display();
    let top = |port: u16| {
        let edge = format!("--edge cache 127.0.0.1:{port} {upstream}");
        let remote = format!("cd {at} && MURPHY_STATE_DIR={at}/state {} top {edge}", murphy().display());
        let (client, far) = (server.client("user"), format!("{}@127.0.0.1", server.user()));
        format!("{client} -t -p {} {far} '{remote}'", server.port())
    };

    let Some(terminal) = Terminal::open("ssh", &bench, &top(port)) else { return };
    terminal.shows("no fault stands");
    let mut call = TcpStream::connect(("127.0.0.1", port)).expect("the proxy listens");
    terminal.typed("alatency 150ms");
    terminal.key("Enter");
    terminal.shows("1 FAULT STANDS");
    // Once each way.
    assert!(round_trip(&mut call).expect("the echo") >= Duration::from_millis(299));
    terminal.typed("s");
    terminal.key("Enter");
    terminal.shows("saved to recorded.yaml");
    bench.run(&["check", "recorded.yaml"]).expect(0);
    terminal.typed("q");
    terminal.shows("ended with 0");
    assert!(!terminal.is_taken(), "{}", terminal.screen());

    let Some(terminal) = Terminal::open("ssh-lost", &bench, &top(other)) else { return };
    terminal.shows("no fault stands");
    assert!(TcpStream::connect(("127.0.0.1", other)).is_ok());
    drop(terminal);
    let gone = || TcpStream::connect(("127.0.0.1", other)).is_err();
    eventually("the proxy is gone with the connection", PATIENCE, gone);
}
