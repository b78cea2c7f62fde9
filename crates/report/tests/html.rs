//! The HTML report, opened in a real browser: no error on its console, charts are there, and a large run opens quickly.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use murphy_core::{
    Event, EventKind, Frequency, LoadBrief, LoadName, Offset, Phase, PhaseLengths, Quantile, Rule, RunBrief,
    Sample, SampleOutcome, Seed, Served, Span, Subject, SuccessRule, Timestamp,
};
use murphy_report::{Came, Outcome, Timeline, html};
use murphy_testkit::golden::{Break, Caller, Golden, Trouble};
use murphy_verdict::judge;

fn asked(golden: Golden) -> Golden {
    let users = || Subject::Load(Golden::load());
    let least = SuccessRule::AtLeast("99%".parse().unwrap());
    golden
        .expect("browse.success", users(), Rule::Success { rule: least, may: vec![Served::Stale] }, ">= 99%")
        .expect(
            "browse.p99",
            users(),
            Rule::Latency { quantile: Quantile::P99, at_most: Span::from_millis(600) },
            "<= 600ms",
        )
        .expect("ready.always", Subject::Probe(Golden::probe()), Rule::Always, "always")
        .expect("recovery", Subject::Run, Rule::Recovery { at_most: Span::from_secs(10) }, "<= 10s")
}

fn outcome(events: &[Event]) -> Outcome {
    let judgement = judge(events);
    Outcome {
        scenario: judgement.run.scenario.clone(),
        source: judgement.run.source.clone(),
        came: Came::Judged { judgement: Box::new(judgement), timeline: Box::new(Timeline::of(events)) },
    }
}

fn careless(name: &str) -> Outcome {
    outcome(&asked(Golden::new(name, Caller::careless(), Break::Latency(Span::from_millis(800)))).journal())
}

fn careful() -> Outcome {
    outcome(
        &asked(Golden::new("a cart cache that is down, careful", Caller::careful(), Break::Reset)).journal(),
    )
}

/// A run of a million requests in a minute.
fn a_million() -> Vec<Event> {
    let load = LoadName::new("browse").unwrap();
    let seconds = Span::from_secs(15);
    let brief = RunBrief {
        format: RunBrief::FORMAT,
        murphy: "0.1.0".into(),
        scenario: "a million requests".into(),
        source: String::new(),
        again: String::new(),
        seed: Seed(1),
        started: Timestamp::from_unix(0),
        phases: PhaseLengths {
            warm_up: seconds,
            baseline: seconds,
            fault: seconds,
            recovery: seconds,
            quiet: Span::ZERO,
            again: Span::ZERO,
        },
        services: vec![],
        edges: vec![],
        loads: vec![LoadBrief {
            ledger: None,
            depends_on: None,
            name: load.clone(),
            what: "GET http://127.0.0.1:1/".into(),
            rate: Frequency::per_second(16_667.0).unwrap(),
            ramp: None,
            timeout: Span::from_secs(5),
        }],
        probes: vec![],
        faults: vec![],
        expectations: vec![],
        learn: murphy_core::Learn::None,
        purpose: murphy_core::Purpose::Experiment,
    };
    let mut kinds = vec![(Offset::ZERO, EventKind::RunStarted(Box::new(brief)))];
    for (phase, at) in Phase::PLANNED.into_iter().zip([0, 15, 30, 45]) {
        kinds.push((Offset::from_micros(at * 1_000_000), EventKind::PhaseStarted { phase }));
    }
    for n in 0..1_000_000u64 {
        let intended = Offset::from_micros(n * 60);
        let ended =
            intended + Span::from_micros(900 + n * 7919 % 5_000 + if n % 1000 == 0 { 300_000 } else { 0 });
        let outcome = if n % 997 == 0 { SampleOutcome::Status } else { SampleOutcome::Ok };
        let sample = Sample {
            load: load.clone(),
            n,
            intended,
            sent: Some(intended),
            ended,
            outcome,
            status: Some(200),
            served: Served::Fresh,
            age: None,
            retry_after: None,
        };
        kinds.push((ended, EventKind::Sample(sample)));
    }
    kinds.push((Offset::from_micros(60_000_000), EventKind::RunEnded));
    kinds.into_iter().enumerate().map(|(seq, (at, kind))| Event { seq: seq as u64, at, kind }).collect()
}

#[test]
fn a_hostile_name_cannot_become_markup_and_nothing_is_fetched() {
    let text = html(&[careless("</script><script>alert(1)</script><img src=http://127.0.0.1:1/x>")]);
    assert!(!text.contains("<script>alert") && !text.contains("<img"), "markup came through");
    assert!(text.contains("default-src 'none'"), "the browser is told to fetch nothing");
    for reference in [" src=", "@import", "url("] {
        let places: Vec<_> = text.match_indices(reference).map(|(at, _)| &text[at..at + 30]).collect();
        assert!(places.iter().all(|place| place.contains("127.0.0.1:1/x&gt;")), "{places:?}");
    }
}

