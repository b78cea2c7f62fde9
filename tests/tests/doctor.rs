//! What `murphy doctor` says of an engine that does not tell everything: a stub on a unix socket, since a real one tells.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread::JoinHandle;

use murphy_tests::Bench;
use serde_json::{Value, json};

const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// An engine with one container, which answers every question for it in this way. It ends with the last caller of `done`.
fn engine(socket: &Path, inspected: (u16, &'static str)) -> JoinHandle<()> {
    let listener = UnixListener::bind(socket).expect("a socket");
    std::thread::spawn(move || {
        for caller in listener.incoming() {
            let Ok(mut caller) = caller else { return };
            let mut lines = BufReader::new(caller.try_clone().expect("a handle")).lines();
            let asked = lines.next().and_then(Result::ok).unwrap_or_default();
            if asked == "done" {
                return;
            }
            let rest = lines.map_while(Result::ok).take_while(|line| !line.is_empty());
            rest.for_each(drop);
            let (status, body) = if asked.contains("/version") {
                (200, json!({ "ApiVersion": "1.41", "Version": "20.10.24" }).to_string())
            } else if asked.contains("/containers/json") {
                let one =
                    json!({ "Id": ID, "Names": ["/web"], "Image": "web", "State": "running", "Labels": {} });
                (200, json!([one]).to_string())
            } else if asked.contains(ID) {
                (inspected.0, json!({ "message": inspected.1 }).to_string())
            } else {
                (501, json!({ "message": "not known here" }).to_string())
            };
            let head = "Content-Type: application/json\r\nConnection: close\r\nContent-Length";
            let _ = write!(caller, "HTTP/1.1 {status} X\r\n{head}: {}\r\n\r\n{body}", body.len());
        }
    })
}

/// What the doctor prints.
fn printed(args: &[&str], inspected: (u16, &'static str)) -> String {
    let bench = Bench::new();
    let socket = bench.path().join("engine.sock");
    let engine = engine(&socket, inspected);
    let output = bench.command(args).env("DOCKER_HOST", format!("unix://{}", socket.display())).output();
    let said = String::from_utf8_lossy(&output.expect("the binary starts").stdout).into_owned();
    let mut done = std::os::unix::net::UnixStream::connect(&socket).expect("the stub");
    writeln!(done, "done").expect("to write");
    engine.join().expect("the stub ends");
    said
}

fn doctor(inspected: (u16, &'static str)) -> String {
    // Lines are broken where a terminal ends.
    printed(&["doctor"], inspected).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn an_engine_that_does_not_tell_of_its_containers_is_not_one_without_any() {
    let said = doctor((403, "forbidden by the proxy in front"));
    for what in ["no processes of its containers:", "no pressure inside its containers:"] {
        let at = said.find(what).unwrap_or_else(|| panic!("{what} is not in {said}"));
        let entry = &said[at..];
        assert!(entry[..200].contains("forbidden by the proxy in front"), "{entry}");
    }
    assert!(said.contains("let the engine answer `docker ps` and `docker inspect`"), "{said}");
    assert!(!said.contains("no container runs"), "{said}");
}

#[test]
fn a_program_is_told_what_works_and_what_does_not_by_either_flag() {
    for flags in [&["doctor", "--output", "json"][..], &["doctor", "--json"]] {
        let printed = printed(flags, (403, "forbidden by the proxy in front"));
        let told: Value = serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
        let entry = |what: &str| {
            let found = told.as_array().expect("a list").iter().find(|one| one["what"] == what);
            found.unwrap_or_else(|| panic!("{what} is not in {told}"))
        };
        let engine = entry("container engine");
        assert_eq!(
            (&engine["need"], &engine["finding"]["works"]),
            (&"some".into(), &true.into()),
            "{engine}"
        );
        assert!(engine["finding"]["by"].as_str().is_some_and(|by| by.contains("20.10.24")), "{engine}");
        let inside = entry("processes of its containers");
        assert_eq!(inside["finding"]["works"], false, "{inside}");
        let why = inside["finding"]["why"].as_str().expect("a reason");
        assert!(why.contains("forbidden by the proxy in front"), "{why}");
        assert_eq!(entry("loopback")["need"], "basic");
    }
}

#[test]
fn a_container_that_ends_while_the_doctor_looks_is_no_lack() {
    let said = doctor((404, "No such container"));
    assert!(said.contains("ok processes of its containers: not tried: no container runs"), "{said}");
}
