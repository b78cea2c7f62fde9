//! Clients of Toxiproxy as they are published, against `murphy serve`: two of Python, two of Rust. They are fetched from
//! the package registries; without network the test says so, and fails where `CI=true`.

use std::process::Command;

use murphy_tests::{Bench, Daemon, clients, kept, kept_python, run, skip};
use nix::sys::signal::Signal;

#[test]
fn the_clients_of_python_work_unmodified() {
    let python = match kept_python("requirements.txt") {
        Ok(python) => python,
        Err(why) => return skip(&why),
    };
    for compat in ["better", "strict"] {
        let bench = Bench::new();
        let daemon = Daemon::start(&bench, &["--compat", compat]);
        run(Command::new(&python)
            .arg(clients().join("python_clients.py"))
            .arg(daemon.port().to_string())
            .current_dir(bench.path()))
        .expect(0)
        .says("toxiproxy-python: ok")
        .says("chaostoolkit-toxiproxy: ok");
        assert_eq!(daemon.end(Signal::SIGTERM).0, Some(0));
    }
}

#[test]
fn the_clients_of_rust_work_unmodified() {
    let cargo = |verb: &str| {
        let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
        cargo.args([verb, "-q", "--locked", "--manifest-path"]).arg(clients().join("rust/Cargo.toml"));
        cargo.env("CARGO_TARGET_DIR", kept("rust"));
        cargo
    };
    let fetched = run(&mut cargo("fetch"));
    if fetched.code != 0 {
        return skip(format!("the clients cannot be fetched: {}", fetched.stderr));
    }
    run(&mut cargo("build")).expect(0);
    // `noxious-client` says `direction`, which Toxiproxy does not know, and so `strict` does not either.
    for (compat, clients) in
        [("better", &["toxiproxy_rust", "noxious-client"][..]), ("strict", &["toxiproxy_rust"])]
    {
        let bench = Bench::new();
        let daemon = Daemon::start(&bench, &["--compat", compat]);
        let mut finished = run(cargo("run").arg("--").arg(daemon.port().to_string()).args(clients)).expect(0);
        for client in clients {
            finished = finished.says(&format!("{client}: ok"));
        }
        assert_eq!(daemon.end(Signal::SIGTERM).0, Some(0));
    }
}
