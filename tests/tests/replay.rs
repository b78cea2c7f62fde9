//! What was done by hand is done again by its recording: the same faults, at the same offsets, for as long. The first begins as walk 10
//! of the cookbook does, with the commands of that page.

use murphy_tests::{Bench, Daemon, Finished, Terminal, consoles, echo, free_ports, murphy, recorded, replay};

/// What the page shows of the replay is said, but for its times.
fn is_as_shown(ended: &Finished, shown: &[String]) {
    assert!(shown.len() >= 6, "{shown:?}");
    for line in shown {
        let (_, what) = line.split_once("s  ").unwrap_or_else(|| panic!("no time: {line}"));
        assert!(ended.stderr.contains(what), "the page shows: {line}\n{}", ended.stderr);
    }
}

#[test]
fn a_recording_puts_the_same_faults_up_for_the_same_times() {
    let bench = Bench::new();
    let (upstream, [port]) = (echo(), free_ports());
    let walk =
        consoles("cookbook.md").into_iter().find(|block| block[0].command.starts_with("murphy top --edge"));
    let walk = walk.expect("walk 10");
    assert_eq!(walk[1].command, "murphy run recorded.yaml");
    let line = walk[0].command.replacen("murphy", &murphy().display().to_string(), 1);
    let line = line.replace("127.0.0.1:48091", &format!("127.0.0.1:{port}"));
    let line = line.replace("127.0.0.1:48090", &upstream.to_string());
    let Some(terminal) = Terminal::open("replay", &bench, &line) else { return };
    terminal.shows("no fault stands");
    terminal.typed("alatency 150ms");
    terminal.key("Enter");
    terminal.shows("ON  latency 150ms");
    terminal.key("Right");
    terminal.shows("ON  latency 170ms");
    terminal.key("Right");
    terminal.shows("ON  latency 190ms");
    terminal.typed("1");
    terminal.shows("off latency 190ms");
    terminal.typed("1");
    terminal.shows("1 FAULT STANDS");
    terminal.typed("ablackhole");
    terminal.key("Enter");
    terminal.shows("2 FAULTS STAND");
    terminal.typed("1");
    terminal.shows("1 FAULT STANDS");
    terminal.typed("s");
    terminal.key("Enter");
    terminal.shows("saved to recorded.yaml");
    terminal.typed("q");
    terminal.shows("ended with 0");

    let recorded = recorded(&bench);
    assert_eq!(recorded.len(), 5, "put on, tuned twice, put on again, and another: {recorded:?}");
    // Nobody calls: the page says so.
    is_as_shown(&replay(&bench).expect(4), &walk[1].shown);
}

#[test]
fn what_was_done_over_both_apis_is_saved_with_its_times_and_done_again() {
    let bench = Bench::new();
    let (upstream, [port]) = (echo(), free_ports());
    let daemon = Daemon::start(&bench, &["--seed", "7"]);
    let done = |words: &str| daemon.run(&bench, words).expect(0);
    daemon.run(&bench, "proxies save recorded.yaml").expect(3).says("no fault was put anywhere");
    done(&format!("proxies add cache {upstream} --listen 127.0.0.1:{port}"));
    done("fault add cache --latency 150ms --name slow");
    daemon.cli(&bench, "toxic add -t latency -a latency=40 -n theirs cache").expect(0);
    done("fault edit cache slow --latency 170ms");
    daemon.cli(&bench, "toxic remove -n theirs cache").expect(0);
    done("fault remove cache slow");
    done("proxies toggle cache");
    done("proxies toggle cache");
    // Of this no scenario has a word: its jitter is above its delay.
    daemon.cli(&bench, "toxic add -t latency -a latency=1 -a jitter=5 -n wide cache").expect(0);
    done("proxies remove cache");
    done("proxies save recorded.yaml").says("murphy check recorded.yaml").says("not recorded: toxic wide");
    daemon.run(&bench, "proxies save recorded.yaml").expect(3).says("is there already");
    bench.run(&["check", "recorded.yaml"]).expect(0).says("4 faults");
    let saved = std::fs::read_to_string(bench.path().join("recorded.yaml")).expect("a recording");
    let injected = saved.lines().filter_map(|line| line.trim().strip_prefix("inject: ")).collect::<Vec<_>>();
    let latency = |delay: &str, more: &str| format!("{{ latency: {{ delay: {delay}{more} }} }}");
    let wanted =
        [latency("150ms", ""), latency("40ms", ", jitter: 0s"), latency("170ms", ""), "refuse".to_owned()];
    assert_eq!(injected, wanted, "{saved}");
    drop(daemon);
    replay(&bench);
}
