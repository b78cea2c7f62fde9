//! Every detector by name and in words: the question it answers, what it needs to answer it, and the line of `expect:`
//! that asks for it. The one place: `murphy explain`, the reference and the completions are made of it.

use serde::Serialize;

/// Who found something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Detector {
    /// Does the caller give up? (verdicts 2.1)
    Timeout,
    /// How often does it try? (2.2)
    Attempts,
    /// How many calls for each user request? (2.3)
    Amplification,
    /// How do the waits between tries grow? (2.4)
    BackOff,
    /// Are these waits drawn at random? (2.5)
    Jitter,
    /// Does it stop calling? (2.6)
    Breaker,
    /// Does the number of calls in flight hit a limit? (2.7)
    Pool,
    /// How soon do users get any answer whom the fault denies the usual one? (2.8)
    FailFast,
    /// Are degraded answers served? (2.9)
    Fallback,
    /// Do connections come back all at once? (2.12)
    Reconnect,
    /// Do connections stay behind after each fault? (2.13)
    Leak,
    /// Does the caller go to other instances while one is sick? (2.18)
    Failover,
    /// Are users spared who do not need the dependency? (2.7)
    Isolation,
    /// Are requests refused at once when there are too many? (2.10)
    Shedding,
    /// How many requests a second can be served? (2.10)
    Capacity,
    /// When are users served as before, and in which steps? (2.14)
    Recovery,
    /// Does trouble outlast its cause? (2.15)
    Metastability,
    /// Does a health check follow the dependency? (2.11)
    Health,
    /// Can users do without the dependency? (2.17)
    Dependency,
    /// Does a service start while a dependency is down? (2.17)
    StartUp,
    /// Are acknowledged writes gone? (2.16)
    Lost,
    /// Are writes kept more often than they were sent? (2.16)
    Duplicates,
}

impl Detector {
    /// The word in reports: `timeout`.
    pub fn name(self) -> &'static str {
        match self {
            Detector::Timeout => "timeout",
            Detector::Attempts => "attempts",
            Detector::Amplification => "amplification",
            Detector::BackOff => "back-off",
            Detector::Jitter => "jitter",
            Detector::Breaker => "breaker",
            Detector::Pool => "pool",
            Detector::FailFast => "fail-fast",
            Detector::Fallback => "fallback",
            Detector::Reconnect => "reconnect",
            Detector::Leak => "leak",
            Detector::Failover => "failover",
            Detector::Isolation => "isolation",
            Detector::Shedding => "shedding",
            Detector::Capacity => "capacity",
            Detector::Recovery => "recovery",
            Detector::Metastability => "metastability",
            Detector::Health => "health",
            Detector::Dependency => "dependency",
            Detector::StartUp => "start-up",
            Detector::Lost => "lost",
            Detector::Duplicates => "duplicates",
        }
    }
}

impl Detector {
    /// True for facts that need a stimulus of their own: most runs cannot tell them, and are not worse for it.
    pub fn is_fine(self) -> bool {
        match self {
            Detector::Timeout
            | Detector::Attempts
            | Detector::Amplification
            | Detector::Breaker
            | Detector::Pool
            | Detector::Fallback
            | Detector::Failover
            | Detector::Capacity
            | Detector::Dependency
            | Detector::Lost
            | Detector::Duplicates => false,
            Detector::BackOff
            | Detector::Jitter
            | Detector::FailFast
            | Detector::Reconnect
            | Detector::Leak
            | Detector::Isolation
            | Detector::Shedding
            | Detector::Recovery
            | Detector::Metastability
            | Detector::Health
            | Detector::StartUp => true,
        }
    }
}

/// A detector in words.
#[derive(Debug, Clone, Copy)]
pub struct DetectorWords {
    /// Which.
    pub detector: Detector,
    /// What it answers.
    pub question: &'static str,
    /// What it needs.
    pub needs: &'static str,
    /// What can be asked of its answer: lines of `expect:`; none for what is told only.
    pub expect: &'static [&'static str],
}

