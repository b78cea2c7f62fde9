//! Services as real processes: started, watched, and ended with all that they have started.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use murphy_core::{ProcessIdentity, ProcessStatus, Span};
use murphy_host::{
    Child, Command, SendError, Signal, SpawnError, freeze, identity_of, is_alive, members, send, stop_group,
};

const GRACE: Span = Span::from_secs(5);

fn shell(dir: &Path, script: &str) -> Child {
    Command::new(["sh", "-c", script], dir.join("log")).start().unwrap()
}

/// Waits for a line that the service writes: what it announces is true from then on.
async fn said(child: &Child, wanted: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !child.tail(50).iter().any(|line| line == wanted) {
        assert!(Instant::now() < deadline, "never said {wanted:?}: {:?}", child.tail(50));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The process whose pid the service wrote as `NAME PID`.
async fn named(child: &Child, name: &str) -> ProcessIdentity {
    said(child, "ready").await;
    let lines = child.tail(50);
    let pid = lines.iter().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap();
    identity_of(pid).unwrap()
}

#[tokio::test]
async fn a_child_leads_a_group_of_its_own_with_its_output_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(
        ["sh", "-c", "echo out $NAME; echo err >&2; pwd; read x || echo no input"],
        dir.path().join("log"),
    );
    command.env.insert("NAME".into(), "murphy".into());
    command.dir = Some(dir.path().to_owned());
    let mut child = command.start().unwrap();
    assert_eq!(child.wait().await, ProcessStatus::Code(0));
    let here = dir.path().canonicalize().unwrap().display().to_string();
    assert_eq!(child.tail(9), ["out murphy", "err", here.as_str(), "no input"]);
    assert_ne!(child.identity().pid, nix::unistd::getpgrp().as_raw());

    let mut again = command.start().unwrap();
    again.wait().await;
    assert_eq!(again.tail(99).len(), 8, "a second start appends");
    assert_eq!(again.stop(GRACE).await, Ok(ProcessStatus::Code(0)));
    assert_eq!(child.stop(GRACE).await, Ok(ProcessStatus::Code(0)), "stopping what is over is harmless");
    assert_eq!(child.stop(GRACE).await, Ok(ProcessStatus::Code(0)));
}

#[tokio::test]
async fn a_child_that_dies_at_once_tells_how_and_what_it_said_last() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = shell(dir.path(), "echo port taken >&2; exit 7");
    assert_eq!(child.wait().await, ProcessStatus::Code(7));
    assert_eq!(child.wait().await, ProcessStatus::Code(7), "a second wait answers at once");
    assert_eq!(child.tail(1), ["port taken"]);
    assert!(!is_alive(&child.identity()));

    let mut child = shell(dir.path(), "kill -SEGV $$");
    assert_eq!(child.wait().await, ProcessStatus::Signal(11));
}

#[tokio::test]
async fn waiting_can_be_cancelled_without_losing_the_exit() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = shell(dir.path(), "echo ready; exec sleep 60");
    said(&child, "ready").await;
    for _ in 0..3 {
        let waited = tokio::time::timeout(Duration::from_millis(10), child.wait()).await;
        assert!(waited.is_err(), "it still runs");
    }
    send(&child.identity(), Signal::KILL).unwrap();
    assert_eq!(child.wait().await, ProcessStatus::Signal(9));
    assert_eq!(send(&child.identity(), Signal::KILL), Err(SendError::Gone { process: child.identity() }));
}

#[tokio::test]
async fn a_polite_child_ends_by_sigterm_long_before_the_grace_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut child =
        shell(dir.path(), "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.01; done");
    said(&child, "ready").await;
    let began = Instant::now();
    assert_eq!(child.stop(Span::from_secs(60)).await, Ok(ProcessStatus::Code(3)));
    assert!(began.elapsed() < Duration::from_secs(30));
    assert!(child.tail(9).contains(&"bye".to_owned()));
}

#[tokio::test]
async fn grandchildren_that_ignore_sigterm_are_gone_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = shell(
        dir.path(),
        "trap '' TERM; (trap '' TERM; while :; do sleep 0.05; done) & echo deaf $!; sleep 60 & echo meek $!; echo ready; wait",
    );
    let (deaf, meek) = (named(&child, "deaf").await, named(&child, "meek").await);
    assert!(members(&child.identity()).contains(&deaf));
    assert_eq!(members(&child.identity())[0], child.identity(), "the leader comes first");
    let began = Instant::now();
    assert_eq!(child.stop(Span::from_millis(200)).await, Ok(ProcessStatus::Signal(9)));
    assert!(began.elapsed() >= Duration::from_millis(200), "the grace was given");
    for process in [child.identity(), deaf, meek] {
        assert!(!is_alive(&process), "{process:?}");
    }
    assert_eq!(members(&child.identity()), []);
}

