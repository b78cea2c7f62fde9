//! A run that ends while its stack is being brought up: nothing of the stack is left, whatever ended the run.

use std::process::{Child, Stdio};
use std::time::Duration;

use murphy_testkit::Sandbox;
use murphy_tests::{Bench, Composing, Finished, eventually, finish, send, turn};
use nix::sys::signal::Signal;

const PATIENCE: Duration = Duration::from_secs(90);

/// What the engine has of a project: containers, networks, volumes.
fn of_project(sandbox: &Sandbox, project: &str) -> Vec<String> {
    let filter = format!("filters=%7B%22label%22%3A%5B%22com.docker.compose.project%3D{project}%22%5D%7D");
    let mut all = Vec::new();
    for (what, key) in [("containers/json?all=true&", ""), ("networks?", ""), ("volumes?", "Volumes")] {
        let answer =
            sandbox.engine().call("GET", &format!("/{what}{filter}"), None).expect("an answer").json();
        let list = if key.is_empty() { &answer } else { &answer[key] };
        let name = |one: &serde_json::Value| {
            one["Name"].as_str().or(one["Names"][0].as_str()).unwrap_or_default().to_owned()
        };
        all.extend(list.as_array().into_iter().flatten().map(name));
    }
    all
}

/// A stack of three, one after the other, so that there is a middle; ended there, with each compose program that is here.
fn cut(test: &str, end: impl Fn(&Bench, Child) -> Finished) {
    // How long an engine is at what nobody waits for any more hangs on what else it is asked for.
    let _turn = turn();
    for program in Composing::each_there(test) {
        // The network alone; a volume, too; a first container.
        for at in 1..=3 {
            let Some(sandbox) = Sandbox::open(test) else { return };
            cut_at(&sandbox, program, at, &end);
        }
    }
}

fn cut_at(sandbox: &Sandbox, program: Composing, at: usize, end: &impl Fn(&Bench, Child) -> Finished) {
    let bench = Bench::new();
    let (project, label) = (sandbox.name("stack"), sandbox.label());
    let mut services = String::new();
    for number in 1..=3 {
        let after = if number == 1 { String::new() } else { format!("    depends_on: [s{}]\n", number - 1) };
        services += &format!(
            "  s{number}:\n    image: {}\n    command: [echo, \"7\"]\n    volumes: [ \"data:/data\" ]\n    \
             stop_grace_period: 1s\n    labels: {{ murphy.test: \"{label}\" }}\n{after}",
            sandbox.image()
        );
    }
    bench.file(
        "compose.yaml",
        &format!(
            "version: \"3.8\"\nservices:\n{services}volumes:\n  data:\n    labels: {{ murphy.test: \"{label}\" }}\n\
             networks:\n  default:\n    labels: {{ murphy.test: \"{label}\" }}\n"
        ),
    );
    bench.file(
        "s.yaml",
        &format!(
            "murphy: 1\nname: cut short\nstack: {{ compose: compose.yaml, project: {project}, up: true, wait: 60s }}\n\
             load: {{ read: {{ http: \"GET http://127.0.0.1:9/\", rate: 10/s }} }}\n\
             phases: {{ warm-up: 0s, baseline: 60s, fault: 60s, recovery: 1s }}\nlearn: all\n\
             faults: [{{ container: {{ service: s1 }}, inject: pause }}]\n"
        ),
    );
    let mut run = bench.command(&["run", "s.yaml"]);
    program.only(&bench, &mut run);
    let run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    eventually("a part of the stack is there", PATIENCE, || of_project(sandbox, &project).len() >= at);
    let finished = end(&bench, run);
    eventually("nothing of the stack is left", PATIENCE, || {
        of_project(sandbox, &project).is_empty() && bench.undo_logs().is_empty()
    });
    // Nor does anything come after that: an engine may still have been at it.
    std::thread::park_timeout(Duration::from_secs(3));
    let left = of_project(sandbox, &project);
    assert!(left.is_empty(), "{program:?}: {left:?}\n{}{}", finished.stdout, finished.stderr);
}

#[test]
fn a_signal_in_the_middle_of_a_bring_up_leaves_nothing_of_the_stack() {
    cut("a_signal_in_the_middle_of_a_bring_up_leaves_nothing_of_the_stack", |bench, run| {
        send(&run, Signal::SIGINT);
        let finished = finish(run).expect(130);
        assert!(bench.undo_logs().is_empty(), "all is taken back at its end: {:?}", bench.undo_logs());
        finished
    });
}

#[test]
fn a_death_in_the_middle_of_a_bring_up_leaves_nothing_of_the_stack() {
    cut("a_death_in_the_middle_of_a_bring_up_leaves_nothing_of_the_stack", |_, run| {
        send(&run, Signal::SIGKILL);
        finish(run).expect(137)
    });
}
