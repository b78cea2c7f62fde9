//! A probe that asks a real Prometheus, which scrapes a real daemon through the edge that is broken: what it says of that
//! daemon turns with the fault.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use murphy_tests::{Bench, Daemon, eventually, free_ports, get, skip};

/// A Prometheus of its own that scrapes one target every second, and takes it for gone only if that takes nearly as long: not where
/// the machine stands still for a moment.
struct Prometheus {
    child: Child,
    port: u16,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn prometheus(bench: &Bench, target: u16) -> Option<Prometheus> {
    if Command::new("prometheus").arg("--version").output().is_err() {
        skip("there is no prometheus on the PATH");
        return None;
    }
    let [port] = free_ports();
    let settings = bench.file(
        "prometheus.yml",
        &format!(
            "scrape_configs:\n- job_name: murphy\n  scrape_interval: 1s\n  scrape_timeout: 900ms\n  \
             static_configs: [{{ targets: [\"127.0.0.1:{target}\"] }}]\n"
        ),
    );
    let child = Command::new("prometheus")
        .arg(format!("--config.file={}", settings.display()))
        .arg(format!("--storage.tsdb.path={}", bench.path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("prometheus starts");
    let prometheus = Prometheus { child, port };
    eventually("Prometheus is ready", Duration::from_secs(60), || {
        get(&format!("127.0.0.1:{port}"), "/-/ready").is_some_and(|(code, _)| code == 200)
    });
    Some(prometheus)
}

fn scenario(daemon: u16, edge: u16, prometheus: u16, inject: &str) -> String {
    format!(
        r#"murphy: 1
name: what Prometheus says
edges: {{ scraped: {{ listen: "127.0.0.1:{edge}", to: "127.0.0.1:{daemon}" }} }}
load: {{ read: {{ http: "GET http://127.0.0.1:{edge}/version", rate: 30/s }} }}
probes:
  up:
    http: "GET http://127.0.0.1:{prometheus}/api/v1/query?query=sum(up%7Bjob%3D%22murphy%22%7D)"
    json: {{ "$.data.result[0].value[1]": ">= 1" }}
    every: 500ms
phases: {{ warm-up: 8s, baseline: 4s, fault: 7s, recovery: 4s }}
faults: [{{ edge: scraped, inject: {inject} }}]
expect: {{ up: {{ always: true }} }}
"#
    )
}

#[test]
fn what_prometheus_says_of_a_service_turns_with_the_fault_before_it() {
    let bench = Bench::new();
    let [edge] = free_ports();
    let Some(prometheus) = prometheus(&bench, edge) else { return };
    let daemon = Daemon::start(&bench, &["--proxy-metrics"]);
    // Slower than it was, it is up all the same.
    let text = scenario(daemon.port(), edge, prometheus.port, "{ latency: 50ms }");
    bench.file("slow.yaml", &text);
    bench.run_expecting(0, &["run", "slow.yaml"]);
    let text = scenario(daemon.port(), edge, prometheus.port, "blackhole");
    bench.file("gone.yaml", &text);
    let gone = bench.run_expecting(1, &["run", "gone.yaml"]);
    let report = gone.words();
    assert!(report.contains("up always") && report.contains("FAIL"), "{}", gone.stdout);
    assert!(report.contains("value[1] is \"0\""), "the value that Prometheus gave is told: {}", gone.stdout);
}
