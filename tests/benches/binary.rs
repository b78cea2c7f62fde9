//! The release binary as a user gets it: how soon it answers, how large it is, what judging a long run costs, what an idle
//! connection through `murphy serve` costs (bytes, and kept-alive HTTP), and how much a flood can make it hold. `make bench`
//! builds it first; alone: `cargo build --release -p murphy && cargo bench -p murphy-tests`.
//!
//! Exits with 1 if a bar of docs/performance.md is missed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use murphy_tests::{Bench, Daemon, LongRun, murphy, shipped_scenarios};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};

const LARGEST: u64 = 12_000_000;
const SLOWEST: Duration = Duration::from_millis(10);
const SLOWEST_CHECK: Duration = Duration::from_millis(100);
const SLOWEST_MANY: Duration = Duration::from_secs(1);
const EVENTS: u64 = 1_000_000;
const SLOWEST_JUDGING: Duration = Duration::from_secs(2);
const JUDGING_MOST: f64 = 300.0;
/// Scenarios of all kinds, at least.
const FILES: usize = 60;
const IDLE: usize = 10_000;
/// KiB of a connection that carries bytes and says nothing.
const IDLE_MOST: f64 = 6.0;
/// MiB of a daemon that has carried nothing yet.
const BASE_MOST: f64 = 12.0;
/// The word by which this program, started anew, is the dependency of idle connections.
const ANSWERS: &str = "--answers";
/// What a daemon has open beside its connections, and more.
const OTHER_DESCRIPTORS: usize = 200;
/// Opened and closed before the memory is looked at, so that what is made once is made.
const FIRST: usize = 50;
const FLOODED: usize = 10;
const FLOODED_MOST: f64 = 64.0;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, word, flag, count] = arguments.as_slice()
        && word == ANSWERS
    {
        answers(if flag == HTTP.flag { HTTP } else { BYTES }, count.parse().expect("a number"));
        return ExitCode::SUCCESS;
    }
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("a benchmark: run it with `cargo bench -p murphy-tests`");
        return ExitCode::SUCCESS;
    }
    let size = std::fs::metadata(murphy()).expect("the binary is there").len();
    println!("release binary            {:.2} MB", size as f64 / 1e6);
    // In alternation with the smallest program there is. The calmest of several batches: what other work on the machine
    // takes is not meant.
    let batches = (0..9).map(|_| {
        let (mut version, mut nothing) = (Vec::new(), Vec::new());
        for _ in 0..25 {
            version.push(timed(Command::new(murphy()).arg("--version")));
            nothing.push(timed(&mut Command::new("true")));
        }
        (median(version), median(nothing))
    });
    let (version, nothing) = batches.min().expect("nine batches");
    println!(
        "murphy --version          {version:.2?} (`true`: {nothing:.2?}; medians of the calmest of 9 batches)"
    );
    let (long, lines) = long_file();
    println!("murphy check              {long:.2?} for a file of {lines} lines (fastest of 9)");
    let (many, files) = many_files();
    println!(
        "murphy check, plan        {many:.2?} for {files} files, checked in one call and planned one by one"
    );
    let judged = judging();
    let base = base();
    println!("murphy serve              {base:.1} MiB resident before the first connection");
    let idle_each =
        [("idle through murphy serve", BYTES), ("kept alive, HTTP         ", HTTP)].map(|(what, words)| {
            let (held, daemons, each) = idle(words);
            println!("{what} {held} open, {each:.1} KiB resident each (processes: {daemons})");
            each
        });
    let (peak, sent) = flood();
    println!(
        "flood under latency 60s   {peak:.1} MiB at most, {FLOODED} connections, {sent:.0} MiB taken until they stood"
    );
    let quick = version < SLOWEST && long < SLOWEST_CHECK && many < SLOWEST_MANY;
    let small = size < LARGEST && peak < FLOODED_MOST && base <= BASE_MOST && idle_each[0] <= IDLE_MOST;
    if small && quick && judged { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How long `murphy check` takes for a scenario of 5,000 lines, and how many they are.
fn long_file() -> (Duration, usize) {
    let bench = Bench::new();
    let text = murphy_tests::long_scenario(5_000);
    bench.file("long.yaml", &text);
    let times = (0..9).map(|_| timed(&mut bench.command(&["check", "long.yaml"])));
    (times.min().expect("nine times"), text.lines().count())
}

/// How long it takes to check all scenarios of the repository and its cookbook in one call, and to plan each; how many they are.
fn many_files() -> (Duration, usize) {
    let bench = Bench::new();
    let files = shipped_scenarios(&bench);
    assert!(files.len() >= FILES, "{files:?}");
    let check: Vec<&str> = std::iter::once("check").chain(files.iter().map(String::as_str)).collect();
    let round = || {
        let plans = files.iter().map(|file| timed(&mut bench.command(&["plan", file])));
        timed(&mut bench.command(&check)) + plans.sum::<Duration>()
    };
    ((0..5).map(|_| round()).min().expect("five rounds"), files.len())
}

/// What judging a run of a million events costs, for each kind of run: whether all keep within the bars. The peak of memory
/// is that of any child so far, so the first figure that is too high is the one that counts.
fn judging() -> bool {
    let bench = Bench::new();
    let mut all = true;
    for kind in [LongRun::Bytes, LongRun::Http, LongRun::Users] {
        let run = kind.write(&bench.path().join(format!("{kind:?}")), EVENTS);
        let times = (0..3).map(|_| {
            let begun = Instant::now();
            let told = bench.run(&["report", &run.display().to_string()]);
            assert!(told.stdout.contains("a long run"), "{}{}", told.stdout, told.stderr);
            begun.elapsed()
        });
        let took = times.min().expect("three times");
        let peak =
            getrusage(UsageWho::RUSAGE_CHILDREN).expect("a usage of children").max_rss() as f64 / 1024.0;
        println!("judging {EVENTS} events   {took:.2?}, {peak:.0} MiB at most ({kind:?}; fastest of 3)");
        all &= took < SLOWEST_JUDGING && peak < JUDGING_MOST;
    }
    all
}

fn timed(command: &mut Command) -> Duration {
    let begun = Instant::now();
    let status = command.stdout(Stdio::null()).status().expect("it starts");
    let took = begun.elapsed();
    assert!(status.success());
    took
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// What is said on each connection that is held, and how it is held.
#[derive(Clone, Copy)]
struct Words {
    /// Of `murphy proxies add`.
    flag: &'static str,
    question: &'static [u8],
    answer: &'static [u8],
}

const BYTES: Words = Words { flag: "", question: b"x", answer: b"x" };
const HTTP: Words = Words {
    flag: " --http",
    question: b"GET /items/7 HTTP/1.1\r\nHost: shop\r\n\r\n",
    answer: b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
};

/// Resident memory of a daemon that has carried nothing, in MiB.
fn base() -> f64 {
    let bench = Bench::new();
    let daemon = Daemon::start(&bench, &[]);
    memory(daemon.pid().as_raw().unsigned_abs(), "VmRSS:") / 1024.0
}

/// Opens [`IDLE`] connections, asks on each, and once more on each when all are open: how many they are, through how many
/// daemons, and what each costs in KiB while it is idle. There is one daemon, unless a process may not have twice as many
/// descriptors: then there are as many as are needed, side by side.
fn idle(words: Words) -> (usize, usize, f64) {
    let plenty = 3 * IDLE as u64;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    if setrlimit(Resource::RLIMIT_NOFILE, plenty, hard.max(plenty)).is_err() {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("the soft limit may be raised");
    }
    let (now, _) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    // The first few count twice: the dependency keeps its ends of them open.
    let daemons = IDLE.div_ceil((now as usize - OTHER_DESCRIPTORS) / 2 - FIRST);
    let share = IDLE.div_ceil(daemons);

    let bench = Bench::new();
    let mut open = Vec::new();
    let mut resident = 0.0;
    for number in 0..daemons {
        let dependency = Dependency::start(words, share);
        let daemon = Daemon::start(&bench, &[]);
        let add = format!("proxies add held{number} {}{} --output json", dependency.address, words.flag);
        let made: serde_json::Value =
            serde_json::from_str(&daemon.run(&bench, &add).expect(0).stdout).expect("a proxy");
        let listen = made["listen"].as_str().expect("the address that callers dial");
        let pid = daemon.pid().as_raw().unsigned_abs();

        drop(held(listen, words, FIRST));
        let before = memory(pid, "VmRSS:");
        let callers = held(listen, words, share);
        resident += memory(pid, "VmRSS:") - before;
        open.push((callers, daemon, dependency));
    }
    let mut count = 0;
    for caller in open.iter_mut().flat_map(|(callers, ..)| callers) {
        ask(caller, words);
        count += 1;
    }
    (count, daemons, resident / count as f64)
}

/// What idle connections lead to, in a process of its own, for a process has only so many descriptors.
struct Dependency {
    process: Child,
    address: String,
}

impl Dependency {
    fn start(words: Words, count: usize) -> Dependency {
        let mut process = Command::new(std::env::current_exe().expect("a bench has a path"))
            .args([ANSWERS, words.flag, &count.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut address = String::new();
        let stdout = process.stdout.take().expect("stdout is kept");
        BufReader::new(stdout).read_line(&mut address).expect("where it listens");
        Dependency { process, address: address.trim().to_owned() }
    }
}

impl Drop for Dependency {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Dependencies that send all that is taken from them, under a latency of a minute: the most memory that the daemon has had,
/// in MiB, and how many MiB it took.
fn flood() -> (f64, f64) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let upstream = listener.local_addr().expect("its address");
    let bench = Bench::new();
    let daemon = Daemon::start(&bench, &[]);
    let made = daemon.run(&bench, &format!("proxies add flood {upstream} --output json")).expect(0);
    let made: serde_json::Value = serde_json::from_str(&made.stdout).expect("a proxy");
    daemon.run(&bench, "fault add flood --latency 60s --direction both").expect(0);
    let listen = made["listen"].as_str().expect("the address that callers dial");
    let callers: Vec<TcpStream> =
        (0..FLOODED).map(|_| TcpStream::connect(listen).expect("a connection")).collect();
    let floods: Vec<_> = (0..FLOODED)
        .map(|_| {
            let (mut stream, _) = listener.accept().expect("a caller comes through");
            std::thread::spawn(move || {
                // Nothing taken for so long: the flood has met its bound.
                stream.set_write_timeout(Some(Duration::from_secs(2))).expect("an option");
                let block = vec![0x5a; 64 * 1024];
                let mut sent = 0;
                while let Ok(written) = stream.write(&block) {
                    sent += written;
                }
                (stream, sent)
            })
        })
        .collect();
    let floods: Vec<(TcpStream, usize)> =
        floods.into_iter().map(|flood| flood.join().expect("it ends")).collect();
    let sent: usize = floods.iter().map(|(_, sent)| sent).sum();
    let peak = memory(daemon.pid().as_raw().unsigned_abs(), "VmHWM:");
    drop((callers, floods));
    (peak / 1024.0, sent as f64 / f64::from(1 << 20))
}

/// A server that tells where it listens, answers the first question of each caller when it comes, and then one more of each
/// in the order of their coming. It stays until its standard input ends.
fn answers(words: Words, count: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    println!("{}", listener.local_addr().expect("its address"));
    let answer = |stream: &mut TcpStream| {
        let mut question = vec![0; words.question.len()];
        stream.read_exact(&mut question).and_then(|()| stream.write_all(words.answer))
    };
    let mut held = Vec::new();
    for mut stream in listener.incoming().take(FIRST + count).map_while(Result::ok) {
        answer(&mut stream).expect("a question");
        held.push(stream);
    }
    for stream in &mut held[FIRST..] {
        answer(stream).expect("another one");
    }
    std::io::stdin().read_to_end(&mut Vec::new()).expect("an end");
}

fn ask(stream: &mut TcpStream, words: Words) {
    stream.write_all(words.question).expect("a write");
    let mut answer = vec![0; words.answer.len()];
    stream.read_exact(&mut answer).expect("an answer");
    assert!(answer.eq_ignore_ascii_case(words.answer), "{}", answer.escape_ascii());
}

fn held(address: &str, words: Words, count: usize) -> Vec<TcpStream> {
    (0..count)
        .map(|_| {
            let mut stream = TcpStream::connect(address).expect("a connection");
            ask(&mut stream, words);
            stream
        })
        .collect()
}

/// Resident memory of a process in KiB: `VmRSS:` now, `VmHWM:` at most.
fn memory(pid: u32, what: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the daemon lives");
    let line = status.lines().find(|line| line.starts_with(what)).expect("a resident size");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}
