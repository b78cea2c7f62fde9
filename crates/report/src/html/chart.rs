//! Charts: the time line of phases and faults, and for every load and edge what was answered and how long it took.
//!
//! Coordinates are percent of a 1000 by 100 box that is stretched to the width of the screen; letters are HTML beside it,
//! so that they keep their size.

use std::fmt::Write;

use murphy_core::Span;
use serde::Serialize;

use super::page::Page;
use super::scale::{TimeScale, spoken, ticks};
use crate::timeline::{Bin, Series, SeriesKind, Timeline};

/// All charts of a run, with the numbers behind them.
pub(super) fn charts(page: &mut Page, timeline: &Timeline) {
    data(page, timeline);
    if timeline.is_empty() {
        return;
    }
    page.raw("<section class=\"card\"><h2>Time line</h2>\n");
    strip(page, timeline);
    page.raw("</section>\n");
    for kind in [SeriesKind::Load, SeriesKind::Edge] {
        let of_kind: Vec<(usize, &Series)> =
            timeline.series.iter().enumerate().filter(|(_, series)| series.kind == kind).collect();
        if of_kind.is_empty() {
            continue;
        }
        let head = match kind {
            SeriesKind::Load => "What users saw",
            SeriesKind::Edge => "What callers did on the edges",
        };
        page.put(format_args!("<section class=\"card\"><h2>{head}</h2>\n"));
        for (number, series) in of_kind {
            figure(page, timeline, number, series);
        }
        page.raw("</section>\n");
    }
    probes(page, timeline);
}

/// The numbers that the script tells, in microseconds.
#[derive(Serialize)]
struct Numbers {
    length: u64,
    series: Vec<SeriesNumbers>,
}

#[derive(Serialize)]
struct SeriesNumbers {
    word: &'static str,
    step: u64,
    n: Vec<u32>,
    good: Vec<u32>,
    degraded: Vec<u32>,
    p50: Vec<u64>,
    p95: Vec<u64>,
    p99: Vec<u64>,
    max: Vec<u64>,
}

fn data(page: &mut Page, timeline: &Timeline) {
    let series = timeline.series.iter().map(|series| {
        let spans = |get: fn(&Bin) -> Span| series.bins.iter().map(|bin| get(bin).as_micros()).collect();
        let counts = |get: fn(&Bin) -> u32| series.bins.iter().map(get).collect();
        SeriesNumbers {
            word: match series.kind {
                SeriesKind::Load => "requests ok",
                SeriesKind::Edge => "calls answered",
            },
            step: series.step.as_micros(),
            n: counts(|bin| bin.n),
            good: counts(|bin| bin.good),
            degraded: counts(|bin| bin.degraded),
            p50: spans(|bin| bin.p50),
            p95: spans(|bin| bin.p95),
            p99: spans(|bin| bin.p99),
            max: spans(|bin| bin.max),
        }
    });
    let numbers = Numbers { length: timeline.length.as_micros(), series: series.collect() };
    // Numbers and constants only: nothing in it can end the element.
    let json = serde_json::to_string(&numbers).unwrap_or_else(|_| "{\"length\":0,\"series\":[]}".to_owned());
    page.raw("<script type=\"application/json\" class=\"data\">").raw(&json).raw("</script>\n");
}

/// A place on the time axis, 0 to 1000.
fn x(timeline: &Timeline, at: Span) -> f64 {
    1000.0 * at.as_micros() as f64 / timeline.length.as_micros().max(1) as f64
}

const OPEN: &str = "<svg viewBox=\"0 0 1000 100\" preserveAspectRatio=\"none\" aria-hidden=\"true\">";

fn rect(page: &mut Page, class: &str, from: f64, to: f64) {
    let width = (to - from).max(1.0);
    page.put(format_args!(
        "<rect class=\"{class}\" x=\"{from:.1}\" y=\"0\" width=\"{width:.1}\" height=\"100\"/>"
    ));
}

