//! `/metrics`: the counters in Prometheus' text form, under the names that Toxiproxy has, and live: a byte counts when it
//! has passed, not when its connection ends.
//!
//! Nothing here waits: it reads counters and, for the process, a few files of `/proc`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use murphy_proxy::MeterSnapshot;

use crate::traffic::Labels;

/// The content type of the text form.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

/// Which metrics are served. With none of them there is no such route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MetricsChoice {
    /// What passes through the proxies.
    pub proxy: Served,
    /// What the process uses.
    pub runtime: Served,
}

/// Whether a group of metrics is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Served {
    /// It is.
    Yes,
    /// It is not.
    #[default]
    No,
}

/// A label's value, escaped.
fn label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

type Reading = fn(&MeterSnapshot) -> u64;

/// A counter with one line for each direction of each proxy.
fn by_direction(
    text: &mut String,
    name: &str,
    help: &str,
    traffic: &BTreeMap<Labels, MeterSnapshot>,
    readings: [(&str, Reading); 2],
) {
    head(text, name, "counter", help);
    for (direction, reading) in readings {
        for (labels, meter) in traffic {
            let (proxy, listener, upstream) =
                (label(&labels.proxy), label(&labels.listener), label(&labels.upstream));
            let _ = writeln!(
                text,
                "{name}{{direction=\"{direction}\",listener=\"{listener}\",proxy=\"{proxy}\",upstream=\"{upstream}\"}} {}",
                reading(meter)
            );
        }
    }
}

fn by_proxy(
    text: &mut String,
    (name, kind, help): (&str, &str, &str),
    traffic: &BTreeMap<Labels, MeterSnapshot>,
    reading: Reading,
) {
    head(text, name, kind, help);
    for (labels, meter) in traffic {
        let (proxy, listener, upstream) =
            (label(&labels.proxy), label(&labels.listener), label(&labels.upstream));
        let _ = writeln!(
            text,
            "{name}{{listener=\"{listener}\",proxy=\"{proxy}\",upstream=\"{upstream}\"}} {}",
            reading(meter)
        );
    }
}

/// The metrics of the proxies.
fn proxies(text: &mut String, traffic: &BTreeMap<Labels, MeterSnapshot>) {
    by_direction(
        text,
        "toxiproxy_proxy_received_bytes_total",
        "Bytes read from a client (upstream) or from its upstream (downstream).",
        traffic,
        [("downstream", |meter| meter.from_upstream), ("upstream", |meter| meter.from_client)],
    );
    by_direction(
        text,
        "toxiproxy_proxy_sent_bytes_total",
        "Bytes written to an upstream (upstream) or to its client (downstream).",
        traffic,
        [("downstream", |meter| meter.to_client), ("upstream", |meter| meter.to_upstream)],
    );
    by_proxy(
        text,
        ("murphy_proxy_connections_total", "counter", "Connections accepted."),
        traffic,
        |meter| meter.accepted,
    );
    by_proxy(
        text,
        ("murphy_proxy_connections_open", "gauge", "Connections that are open."),
        traffic,
        |meter| meter.open,
    );
    by_proxy(
        text,
        ("murphy_proxy_dial_failures_total", "counter", "Connections whose upstream could not be reached."),
        traffic,
        |meter| meter.dial_failed,
    );
}

/// One value without labels.
fn plain(text: &mut String, name: &str, kind: &str, help: &str, value: f64) {
    head(text, name, kind, help);
    let _ = writeln!(text, "{name} {value}");
}

/// What `/proc` says of this process, as far as it says it.
fn process(text: &mut String) {
    // Fields of `stat` behind the name in brackets; times are in hundredths of a second on every Linux.
    const TICKS: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let field = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok());
    let page = 4096.0;
    if let (Some(user), Some(system)) = (field(11), field(12)) {
        plain(
            text,
            "process_cpu_seconds_total",
            "counter",
            "Total user and system CPU time spent in seconds.",
            (user + system) / TICKS,
        );
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        plain(text, "process_open_fds", "gauge", "Number of open file descriptors.", open.count() as f64);
    }
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let most = limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next());
    if let Some(most) = most.and_then(|most| most.parse().ok()) {
        plain(text, "process_max_fds", "gauge", "Maximum number of open file descriptors.", most);
    }
    if let Some(bytes) = field(20) {
        plain(text, "process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.", bytes);
    }
    if let Some(pages) = field(21) {
        plain(text, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", pages * page);
    }
    let booted = fs::read_to_string("/proc/stat").unwrap_or_default();
    let booted = booted.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<f64>().ok());
    if let (Some(booted), Some(started)) = (booted, field(19)) {
        plain(
            text,
            "process_start_time_seconds",
            "gauge",
            "Start time of the process since unix epoch in seconds.",
            booted + started / TICKS,
        );
    }
    // Dashboards made for Toxiproxy look for these two; there is no Go here, and the labels say so.
    head(text, "go_info", "gauge", "Not Go: kept for dashboards that ask for it.");
    let _ = writeln!(text, "go_info{{version=\"none, murphy {}\"}} 1", env!("CARGO_PKG_VERSION"));
    let tasks =
        tokio::runtime::Handle::try_current().map_or(0, |runtime| runtime.metrics().num_alive_tasks());
    let tasks = tasks + murphy_proxy::tasks_of_connections();
    plain(text, "go_goroutines", "gauge", "Number of tasks that exist; kept under this name.", tasks as f64);
    if let Some(threads) = field(17) {
        plain(text, "go_threads", "gauge", "Number of OS threads; kept under this name.", threads);
    }
}

/// The text.
pub fn render(choice: MetricsChoice, traffic: &BTreeMap<Labels, MeterSnapshot>) -> String {
    let mut text = String::new();
    if choice.runtime == Served::Yes {
        process(&mut text);
    }
    let name = "promhttp_metric_handler_errors_total";
    head(&mut text, name, "counter", "Total number of internal errors encountered by the handler.");
    for cause in ["encoding", "gathering"] {
        let _ = writeln!(text, "{name}{{cause=\"{cause}\"}} 0");
    }
    if choice.proxy == Served::Yes {
        proxies(&mut text, traffic);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_directions_are_apart() {
        let labels =
            Labels { proxy: "a\"b\\".into(), listener: "127.0.0.1:1".into(), upstream: "c:2".into() };
        let meter =
            MeterSnapshot { to_upstream: 3, from_client: 5, to_client: 7, ..MeterSnapshot::default() };
        let choice = MetricsChoice { proxy: Served::Yes, runtime: Served::No };
        let text = render(choice, &BTreeMap::from([(labels, meter)]));
        let place = r#"listener="127.0.0.1:1",proxy="a\"b\\",upstream="c:2""#;
        for line in [
            format!("toxiproxy_proxy_sent_bytes_total{{direction=\"upstream\",{place}}} 3"),
            format!("toxiproxy_proxy_received_bytes_total{{direction=\"upstream\",{place}}} 5"),
            format!("toxiproxy_proxy_sent_bytes_total{{direction=\"downstream\",{place}}} 7"),
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
        assert!(!text.contains("process_"));
    }

    #[test]
    fn the_process_tells_what_it_uses() {
        let text = render(MetricsChoice { proxy: Served::No, runtime: Served::Yes }, &BTreeMap::new());
        for name in ["process_open_fds", "process_resident_memory_bytes", "go_info", "go_goroutines"] {
            assert!(text.lines().any(|line| line.starts_with(name)), "{name}\n{text}");
        }
        assert!(!text.contains("toxiproxy_"));
    }
}
