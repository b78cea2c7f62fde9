//! Consoles of the guide that need neither Docker nor root, typed again, all at once and with ports of the test: what is answered
//! is what the page shows, but for quantities, which are those of another machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use murphy_tests::{Bench, Finished, Typed, consoles, echo, free_ports, skip};

/// The block of a page whose first command begins so.
fn block(page: &str, begins: &str) -> Vec<Typed> {
    let mut all = consoles(page).into_iter();
    all.find(|block| block.first().is_some_and(|typed| typed.command.starts_with(begins)))
        .unwrap_or_else(|| panic!("{page} has no console that begins with {begins}"))
}

/// A shell line that carries `command` out beside `meanwhile`, which begins when it listens; what it said comes last.
fn beside(command: &str, meanwhile: &str) -> String {
    // A busy machine may take longer for the calls than the page's does.
    let command =
        command.trim_end_matches(" &").replace("--for 3s", "--for 8s").replace("--for 5s", "--for 10s");
    assert!(command.contains("--for 8s") || command.contains("--for 10s"), "{command}");
    format!(
        "{command} > said 2>&1 &\n\
         for _ in $(seq 600); do grep -qs '^listening' said && break; sleep 0.1; done\n\
         {meanwhile}\nwait $!\ncat said\n"
    )
}

/// A script in which each address of the page is another, and its output, in which they are those of the page again.
fn typed(bench: &Bench, script: &str, addresses: &[(&str, String)]) -> Finished {
    let script = addresses.iter().fold(script.to_owned(), |script, (page, here)| script.replace(page, here));
    let mut bash = bench.shell("bash", &["-euo", "pipefail", "-c", &script]);
    let output = bash.env("no_proxy", "*").output().expect("bash starts");
    let mut ended = Finished::from(output).expect(0);
    for (page, here) in addresses {
        ended.stdout = ended.stdout.replace(here, page);
    }
    ended
}

/// A line without what a clock says and without bytes: `#` stands for each quantity with a unit.
fn shape(line: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_matches(['(', ')', ',']);
        let unit = bare.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
        let is_quantity =
            bare.len() > unit.len() && !unit.is_empty() && unit.chars().all(char::is_alphabetic);
        if is_quantity { word.replace(bare, "#") } else { word.to_owned() }
    };
    line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

/// Each line that the page shows below these commands was said, as often as it is shown.
fn shows(block: &[Typed], said: &str) {
    let mut lines: Vec<String> = said.lines().map(shape).collect();
    let mut compared = 0;
    for line in block.iter().flat_map(|typed| &typed.shown) {
        let found = lines.iter().position(|said| *said == shape(line));
        let found = found.unwrap_or_else(|| panic!("the page shows: {line}\nwhat came is:\n{said}"));
        lines.remove(found);
        compared += 1;
    }
    assert!(compared >= 4, "{compared} lines compared");
}

/// A shop that takes every order and has every product.
fn shop() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(&stream));
        }
    });
    address
}

/// Answers each request of a connection, to its end.
fn serve(stream: &TcpStream) -> Option<()> {
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    loop {
        let (mut status, mut length) = ("200 OK", 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.starts_with("post /orders ") {
                status = "201 Created";
            }
            if let Some(of) = line.strip_prefix("content-length:") {
                length = of.trim().parse().ok()?;
            }
            if line.is_empty() {
                break;
            }
        }
        reader.read_exact(&mut vec![0; length]).ok()?;
        writer.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok").as_bytes()).ok()?;
    }
}

#[test]
fn two_orders_fail_and_then_all_is_well_as_the_cookbook_shows() {
    if Command::new("curl").arg("--version").output().is_err() {
        return skip("there is no curl on the PATH");
    }
    let (bench, walk) = (Bench::new(), block("cookbook.md", "murphy proxy"));
    let asks = block("cookbook.md", "ask() {");
    let before: Vec<&str> = asks.iter().map(|typed| typed.command.as_str()).collect();
    let (proxy, meanwhile) = walk.split_first().expect("a command");
    let meanwhile: Vec<&str> = meanwhile.iter().map(|typed| typed.command.as_str()).collect();
    let script = format!("{}\n{}", before.join("\n"), beside(&proxy.command, &meanwhile.join("\n")));
    let [listen] = free_ports();
    let addresses =
        [("127.0.0.1:48091", format!("127.0.0.1:{listen}")), ("127.0.0.1:48090", shop().to_string())];
    shows(&walk, &typed(&bench, &script, &addresses).stdout);
}

#[test]
fn one_proxy_by_hand_tells_of_three_calls_and_saves_what_was_done() {
    let (bench, walk) = (Bench::new(), block("by-hand.md", "murphy proxy"));
    let calls = "exec 3<>/dev/tcp/127.0.0.1/LISTEN\n\
                 for _ in 1 2 3; do printf '%01000d' 0 >&3; head -c 1000 <&3 > /dev/null; done\n\
                 exec 3>&-";
    let [listen] = free_ports();
    let script = beside(&walk[0].command, &calls.replace("LISTEN", &listen.to_string()));
    let addresses =
        [("127.0.0.1:38998", format!("127.0.0.1:{listen}")), ("127.0.0.1:38999", echo().to_string())];
    shows(&walk, &typed(&bench, &script, &addresses).stdout);
    // What it says at its end.
    bench.run(&["check", "saved.yaml"]).expect(0).says("1 fault");
}

#[test]
fn only_quantities_may_differ() {
    assert_eq!(shape("503 in 0.009847s"), "503 in #");
    assert_eq!(
        shape("  calls  6 answered (p50 9.08ms, p99 40.2ms), 2 failed"),
        "calls 6 answered (p50 #, p99 #), 2 failed"
    );
    assert_eq!(
        shape("127.0.0.1:48091 -> x: 8 connections in 5.04s, 692B"),
        "127.0.0.1:48091 -> x: 8 connections in #, #"
    );
}
