//! An engine behind TCP with TLS, as `DOCKER_HOST=tcp://…` with `DOCKER_TLS_VERIFY` means it: a real one, which asks for a
//! client's certificate. Whoever has the right ones breaks and mends through it; all others are told what is wrong.

#[path = "engine/own.rs"]
mod own;

use std::path::{Path, PathBuf};
use std::process::Command;

use murphy_testkit::Sandbox;
use murphy_tests::{Bench, Finished, eventually, murphy};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use own::{Containers, OwnEngine, PATIENCE};
use serde_json::json;

const ADDRESS: &str = "tcp://127.0.0.1:2376";

fn openssl(folder: &Path, words: &[&str]) {
    let output = Command::new("openssl").args(words).current_dir(folder).output().expect("openssl");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A certificate authority of its own, with a certificate for the engine and one for its clients.
fn certificates(folder: &Path, name: &str) -> PathBuf {
    let folder = folder.join(name);
    std::fs::create_dir(&folder).expect("a folder");
    let key = ["-newkey", "rsa:2048", "-nodes", "-days", "2"];
    openssl(
        &folder,
        &[
            &["req", "-x509"],
            &key[..],
            &["-subj", "/CN=authority", "-keyout", "ca-key.pem", "-out", "ca.pem"],
        ]
        .concat(),
    );
    for (of, means) in [
        ("engine", "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n"),
        ("client", "extendedKeyUsage=clientAuth\n"),
    ] {
        let (request, keys, out, ext) =
            (format!("{of}.csr"), format!("{of}-key.pem"), format!("{of}-cert.pem"), format!("{of}.ext"));
        std::fs::write(folder.join(&ext), means).expect("to write");
        let subject = format!("/CN={of}");
        openssl(
            &folder,
            &[&["req"], &key[..3], &["-subj", &subject, "-keyout", &keys, "-out", &request]].concat(),
        );
        openssl(
            &folder,
            &[
                "x509",
                "-req",
                "-days",
                "2",
                "-in",
                &request,
                "-CA",
                "ca.pem",
                "-CAkey",
                "ca-key.pem",
                "-CAcreateserial",
                "-extfile",
                &ext,
                "-out",
                &out,
            ],
        );
    }
    std::fs::copy(folder.join("client-cert.pem"), folder.join("cert.pem")).expect("a copy");
    std::fs::copy(folder.join("client-key.pem"), folder.join("key.pem")).expect("a copy");
    folder
}

/// Murphy where the engine listens, with the variables that Docker's own client reads.
fn command(engine: &OwnEngine, bench: &Bench, certificates: &Path, words: &[&str]) -> Command {
    let mut command = engine.in_its_network(&murphy());
    command
        .args(words)
        .current_dir(bench.path())
        .env("MURPHY_STATE_DIR", bench.path().join("state"))
        .env("DOCKER_HOST", ADDRESS)
        .env("DOCKER_TLS_VERIFY", "1")
        .env("DOCKER_CERT_PATH", certificates);
    command
}

fn finished(mut command: Command) -> Finished {
    command.output().expect("nsenter").into()
}

#[test]
fn an_engine_behind_tls_is_acted_on_by_whoever_has_the_certificates_and_by_nobody_else() {
    let test = "an_engine_behind_tls_is_acted_on_by_whoever_has_the_certificates_and_by_nobody_else";
    if Command::new("openssl").arg("version").output().is_err() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no openssl in CI");
        return murphy_testkit::skipped(format_args!("no openssl: {test}"));
    }
    let Some(engine) = OwnEngine::with(test, Containers::Stop, |folder| {
        let certificates = certificates(folder, "certificates");
        let file = |name: &str| certificates.join(name).display().to_string();
        [
            "--host",
            ADDRESS,
            "--tlsverify",
            "--tlscacert",
            &file("ca.pem"),
            "--tlscert",
            &file("engine-cert.pem"),
            "--tlskey",
            &file("engine-key.pem"),
        ]
        .map(str::to_owned)
        .to_vec()
    }) else {
        return;
    };
    let right = engine.folder().join("certificates");
    let sandbox = Sandbox::on(engine.engine());
    let settings = json!({ "HostConfig": { "NetworkMode": "none", "RestartPolicy": { "Name": "no" } } });
    let member = sandbox.container("victim", &["echo", "7000"], settings);
    let state = || sandbox.inspect(&member.id)["State"].clone();
    let bench = Bench::new();

    let pause = ["pause", &member.name, "--for", "200ms"];
    finished(command(&engine, &bench, &right, &pause)).expect(0).says("taken back");
    let doctor = finished(command(&engine, &bench, &right, &["doctor"]));
    doctor.says(&format!("at {ADDRESS}")).says("on another machine");

    // The log keeps where the engine is and which certificates are for it: undo needs no variable.
    let long = ["pause", &member.name, "--for", "10m"];
    let mut held = command(&engine, &bench, &right, &long).spawn().expect("nsenter");
    eventually("it is paused", PATIENCE, || state()["Paused"] == json!(true));
    let marks = bench.path().join("state").display().to_string();
    kill(Pid::from_raw(held.id().cast_signed()), Signal::SIGSTOP).expect("it lives");
    for watchdog in murphy_tests::processes_with(&format!("watchdog {marks}")) {
        kill(Pid::from_raw(watchdog.cast_signed()), Signal::SIGKILL).expect("it lives");
    }
    held.kill().expect("it lives");
    held.wait().expect("its end");
    assert_eq!(state()["Paused"], json!(true), "nobody was left to take it back");
    let mut undo = command(&engine, &bench, &right, &["undo"]);
    for variable in ["DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"] {
        undo.env_remove(variable);
    }
    finished(undo).expect(0).says("taken back");
    assert_eq!(state()["Paused"], json!(false));

    let mut plain = command(&engine, &bench, &right, &pause);
    plain.env_remove("DOCKER_TLS_VERIFY");
    finished(plain).expect(3).says("wants TLS").says("DOCKER_TLS_VERIFY=1");
    let nowhere = engine.folder().join("nowhere");
    finished(command(&engine, &bench, &nowhere, &pause)).expect(3).says("there is no").says("ca.pem");
    // Certificates of another authority: neither side takes the other's.
    let wrong = certificates(engine.folder(), "wrong");
    finished(command(&engine, &bench, &wrong, &pause))
        .expect(3)
        .says("certificates for")
        .says("peer certificate");
    // The engine's refusal comes after the handshake (TLS 1.3); where its end overtakes the alert, that is said.
    std::fs::copy(right.join("ca.pem"), wrong.join("ca.pem")).expect("a copy");
    finished(command(&engine, &bench, &wrong, &pause)).expect(3).says("certificates for");
    assert_eq!(state()["Paused"], json!(false), "none of these has touched it");
}
