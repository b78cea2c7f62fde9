//! Edits without end, through both APIs. No call may fail in a way that is not its own fault, and none may be slow.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::{Lots, Soak, http};

/// What an edit may take, and most take: that all do is held where nothing else is under way (`murphy-control`, `thirteen`).
const PROMPT: Duration = Duration::from_millis(100);

fn edit(soak: &Soak, method: &str, path: &str, body: &str) {
    let reply = http::call(soak.api, method, path, body);
    assert!(reply.status < 500, "{method} {path} {body}: {} {}", reply.status, reply.body);
    assert!(reply.status != 400 && reply.status != 422, "{method} {path} {body}: {}", reply.body);
    let millis = u64::try_from(reply.took.as_millis()).unwrap_or(u64::MAX);
    soak.slowest_call_ms.fetch_max(millis, Ordering::Relaxed);
    soak.edits.fetch_add(1, Ordering::Relaxed);
    soak.late_edits.fetch_add(u64::from(reply.took > PROMPT), Ordering::Relaxed);
    // Some way between two edits, so that traffic gets on.
    std::thread::park_timeout(Duration::from_millis(15));
}

const GENTLE: &[&str] = &[
    r#"{"type":"latency","attributes":{"latency":20,"jitter":20}}"#,
    r#"{"type":"latency","stream":"upstream","name":"up","attributes":{"latency":5}}"#,
    r#"{"type":"bandwidth","attributes":{"rate":3000}}"#,
    r#"{"type":"slicer","toxicity":0.5,"attributes":{"average_size":20000,"size_variation":9000,"delay":50}}"#,
    r#"{"type":"slow_close","stream":"both","attributes":{"delay":20}}"#,
    r#"{"type":"noop"}"#,
];
const GENTLE_NAMES: &[&str] = &[
    "latency_downstream",
    "up",
    "bandwidth_downstream",
    "slicer_downstream",
    "slow_close_both",
    "noop_downstream",
];
const GENTLE_RULES: &[&str] = &[
    r#"{"rules":[]}"#,
    r#"{"rules":[{"proxy":"gentle","inject":{"latency":{"delay":"10ms","jitter":"9ms"}},"directions":"both","chance":"50%"}]}"#,
    r#"{"rules":[{"proxy":"gentle","inject":{"bandwidth":"20MB/s"}},{"proxy":"gentle","inject":{"slow-open":"10ms"}}],"for":"1s"}"#,
    r#"{"rules":[{"proxy":"gentle","inject":{"blackhole":{}},"chance":"20%"}],"for":"200ms"}"#,
];

pub(crate) fn gently(soak: &Soak) {
    let mut lots = Lots::new(1);
    while !soak.is_over() {
        let name = lots.pick(GENTLE_NAMES);
        match lots.below(8) {
            0..=2 => edit(soak, "POST", "/proxies/gentle/toxics", lots.pick(GENTLE)),
            3..=4 => edit(soak, "DELETE", &format!("/proxies/gentle/toxics/{name}"), ""),
            5 => {
                let toxicity = lots.below(100);
                let body = format!(r#"{{"toxicity":0.{toxicity:02}}}"#);
                edit(soak, "POST", &format!("/proxies/gentle/toxics/{name}"), &body);
            }
            6 => edit(soak, "PUT", "/v1/rules/soak", lots.pick(GENTLE_RULES)),
            _ => edit(
                soak,
                "GET",
                lots.pick(&["/proxies", "/v1/proxies", "/v1/proxies/gentle/connections"]),
                "",
            ),
        }
    }
}

const HARSH: &[&str] = &[
    r#"{"type":"reset_peer","attributes":{"timeout":10}}"#,
    r#"{"type":"timeout","toxicity":0.5,"attributes":{"timeout":30}}"#,
    r#"{"type":"limit_data","attributes":{"bytes":5000}}"#,
    r#"{"type":"limit_data","name":"up","stream":"upstream","attributes":{"bytes":50000}}"#,
    r#"{"type":"latency","attributes":{"latency":10}}"#,
];
const HARSH_NAMES: &[&str] =
    &["reset_peer_downstream", "timeout_downstream", "limit_data_downstream", "up", "latency_downstream"];

pub(crate) fn harshly(soak: &Soak) {
    let mut lots = Lots::new(2);
    while !soak.is_over() {
        match lots.below(10) {
            0..=2 => edit(soak, "POST", "/proxies/harsh/toxics", lots.pick(HARSH)),
            3..=6 => edit(soak, "DELETE", &format!("/proxies/harsh/toxics/{}", lots.pick(HARSH_NAMES)), ""),
            7 => {
                edit(soak, "POST", "/proxies/harsh", r#"{"enabled":false}"#);
                edit(soak, "POST", "/proxies/harsh", r#"{"enabled":true}"#);
            }
            8 => {
                edit(
                    soak,
                    "POST",
                    "/v1/proxies/harsh/faults",
                    r#"{"inject":"refuse","chance":"30%","for":"50ms"}"#,
                );
            }
            _ => edit(soak, "GET", "/v1/proxies/harsh", ""),
        }
    }
}