fn strip(page: &mut Page, timeline: &Timeline) {
    page.raw("<div class=\"frame\"><div class=\"axis\"></div><div class=\"plot strip\">").raw(OPEN);
    for band in &timeline.phases {
        let (from, to) = (x(timeline, band.from), x(timeline, band.to));
        rect(page, &format!("phase{}", band.phase as u8), from, to);
    }
    page.raw("</svg>");
    for band in &timeline.phases {
        let (from, to) = (x(timeline, band.from) / 10.0, x(timeline, band.to) / 10.0);
        let width = to - from;
        page.put(format_args!("<span class=\"text\" style=\"left:{from:.1}%;max-width:{width:.1}%\">"))
            .element("", band.phase.name(), "</span>");
    }
    page.raw("<i class=\"cursor\"></i></div>\n");
    for fault in &timeline.faults {
        page.raw("<div class=\"axis\"></div><div class=\"plot lane\">").raw(OPEN);
        for (from, to) in &fault.windows {
            rect(page, "fault", x(timeline, *from), x(timeline, *to));
        }
        page.raw("</svg>");
        let first = fault.windows.first().map_or(0.0, |(from, _)| x(timeline, *from) / 10.0);
        let touched = match (fault.tally.hits, fault.tally.connections) {
            (0, 0) => "touched nothing".to_owned(),
            (0, connections) => format!("{connections} connections"),
            (hits, _) => format!("{hits} hits"),
        };
        // A text that would be cut at the right edge stands to the left of its window.
        let place = if first > 60.0 { "right:0".to_owned() } else { format!("left:{first:.1}%") };
        page.put(format_args!("<span class=\"text\" style=\"{place}\">"))
            .text(&format!("{} on {} · {touched}", fault.text, fault.on))
            .raw("</span><i class=\"cursor\"></i></div>\n");
    }
    time_axis(page, timeline);
    page.raw("</div>\n");
}

fn time_axis(page: &mut Page, timeline: &Timeline) {
    page.raw("<div class=\"ticks\">");
    for tick in ticks(timeline.length) {
        let at = x(timeline, tick) / 10.0;
        let text = if tick.is_zero() { "0s".to_owned() } else { spoken(tick) };
        page.put(format_args!("<span style=\"left:{at:.2}%\">")).text(&text).raw("</span>");
    }
    page.raw("</div>");
}

/// Windows of faults and borders of phases, behind whatever is drawn.
fn background(page: &mut Page, timeline: &Timeline) {
    for (from, to) in timeline.faults.iter().flat_map(|fault| &fault.windows) {
        rect(page, "band", x(timeline, *from), x(timeline, *to));
    }
    for band in timeline.phases.iter().skip(1) {
        let at = x(timeline, band.from);
        page.put(format_args!("<line class=\"edge\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"0\" y2=\"100\"/>"));
    }
}

fn figure(page: &mut Page, timeline: &Timeline, number: usize, series: &Series) {
    page.put(format_args!("<figure data-series=\"{number}\"><figcaption><b>")).text(&series.name).element(
        "</b><span class=\"quiet small\">",
        &series.what,
        "</span>",
    );
    let keys: &[(&str, &str)] = match series.kind {
        SeriesKind::Load => &[("series", "ok"), ("unsure", "degraded"), ("bad", "failed")],
        SeriesKind::Edge => &[("series", "answered"), ("bad", "given up or failed")],
    };
    for (colour, word) in keys {
        let degraded = series.bins.iter().any(|bin| bin.degraded > 0);
        if *word != "degraded" || degraded {
            page.put(format_args!(
                "<span class=\"key\"><i style=\"background:var(--{colour})\"></i>{word}</span>"
            ));
        }
    }
    page.raw("</figcaption>\n<div class=\"frame\">");
    match series.kind {
        SeriesKind::Load => shares(page, timeline, series),
        SeriesKind::Edge => rates(page, timeline, series),
    }
    times(page, timeline, series);
    time_axis(page, timeline);
    page.raw("</div><p class=\"tip\">");
    for (colour, word) in [("series", "p50"), ("series-2", "p95"), ("bad", "p99")] {
        page.put(format_args!(
            "<span class=\"key\"><i style=\"background:var(--{colour});height:3px\"></i>{word}</span> "
        ));
    }
    page.put(format_args!("in steps of {}</p></figure>\n", spoken(series.step)));
}