#[tokio::test]
async fn a_group_outlives_its_dead_leader_until_it_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = shell(dir.path(), "sleep 60 & echo orphan $!; echo ready; exit 0");
    assert_eq!(child.wait().await, ProcessStatus::Code(0));
    let orphan = named(&child, "orphan").await;
    assert!(is_alive(&orphan));
    assert_eq!(child.stop(GRACE).await, Ok(ProcessStatus::Code(0)));
    assert!(!is_alive(&orphan));
}

#[tokio::test]
async fn a_descendant_in_a_session_of_its_own_is_gone_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = shell(dir.path(), "setsid sh -c 'echo far $$; echo ready; exec sleep 60' & wait");
    let far = named(&child, "far").await;
    assert!(!members(&child.identity()).contains(&far));
    child.stop(GRACE).await.unwrap();
    assert!(!is_alive(&far));
}

#[tokio::test]
async fn a_frozen_child_is_woken_to_end_in_peace() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = shell(dir.path(), "trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done");
    said(&child, "ready").await;
    freeze(&child.identity()).unwrap();
    assert_eq!(child.stop(Span::from_secs(60)).await, Ok(ProcessStatus::Code(5)));
}

#[tokio::test]
async fn the_drop_of_a_child_leaves_nobody_behind() {
    let dir = tempfile::tempdir().unwrap();
    let child = shell(dir.path(), "trap '' TERM; sleep 60 & echo inner $!; echo ready; wait");
    let (leader, inner) = (child.identity(), named(&child, "inner").await);
    drop(child);
    let deadline = Instant::now() + Duration::from_secs(20);
    while is_alive(&leader) || is_alive(&inner) {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn another_process_can_stop_a_group_by_its_identity_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = shell(dir.path(), "sleep 60 & echo ready; wait");
    said(&child, "ready").await;
    let identity = child.identity();
    let stranger = ProcessIdentity { born: identity.born + 1, ..identity };
    assert_eq!(stop_group(&stranger, GRACE).await, Ok(()), "nothing to do for one that is gone");
    assert!(is_alive(&identity), "and the present owner of the pid is left alone");
    assert_eq!(stop_group(&identity, GRACE).await, Ok(()));
    assert_eq!(stop_group(&identity, GRACE).await, Ok(()));
    assert_eq!(child.wait().await, ProcessStatus::Signal(15));
}

#[tokio::test]
async fn megabytes_of_output_neither_block_the_child_nor_the_tail() {
    let dir = tempfile::tempdir().unwrap();
    let mut child =
        shell(dir.path(), "yes 0123456789012345678901234567890 | head -c 5000000; echo; echo last");
    assert_eq!(child.wait().await, ProcessStatus::Code(0));
    assert!(std::fs::metadata(child.log()).unwrap().len() > 5_000_000);
    assert_eq!(child.tail(1), ["last"]);
}

#[tokio::test]
async fn each_reason_why_a_command_cannot_start_has_its_own_advice() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let file = |name: &str, text: &str, mode: u32| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let failure = |argv: &[&str]| Command::new(argv.iter().copied(), &log).start().unwrap_err();

    assert!(matches!(failure(&[]), SpawnError::Empty));
    assert!(matches!(failure(&[""]), SpawnError::Empty));
    let error = failure(&["no-such-program-here", "x"]);
    assert!(matches!(error, SpawnError::NotInPath { .. }), "{error:?}");
    assert!(error.to_string().contains("/bin"), "names the PATH: {error}");
    assert!(matches!(failure(&["./no/such/file"]), SpawnError::NoSuchFile { .. }));
    assert!(matches!(failure(&[&file("plain", "#!/bin/sh\n", 0o644)]), SpawnError::NotExecutable { .. }));
    assert!(matches!(failure(&[&file("lost", "#!/no/such/sh\n", 0o755)]), SpawnError::NoInterpreter { .. }));
    assert!(matches!(failure(&[&file("foreign", "\u{1}\u{2}\u{3}", 0o755)]), SpawnError::NoProgram { .. }));
    let mut command = Command::new(["true"], &log);
    command.dir = Some(dir.path().join("missing"));
    assert!(matches!(command.start().unwrap_err(), SpawnError::NoDirectory { .. }));
    assert!(matches!(
        Command::new(["true"], "/no/such/dir/log").start().unwrap_err(),
        SpawnError::Log { .. }
    ));
}
