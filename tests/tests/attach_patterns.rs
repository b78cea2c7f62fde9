//! What `murphy attach` says of how callers behave, held against callers whose behaviour is known: a script in a container that gives
//! each call up after a time, tries it so often, and falls silent after so many failures. When it gives a call up, it says how long it
//! has waited by its own clock: a machine that wakes it late makes its timeout a longer one.

use std::path::Path;
use std::time::Duration;

use murphy_core::Span;
use murphy_testkit::Member;
use murphy_tests::{Bench, CartStack, Terminal, eventually, lent, murphy, turn};

/// For whatever another process has to do: a machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(90);
/// When each call is given up.
const TIMEOUT: Span = Span::from_millis(400);
/// How far what is said of that may be below what the caller says, and above it: the end of its process comes after the end of its wait.
const BELOW: Span = Span::from_millis(10);
const ABOVE: Span = Span::from_millis(60);

/// A caller in a container; `CALL` is one try of one call, over a connection of its own.
fn caller(stack: &CartStack, short: &str, script: &str) -> Member {
    let to = format!("/dev/tcp/{}/6379", stack.redis.name);
    let waits = "began=$EPOCHREALTIME; read -t 0.4 -u 3 answer || \
                 { ended=$EPOCHREALTIME; echo \"waited $((${ended/./} - ${began/./}))\"; false; }";
    let call = format!("( exec 3<>{to} && printf 'PING\\r\\n' >&3 && {{ {waits}; }} ) 2>/dev/null");
    let words = ["-c", &script.replace("CALL", &call)];
    stack.sandbox.container(short, &words, lent(&stack.network, Path::new("/bin/bash"), short))
}

/// How long a caller waited by its own clock before it gave a call up: the median.
fn waited(stack: &CartStack, caller: &Member) -> Span {
    let path = format!("/containers/{}/logs?stdout=true", caller.id);
    let said = stack.sandbox.engine().call("GET", &path, None).expect("an answer").body;
    let said = String::from_utf8_lossy(&said).into_owned();
    // Before each piece of it stands a head of the engine.
    let waits = said.split("waited ").skip(1).filter_map(|rest| rest.lines().next()?.parse::<u64>().ok());
    let mut waits: Vec<u64> = waits.collect();
    waits.sort_unstable();
    Span::from_micros(*waits.get(waits.len() / 2).unwrap_or_else(|| panic!("it never gave up: {said}")))
}

/// Asserts that the timeout of a summary is the one that the caller had.
#[track_caller]
fn is_its_timeout(stack: &CartStack, caller: &Member, screen: &str) {
    let (said, own) = (time(line(screen, "timeout"), "gives up after", "("), waited(stack, caller));
    let [said_us, own_us, below, above] = [said, own, BELOW, ABOVE].map(Span::as_micros);
    assert!(own_us + below >= TIMEOUT.as_micros(), "{own}, and it waits for {TIMEOUT}");
    assert!(said_us + below >= own_us && said_us <= own_us + above, "{said}, and it was {own}\n{screen}");
}

/// Pings that the Redis has answered so far.
fn pings(stack: &CartStack) -> u64 {
    let info = stack.inside(&stack.redis, &["redis-cli", "info", "commandstats"]);
    let calls = info.lines().find_map(|line| line.strip_prefix("cmdstat_ping:calls="));
    calls.and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or(0)
}

/// Sits in on a caller, lets it call for a while, takes the answers away by key until the live line says `until`, and gives them
/// back: the screen with the summary.
fn watched(test: &str, stack: &CartStack, caller: &Member, until: &str) -> Option<String> {
    let bench = Bench::new();
    let line = format!(
        "{} attach --from {} --to {}:6379 --blackhole --off --seed 7",
        murphy().display(),
        caller.name,
        stack.redis.name
    );
    let terminal = Terminal::open(test, &bench, &line)?;
    terminal.shows("sits in on");
    let before = pings(stack);
    // Whole good seconds, of which the first and the last do not count.
    eventually("the caller calls for a while", PATIENCE, || pings(stack) >= before + 160);
    terminal.typed("1");
    terminal.shows(until);
    terminal.typed("1");
    terminal.key("C-c");
    terminal.shows("ended with 0");
    assert_eq!(stack.tables_of_murphy(caller), 0);
    Some(terminal.screen())
}

/// The words that the summary has behind a name.
fn line<'a>(screen: &'a str, name: &str) -> &'a str {
    let found = screen.lines().find_map(|line| line.trim_start().strip_prefix(name));
    found.unwrap_or_else(|| panic!("no `{name}` on\n{screen}")).trim()
}

/// The time between two texts of a line.
fn time(text: &str, before: &str, after: &str) -> Span {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("no `{before}` in {text}")).1;
    let word = rest.split(after).next().unwrap_or_default();
    word.trim().parse().unwrap_or_else(|error| panic!("{word}: {error}"))
}

#[test]
fn the_timeout_and_the_tries_of_a_caller_are_those_of_its_script() {
    let _turn = turn();
    let Some(stack) = CartStack::up("the_timeout_and_the_tries_of_a_caller") else { return };
    // Ten calls a second come, whatever becomes of them, and each is tried three times.
    let script = "call() { for try in 1 2 3; do CALL && return; done; }; while :; do call & sleep 0.1; done";
    let caller = caller(&stack, "tries", script);
    let Some(screen) = watched("attach-tries", &stack, &caller, "x calls") else { return };
    is_its_timeout(&stack, &caller, &screen);
    let attempts = line(&screen, "attempts");
    let times: f64 = attempts.split(' ').next().and_then(|word| word.parse().ok()).expect(attempts);
    assert!((2.5..=3.5).contains(&times), "{times} and it is 3\n{screen}");
    assert!(line(&screen, "breaker").starts_with("not seen"), "{screen}");
}

#[test]
fn the_breaker_of_a_caller_is_that_of_its_script() {
    let _turn = turn();
    let Some(stack) = CartStack::up("the_breaker_of_a_caller") else { return };
    // Forty failures in a row open it for six seconds; then one call may try. A timer is seen where nine of ten calls agree: of so
    // many, two may be held up by a busy machine, of a few not one.
    let script = "failed=0; while :; do if CALL; then failed=0; else failed=$((failed+1)); fi; \
                  if [ $failed -ge 40 ]; then sleep 6; fi; sleep 0.05; done";
    let caller = caller(&stack, "breaker", script);
    let Some(screen) = watched("attach-breaker", &stack, &caller, "silent ") else { return };
    is_its_timeout(&stack, &caller, &screen);
    let breaker = line(&screen, "breaker");
    let silence = time(breaker, "no call for", "after");
    // Whole seconds without a call: one less where it begins and ends within seconds.
    assert!(
        (Span::from_secs(5)..=Span::from_secs(6)).contains(&silence),
        "{silence}, and it is 6s\n{screen}"
    );
    let after = breaker.split_once("after ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    // Whole seconds again: the first failures, of which 450ms hold one, may fall into one of mostly good calls.
    assert!((Some(38)..=Some(40)).contains(&after), "{after:?} failed calls, and it is 40\n{screen}");
}