/// All detectors, edges first, then loads and probes.
pub const DETECTORS: &[DetectorWords] = &[
    DetectorWords {
        detector: Detector::Timeout,
        question: "does the caller give up, and when?",
        needs: "a dependency that is slow or silent; 5 calls that are given up, or 30 that wait",
        expect: &[r#"EDGE: { timeout: "<= 500ms" }"#],
    },
    DetectorWords {
        detector: Detector::Attempts,
        question: "how often does it try one call?",
        needs: "30 failing calls that carry an idempotency key or a traceparent, 30 failing requests that were alone in the system, or calls that all fail",
        expect: &[r#"EDGE: { attempts: "<= 3" }"#],
    },
    DetectorWords {
        detector: Detector::Amplification,
        question: "how many calls for each user request, against the baseline?",
        needs: "50 calls in the baseline",
        expect: &[r#"EDGE: { amplification: "<= 1.2" }"#],
    },
    DetectorWords {
        detector: Detector::BackOff,
        question: "how do the waits between tries grow?",
        needs: "10 requests that were alone and tried again; a shape needs 4 tries",
        expect: &["EDGE: { back-off: grows }"],
    },
    DetectorWords {
        detector: Detector::Jitter,
        question: "are these waits drawn at random?",
        needs: "10 requests that were alone and tried again, 30 for small jitter",
        expect: &["EDGE: { jitter: present }"],
    },
    DetectorWords {
        detector: Detector::Breaker,
        question: "does it stop calling for a while?",
        needs: "12 calls due in a silence; 150 failed calls in a row to say absent",
        expect: &[
            "EDGE: { breaker: opens }",
            "EDGE: { breaker: opens within 2s }",
            r#"EDGE: { calls-to-open: "<= 10" }"#,
            r#"EDGE: { half-open-every: ">= 5s" }"#,
            r#"EDGE: { closes: "<= 10s" }"#,
        ],
    },
    DetectorWords {
        detector: Detector::Pool,
        question: "does the number of calls in flight hit a limit?",
        needs: "5 s at the limit while users wait; more calls at once than the bound to say that there is none",
        expect: &[r#"EDGE: { pool: "<= 20" }"#],
    },
    DetectorWords {
        detector: Detector::Reconnect,
        question: "do connections come back all at once?",
        needs: "10 new connections after the fault; 3 callers or 30 connections",
        expect: &["EDGE: { reconnect: spread }"],
    },
    DetectorWords {
        detector: Detector::Leak,
        question: "do connections stay behind after each fault?",
        needs: "4 short faults with 4 s of quiet before and after each",
        expect: &["EDGE: { leak: none }"],
    },
    DetectorWords {
        detector: Detector::Failover,
        question: "does it go to other instances while one is sick?",
        needs: "an edge for each instance, with one `instance-of`; 36 calls due on the sick one, a fault of 5 s or more; to say absent, 20 failed calls long before its end, or calls that go to no instance",
        expect: &["EDGE: { failover: ejects }"],
    },
    DetectorWords {
        detector: Detector::FailFast,
        question: "how soon does a user get any answer, an error included, who is not served as before?",
        needs: "72 such requests, 368 for p99, with the fault in the world for their whole deadline: the bound, or 2 s more than the p99 of the baseline",
        expect: &[r#"LOAD: { fail-fast: "<= 2s" }"#],
    },
    DetectorWords {
        detector: Detector::Fallback,
        question: "are degraded answers served, and how old?",
        needs: "73 answers; `X-Served`, `Cache-Status` or `Age` headers",
        expect: &[r#"LOAD: { may: [stale], staleness: "<= 60s" }"#],
    },
    DetectorWords {
        detector: Detector::Isolation,
        question: "are users spared who do not need the dependency?",
        needs: "a second load; 50 calls held, or a full pool",
        expect: &["isolation: [LOAD]"],
    },
    DetectorWords {
        detector: Detector::Shedding,
        question: "are some refused at once when there are too many?",
        needs: "more load than the service can bear",
        expect: &["LOAD: { shedding: at once }"],
    },
    DetectorWords {
        detector: Detector::Capacity,
        question: "how many requests a second can be served?",
        needs: "a load with a `ramp`, raised while nothing is broken; 73 requests in each step",
        expect: &[r#"LOAD: { capacity: ">= 100/s" }"#],
    },
    DetectorWords {
        detector: Detector::Recovery,
        question: "when are users served as before, in which steps?",
        needs: "20 requests a second and 5 good seconds; 73 good requests in the baseline",
        expect: &[r#"recovery: "<= 10s""#],
    },
    DetectorWords {
        detector: Detector::Metastability,
        question: "does trouble outlast its cause, fed by the load itself?",
        needs: "a fault that hurts; to say present, 60 s of recovery, `phases: { quiet: 180s }` and an edge that shows the calls; never proven absent, only for the load that ran; `none` fails as well for a load that is down for good (stuck)",
        expect: &["LOAD: { metastability: none }"],
    },
    DetectorWords {
        detector: Detector::Health,
        question: "does a health check follow the dependency?",
        needs: "3 answers in a row in each phase",
        expect: &[
            "PROBE: { always: true }",
            "PROBE: { during: good, after: good within 5s }",
            r#"PROBE: { follows: "<= 10s" }"#,
        ],
    },
    DetectorWords {
        detector: Detector::Dependency,
        question: "can users do without it, and is it declared so?",
        needs: "400 requests a phase settle most cases; `depends-on` on the load and a fault on one edge alone to say hidden",
        expect: &["LOAD: { dependency: soft }", "LOAD: { dependency: as declared }"],
    },
    DetectorWords {
        detector: Detector::StartUp,
        question: "does the service start while a dependency is down?",
        needs: "a `kill` or `restart` of the caller while the callee is away (`refuse`, `hang`), and nothing else broken; answers of the \
                probe: 3 good ones in the fault before it, a bad one behind it; to say present, a start without a fault to compare with",
        expect: &[r#"PROBE: { start-up: "<= 30s" }"#],
    },
    DetectorWords {
        detector: Detector::Lost,
        question: "are acknowledged writes gone?",
        needs: "a load with a `ledger`; one that is gone, or 100 acknowledged writes, 20 within 1 s of the beginning and end of \
                a fault, to say absent",
        expect: &["LOAD: { lost: none }", r#"LOAD: { dead-letters: "<= 3" }"#],
    },
    DetectorWords {
        detector: Detector::Duplicates,
        question: "are writes kept more often than they were sent?",
        needs: "a load with a `ledger`; one that is, or the same writes as for `lost` to say absent",
        expect: &["LOAD: { duplicates: none }"],
    },
];
