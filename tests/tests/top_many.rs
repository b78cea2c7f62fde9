//! The live view over a daemon with a thousand edges and more than ten thousand open connections, ten thousand of them on one edge: each
//! of these is reached page by page, and a frame is drawn in time.
//!
//! The daemon is a process of its own, and its connections wait for the dependency to be dialled: so each costs one descriptor here and
//! one there, and 20,000 a process are enough.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use murphy_control::Client;
use murphy_core::LeaseName;
use murphy_tests::{Bench, Daemon, free_ports};
use murphy_tui::{App, Hands, Listed, Order, Page, Window, World, draw};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::json;

/// On the first edge, so that there are pages of them.
const CONNECTIONS: usize = 10_000;
/// Behind the first.
const OTHERS: usize = 999;
/// On each of these; fewer where a process may not have a descriptor for each.
const ON_OTHERS: usize = 5;
/// What a process holds open beside them.
const BESIDE: u64 = 500;
/// What is promised.
const FRAME: Duration = Duration::from_millis(50);
/// For whatever another process has to do: a machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(120);

/// The view without a terminal.
struct View {
    daemon: murphy_tui::Daemon,
    app: App,
    screen: Terminal<TestBackend>,
    /// The page that was asked for last.
    wanted: Option<Window>,
}

impl View {
    fn seen(&self) -> World {
        let world = self.daemon.world();
        world.lock().expect("whole").clone()
    }

    /// Draws as the screen does, and says how long it took.
    fn frame(&mut self) -> Duration {
        let began = Instant::now();
        let seen = self.seen();
        if let Some(order) = self.app.look(&seen) {
            if let Order::Look(window) = &order {
                self.wanted.clone_from(window);
            }
            self.daemon.act(order);
        }
        self.screen.draw(|frame| draw(frame, &self.app, &seen)).expect("a frame");
        began.elapsed()
    }

    /// The usual frame, so that a moment in which the machine stands still is no verdict; and the longest. Of three such looks the best
    /// at most: for one the machine may be another's all the time.
    fn frames(&mut self) -> (Duration, Duration) {
        let mut best = (Duration::MAX, Duration::MAX);
        for _ in 0..3 {
            let mut frames = Vec::new();
            for _ in 0..40 {
                std::thread::park_timeout(Duration::from_millis(25));
                frames.push(self.frame());
            }
            frames.sort_unstable();
            best = best.min((frames[frames.len() / 2], frames[frames.len() - 1]));
            if best.0 < FRAME {
                break;
            }
        }
        best
    }