/// A stepped outline: for each bin the upper and the lower edge, in percent from the top; bins without one are gaps.
fn steps(timeline: &Timeline, series: &Series, edges: impl Fn(&Bin) -> Option<(f64, f64)>) -> String {
    let step = x(timeline, series.step);
    let mut path = String::new();
    for (index, bin) in series.bins.iter().enumerate() {
        let Some((top, bottom)) = edges(bin).filter(|(top, bottom)| bottom > top) else { continue };
        let (from, to) = (step * index as f64, (step * (index + 1) as f64).min(1000.0));
        let _ = write!(path, "M{from:.1} {top:.1}H{to:.1}V{bottom:.1}H{from:.1}Z");
    }
    path
}

/// A stepped line; bins without a value are gaps.
fn line(timeline: &Timeline, series: &Series, value: impl Fn(&Bin) -> Option<f64>) -> String {
    let step = x(timeline, series.step);
    let mut path = String::new();
    let mut pen_is_down = false;
    for (index, bin) in series.bins.iter().enumerate() {
        let Some(y) = value(bin) else {
            pen_is_down = false;
            continue;
        };
        let (from, to) = (step * index as f64, (step * (index + 1) as f64).min(1000.0));
        let begin = if pen_is_down { format!("V{y:.1}") } else { format!("M{from:.1} {y:.1}") };
        let _ = write!(path, "{begin}H{to:.1}");
        pen_is_down = true;
    }
    path
}

fn path(page: &mut Page, class: &str, path: &str) {
    page.put(format_args!("<path class=\"{class}\" d=\"{path}\"/>"));
}

/// Of each step, which share of the requests was answered.
fn shares(page: &mut Page, timeline: &Timeline, series: &Series) {
    page.raw("<div class=\"axis\"><span class=\"top\" style=\"top:0\">100%</span>")
        .raw("<span class=\"bottom\" style=\"top:100%\">0%</span></div><div class=\"plot share\">")
        .raw(OPEN);
    background(page, timeline);
    let share = |bin: &Bin, count: u32| 100.0 * f64::from(count) / f64::from(bin.n.max(1));
    let some = |bin: &Bin| bin.n > 0;
    path(
        page,
        "fresh",
        &steps(timeline, series, |bin| {
            some(bin).then(|| (100.0 - share(bin, bin.good - bin.degraded), 100.0))
        }),
    );
    let degraded = steps(timeline, series, |bin| {
        some(bin).then(|| (100.0 - share(bin, bin.good), 100.0 - share(bin, bin.good - bin.degraded)))
    });
    path(page, "degraded", &degraded);
    path(
        page,
        "lost",
        &steps(timeline, series, |bin| some(bin).then(|| (0.0, 100.0 - share(bin, bin.good)))),
    );
    if let Some(least) = series.least {
        let y = 100.0 * (1.0 - least);
        page.put(format_args!("<line class=\"limit\" x1=\"0\" x2=\"1000\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"));
    }
    page.raw("</svg><i class=\"cursor\"></i></div>\n");
}