#[test]
fn everything_that_the_terminal_says_is_in_it() {
    let text = html(&[careless("a slow cart cache")]);
    for part in [
        "NOT GRACEFUL (1 of 4)",
        "browse p99",
        "809ms [809, 809]",
        "want &lt;= 600ms",
        "no timeout",
        "Change:",
        "fault on: latency 800ms on shop → redis",
        "murphy run cart.yaml --seed 7",
        "p99 ≤ 600ms",
        "shop → redis:6379",
    ] {
        assert!(text.contains(part), "{part} is missing");
    }
}

#[test]
fn several_scenarios_are_one_page_with_a_list() {
    let came = Came::NotCarriedOut { why: "port taken".into() };
    let broken = Outcome { scenario: "third".into(), source: "third.yaml".into(), came };
    let text = html(&[careless("first"), careful(), broken]);
    for part in ["3 scenarios", "href=\"#s2\"", "id=\"s2\"", "NOT CARRIED OUT", "port taken"] {
        assert!(text.contains(part), "{part} is missing");
    }
}

#[test]
fn an_empty_journal_and_a_torn_one_are_pages_too() {
    assert!(html(&[outcome(&[])]).ends_with("</html>\n"));
    assert!(html(&[]).contains("0 scenarios"));
    let journal = asked(Golden::new("torn", Caller::careless(), Break::Hang)).journal();
    for end in (0..journal.len()).step_by(journal.len() / 20) {
        assert!(html(&[outcome(&journal[..end])]).ends_with("</html>\n"));
    }
}

/// What the browser made of a page: its document after the scripts ran, and what it wrote on its console.
fn open(dir: &Path, text: &str, name: &str) -> Option<(String, String, Duration)> {
    open_as(dir, text, name, &[])
}

/// The same in a browser with settings of its own: a size, a dark theme.
fn open_as(dir: &Path, text: &str, name: &str, settings: &[&str]) -> Option<(String, String, Duration)> {
    let file = dir.join(name);
    std::fs::write(&file, text).unwrap();
    let began = Instant::now();
    let output = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            "--v=0",
            "--dump-dom",
        ])
        .args(settings)
        .arg(format!("--user-data-dir={}", dir.join("profile").display()))
        .arg(format!("file://{}", file.display()))
        .output();
    let took = began.elapsed();
    match output {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Some((text(&output.stdout), text(&output.stderr), took))
        }
        Err(_) => {
            murphy_testkit::skip("there is no chromium on the PATH");
            None
        }
    }
}

/// Runs the pointer over a chart, and writes into the page what came of it and how long it took to load.
const PROBE: &str = r#"<script>
addEventListener("load", () => {
  const timing = performance.getEntriesByType("navigation")[0];
  const plot = document.querySelector("figure[data-series] .plot.times");
  const box = plot.getBoundingClientRect();
  plot.dispatchEvent(new PointerEvent("pointermove", { clientX: box.left + box.width * 0.55, clientY: box.top + 5 }));
  const out = document.createElement("output");
  out.id = "probe";
  out.textContent = JSON.stringify({ ready: timing.domContentLoadedEventEnd, tip: document.querySelector(".tip").textContent,
    paths: document.querySelectorAll("svg path").length, wide: document.documentElement.scrollWidth > innerWidth });
  document.body.append(out);
});
</script></body>"#;

fn probed(dom: &str) -> serde_json::Value {
    let from = dom.find("id=\"probe\">").unwrap_or_else(|| panic!("the script did not run: {dom}")) + 11;
    let text = &dom[from..from + dom[from..].find("</output>").unwrap()];
    serde_json::from_str(&text.replace("&amp;", "&")).unwrap()
}

#[test]
fn a_browser_has_no_complaint_and_shows_the_charts() {
    let dir = tempfile::tempdir().unwrap();
    let trouble = outcome(
        &asked(Golden::new("a crash", Caller::careful(), Break::Hang))
            .with(Trouble::Crash(Span::from_secs(3)))
            .journal(),
    );
    let text = html(&[careless("a slow <cart> cache"), careful(), trouble]).replace("</body>", PROBE);
    let Some((dom, console, _)) = open(dir.path(), &text, "report.html") else { return };
    let complaints: Vec<&str> = console.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    let seen = probed(&dom);
    assert!(seen["paths"].as_u64().unwrap() >= 3 * 2 * 5, "{seen}");
    let tip = seen["tip"].as_str().unwrap();
    assert!(tip.contains("requests ok") && tip.contains("p99"), "the pointer tells nothing: {tip}");
    // The check can see a complaint.
    let bad = text.replace("\"use strict\";", "\"use strict\"; console.error(\"out of cheese\");");
    let (_, console, _) = open(dir.path(), &bad, "bad.html").unwrap();
    assert!(
        console.lines().any(|line| line.contains("CONSOLE") && line.contains("out of cheese")),
        "{console}"
    );
}