    fn until<T>(&mut self, what: &str, found: impl Fn(&World) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            self.frame();
            if let Some(found) = found(&self.seen()) {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    fn press(&mut self, code: KeyCode) {
        let seen = self.seen();
        self.app.key(KeyEvent::new(code, KeyModifiers::NONE), &seen);
    }

    /// The page that is wanted, once it has come.
    fn page(&mut self) -> Arc<Page> {
        self.frame();
        let wanted = self.wanted.clone().expect("a page is looked at");
        self.until("the page", |seen| seen.connections.clone().filter(|page| page.window == wanted))
    }

    /// Goes on until another page is wanted.
    fn turn(&mut self) {
        let before = self.wanted.clone();
        for _ in 0..CONNECTIONS {
            self.press(KeyCode::PageDown);
            self.frame();
            if self.wanted != before {
                return;
            }
        }
        panic!("there is no page behind {before:?}");
    }

    fn says(&mut self, text: &str) {
        self.frame();
        let screen = self.screen.backend().to_string();
        assert!(screen.contains(text), "{text} is not on\n{screen}");
    }
}

/// A daemon with the others, by one file; what calls them waits, by one set of rules.
fn daemon_of_others(bench: &Bench) -> Daemon {
    let names: Vec<String> = (0..OTHERS).map(|number| format!("other-{number:03}")).collect();
    let made =
        names.iter().map(|name| json!({ "name": name, "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9" }));
    bench.file("others.json", &json!(made.collect::<Vec<_>>()).to_string());
    let daemon = Daemon::start(bench, &["--seed", "7", "--config", "others.json"]);
    let rules = names.iter().map(|name| json!({ "proxy": name, "inject": { "slow-open": "30m" } }));
    let order = json!({ "rules": rules.collect::<Vec<_>>() }).to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", daemon.port())).expect("the API listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    let head = format!(
        "PUT /v1/rules/others HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        order.len()
    );
    stream.write_all(format!("{head}{order}").as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    daemon
}

#[test]
fn ten_thousand_connections_of_a_daemon_are_all_listed_and_a_frame_of_a_thousand_edges_is_drawn_in_time() {
    let files = murphy_host::raise_open_files().expect("descriptors");
    let needed = (CONNECTIONS + OTHERS) as u64 + BESIDE;
    if files.now < needed {
        murphy_testkit::skip(format_args!("{needed} descriptors are needed, and there are {}", files.now));
        return;
    }
    let room = usize::try_from(files.now - needed).unwrap_or(usize::MAX);
    let on_others = (room / OTHERS).min(ON_OTHERS);
    let connections = CONNECTIONS + OTHERS * on_others;
    let (bench, [port]) = (Bench::new(), free_ports());
    let daemon = daemon_of_others(&bench);
    daemon.run(&bench, &format!("proxies add held 127.0.0.1:9 --listen 127.0.0.1:{port}")).expect(0);
    daemon.run(&bench, "fault add held --slow-open 30m").expect(0);

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let client = Client::new(&daemon.url, None).expect("an address");
    let proxies = runtime.block_on(client.proxies()).expect("it answers");
    assert_eq!(proxies.len(), OTHERS + 1);
    let mut callers = Vec::with_capacity(connections);
    for proxy in &proxies {
        let wanted = if proxy.name == "held" { CONNECTIONS } else { on_others };
        callers.extend((0..wanted).map(|_| TcpStream::connect(&proxy.listen).expect("the proxy listens")));
    }
    let lease = LeaseName::new("top-many").expect("a name");
    let watched =
        runtime.block_on(murphy_tui::Daemon::start(client, &daemon.url, lease)).expect("it answers");
    let screen = Terminal::new(TestBackend::new(200, 50)).expect("a screen");
    let mut view = View { daemon: watched, app: App::new("many", Hands::Free), screen, wanted: None };
    view.until("all are open", |seen| {
        let open: u64 = seen.edges.values().map(|edge| edge.open).sum();
        (open == connections as u64 && seen.edges.len() == OTHERS + 1).then_some(())
    });
    let edges = view.frames();

    view.press(KeyCode::Char('o'));
    let mut met = BTreeSet::new();
    let first = view.page();
    view.says(" 10000 open on held");
    let on_first = view.frames();
    let mut page = first;
    loop {
        let Listed::Rows { rows, .. } = &page.listed else { panic!("{:?}", page.listed) };
        let before = met.len();
        met.extend(rows.iter().map(|row| row.place));
        assert_eq!(met.len(), before + rows.len(), "each is told once");
        assert!(!rows.is_empty(), "{before} of {CONNECTIONS} were told");
        if met.len() >= CONNECTIONS {
            break;
        }
        view.turn();
        page = view.page();
    }
    assert_eq!(met.len(), CONNECTIONS);
    view.says("*slow-open");
    let on_last = view.frames();

    for (what, (usual, longest)) in [("edges", edges), ("first page", on_first), ("last page", on_last)] {
        eprintln!(
            "a frame over a daemon with {} edges and {connections} connections, {what}: {usual:?}, at most {longest:?}",
            proxies.len()
        );
        assert!(usual < FRAME, "{what}: {usual:?}");
    }
    drop(callers);
    runtime.block_on(view.daemon.end());
}