/// Calls a second, answered and not: a breaker that opens is a gap.
fn rates(page: &mut Page, timeline: &Timeline, series: &Series) {
    let seconds = series.step.as_secs_f64().max(1e-6);
    let most = series.bins.iter().map(|bin| bin.n).max().unwrap_or(0).max(1);
    let top = f64::from(most) / seconds;
    let label = if top < 10.0 { format!("{top:.1}/s") } else { format!("{top:.0}/s") };
    page.put(format_args!("<div class=\"axis\"><span class=\"top\" style=\"top:0\">{label}</span>"))
        .raw("<span class=\"bottom\" style=\"top:100%\">0</span></div><div class=\"plot rate\">")
        .raw(OPEN);
    background(page, timeline);
    let height = |count: u32| 96.0 * f64::from(count) / f64::from(most);
    path(page, "fresh", &steps(timeline, series, |bin| Some((100.0 - height(bin.good), 100.0))));
    path(
        page,
        "lost",
        &steps(timeline, series, |bin| Some((100.0 - height(bin.n), 100.0 - height(bin.good)))),
    );
    page.raw("</svg><i class=\"cursor\"></i></div>\n");
}

/// How long it took, on a logarithmic axis.
fn times(page: &mut Page, timeline: &Timeline, series: &Series) {
    let full = || series.bins.iter().filter(|bin| bin.n > 0);
    let limits = series.limits.iter().map(|(_, span)| *span);
    let scale = TimeScale::of(full().flat_map(|bin| [bin.p50, bin.p99]).chain(limits));
    page.raw("<div class=\"axis\">");
    let decades = scale.decades();
    for (index, decade) in decades.iter().enumerate() {
        let class = match index {
            0 => " class=\"top\"",
            last if last + 1 == decades.len() => " class=\"bottom\"",
            _ => "",
        };
        page.put(format_args!("<span{class} style=\"top:{:.1}%\">", scale.place(*decade)))
            .text(&spoken(*decade))
            .raw("</span>");
    }
    page.raw("</div><div class=\"plot times\">").raw(OPEN);
    background(page, timeline);
    for decade in &decades {
        let y = scale.place(*decade);
        page.put(format_args!("<line class=\"grid\" x1=\"0\" x2=\"1000\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"));
    }
    let some = |bin: &Bin, span: Span| (bin.n > 0).then(|| scale.place(span));
    let area = steps(timeline, series, |bin| Some((some(bin, bin.p99)?, some(bin, bin.p50)?)));
    path(page, "span", &area);
    path(page, "p95", &line(timeline, series, |bin| some(bin, bin.p95)));
    path(page, "p99", &line(timeline, series, |bin| some(bin, bin.p99)));
    path(page, "p50", &line(timeline, series, |bin| some(bin, bin.p50)));
    for (_, limit) in &series.limits {
        let y = scale.place(*limit);
        page.put(format_args!("<line class=\"limit\" x1=\"0\" x2=\"1000\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"));
    }
    page.raw("</svg>");
    for (what, limit) in &series.limits {
        let y = scale.place(*limit);
        let under = if y < 15.0 { " under" } else { "" };
        page.put(format_args!("<span class=\"limit{under}\" style=\"top:{y:.1}%\">"))
            .text(&format!("{what} ≤ {limit}"))
            .raw("</span>");
    }
    page.raw("<i class=\"cursor\"></i></div>\n");
}

fn probes(page: &mut Page, timeline: &Timeline) {
    if timeline.probes.is_empty() {
        return;
    }
    page.raw("<section class=\"card\"><h2>Probes</h2>\n");
    for probe in &timeline.probes {
        page.element("<figure><figcaption><b>", &probe.name, "</b>")
            .element("<span class=\"quiet small\">", &probe.what, "</span>")
            .raw("<span class=\"key\"><i style=\"background:var(--good)\"></i>ok</span>")
            .raw("<span class=\"key\"><i style=\"background:var(--bad)\"></i>not ok</span></figcaption>\n")
            .raw("<div class=\"frame\"><div class=\"axis\"></div><div class=\"plot strip\">")
            .raw(OPEN);
        for stretch in &probe.stretches {
            let class = if stretch.ok { "yes" } else { "no" };
            rect(page, class, x(timeline, stretch.from), x(timeline, stretch.to));
        }
        page.raw("</svg><i class=\"cursor\"></i></div>");
        time_axis(page, timeline);
        page.raw("</div></figure>\n");
    }
    page.raw("</section>\n");
}