#[test]
fn a_million_requests_open_in_less_than_two_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let events = a_million();
    let text = html(&[outcome(&events)]);
    assert!(text.len() < 300_000, "{} bytes", text.len());
    let Some((dom, ..)) = open(dir.path(), &text.replace("</body>", PROBE), "million.html") else { return };
    let seen = probed(&dom);
    assert!(seen["ready"].as_f64().unwrap() < 2_000.0, "{seen}");
}

/// What a reader meets on a small screen: the page in a frame as wide as a phone's (a window has a least width of its own),
/// and what the frame made of it.
const ON_A_PHONE: &str = r#"<!doctype html><meta charset="utf-8"><iframe src="PAGE" style="width:390px;height:844px;border:0"></iframe>
<script>
addEventListener("load", () => {
  const seen = document.querySelector("iframe").contentDocument;
  const style = (element) => seen.defaultView.getComputedStyle(element);
  const cut = [...seen.querySelectorAll("h1, h2, h3, p, li, figure")].filter((element) => {
    const box = element.getBoundingClientRect();
    return box.width > 0 && (box.left < 0 || box.right > 390.5);
  });
  const small = [...seen.querySelectorAll("p, li, td, th, h1, h2, h3")].map((element) => parseFloat(style(element).fontSize));
  const out = document.createElement("output");
  out.id = "probe";
  out.textContent = JSON.stringify({ width: seen.documentElement.clientWidth, wide: seen.documentElement.scrollWidth,
    cut: cut.map((element) => element.outerHTML.slice(0, 80)), least: Math.min(...small), words: seen.body.innerText.length,
    page: style(seen.documentElement).backgroundColor + style(seen.body).backgroundColor, ink: style(seen.body).color });
  document.body.append(out);
});
</script></body>"#;

fn on_a_phone(dir: &Path, text: &str, settings: &[&str]) -> Option<serde_json::Value> {
    std::fs::write(dir.join("page.html"), text).unwrap();
    let settings = [&["--allow-file-access-from-files"], settings].concat();
    let (dom, ..) = open_as(dir, &ON_A_PHONE.replace("PAGE", "page.html"), "phone.html", &settings)?;
    Some(probed(&dom))
}

#[test]
fn a_phone_shows_all_of_it_without_scrolling_sideways() {
    let dir = tempfile::tempdir().unwrap();
    let text = html(&[careless("a slow cart cache"), careful()]);
    let Some(seen) = on_a_phone(dir.path(), &text, &[]) else { return };
    // Less the bar of a window that scrolls.
    assert!((360..=390).contains(&seen["width"].as_u64().unwrap()), "{seen}");
    assert!(seen["words"].as_u64().unwrap() > 1_000, "{seen}");
    assert_eq!(seen["wide"], seen["width"], "the page is wider than the screen: {seen}");
    assert_eq!(seen["cut"], serde_json::json!([]), "{seen}");
    assert!(seen["least"].as_f64().unwrap() >= 11.0, "too small to read: {seen}");
    // The check can see a page that is too wide.
    let wide = text.replace("</body>", "<p style=\"width:900px\">wide</p></body>");
    let seen = on_a_phone(dir.path(), &wide, &[]).unwrap();
    assert!(seen["wide"].as_u64().unwrap() > 390 && seen["cut"] != serde_json::json!([]), "{seen}");
}

/// The brightness of `rgb(r, g, b)`, 0 to 1, as WCAG 2.1 has it ("relative luminance").
fn luminance(colour: &str) -> f64 {
    let inner = colour.rsplit("rgb(").next().unwrap().split(')').next().unwrap();
    let linear = inner.split(',').map(|part| {
        let part = part.trim().parse::<f64>().unwrap() / 255.0;
        if part <= 0.039_28 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    linear.zip([0.2126, 0.7152, 0.0722]).map(|(part, weight)| part * weight).sum()
}

#[test]
fn it_is_dark_where_the_reader_wants_it_dark_and_can_be_read_either_way() {
    let dir = tempfile::tempdir().unwrap();
    let text = html(&[careless("a slow cart cache")]);
    let dark = ["--blink-settings=preferredColorScheme=0"];
    let Some(seen) = on_a_phone(dir.path(), &text, &dark) else { return };
    let light = on_a_phone(dir.path(), &text, &["--blink-settings=preferredColorScheme=1"]).unwrap();
    let of = |seen: &serde_json::Value, part: &str| luminance(seen[part].as_str().unwrap());
    assert!(of(&seen, "page") < 0.05 && of(&light, "page") > 0.7, "{seen} {light}");
    for seen in [seen, light] {
        let (page, ink) = (of(&seen, "page"), of(&seen, "ink"));
        let contrast = (page.max(ink) + 0.05) / (page.min(ink) + 0.05);
        assert!(contrast >= 7.0, "WCAG AAA wants 7: {contrast} {seen}");
    }
}
