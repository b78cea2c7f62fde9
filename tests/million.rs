//! A finished run of as many events as one likes: for what judging must not cost when a run was long.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use murphy_core::{
    Answerer, AttemptOf, CloseHow, ConnId, EdgeBrief, EdgeName, Event, EventKind, ExchangeEnd, FaultBrief,
    FaultId, Frequency, HttpCall, Learn, LoadBrief, LoadName, Offset, Phase, PhaseLengths, Protocol, Purpose,
    RunBrief, Sample, SampleOutcome, Seed, Served, Side, Span, Tally, Timestamp, write_line,
};

/// What the users of the run met on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LongRun {
    /// An edge of bytes on which each call has a connection of its own: four events a user.
    Bytes,
    /// An HTTP edge with kept connections: two events a user.
    Http,
    /// No edge at all: one event a user.
    Users,
}

impl LongRun {
    /// Writes the run directory `dir` with about `events` events in a minute.
    pub fn write(self, dir: &Path, events: u64) -> PathBuf {
        std::fs::create_dir_all(dir).expect("a directory can be made");
        let file = File::create(dir.join("journal.ndjson")).expect("a journal can be written");
        let mut journal = Journal { file: BufWriter::new(file), seq: 0 };
        journal.tell(Offset::ZERO, EventKind::RunStarted(Box::new(brief())));
        let users = events / self.events_each();
        let mut phases = Phase::PLANNED.into_iter().zip([0, 5, 20, 40]).peekable();
        for n in 0..users {
            let intended = Offset::from_micros(n * MINUTE / users);
            while let Some((phase, _)) = phases.next_if(|(_, at)| intended >= second(*at)) {
                journal.turn(phase);
            }
            self.user(&mut journal, n, intended);
        }
        let load = load();
        journal.tell(
            Offset::from_micros(MINUTE),
            EventKind::LoadEnded { load, planned: users, in_flight_max: 100 },
        );
        journal.tell(Offset::from_micros(MINUTE + 1_000_000), EventKind::RunEnded);
        journal.file.flush().expect("a journal can be written");
        dir.to_owned()
    }

    fn events_each(self) -> u64 {
        match self {
            LongRun::Bytes => 4,
            LongRun::Http => 2,
            LongRun::Users => 1,
        }
    }

    fn user(self, journal: &mut Journal, n: u64, intended: Offset) {
        let hurt = (second(20)..second(40)).contains(&intended);
        let took = Span::from_micros(900 + n * 7919 % 5_000 + if hurt { 80_000 } else { 0 });
        let (began, ended) = (intended + Span::from_micros(200), intended + took);
        let edge = || EdgeName::new("cart-cache").expect("a name");
        match self {
            LongRun::Bytes => {
                let conn = ConnId(n + 1);
                let peer = format!("127.0.0.1:{}", 20_000 + n % 40_000);
                journal.tell(began, EventKind::ConnOpened { edge: edge(), conn, peer });
                journal.tell(
                    ended,
                    EventKind::Exchange {
                        edge: edge(),
                        conn,
                        began,
                        answered: Some(ended),
                        ended,
                        end: ExchangeEnd::Answered,
                        touched: hurt,
                    },
                );
                let (by, how, to_upstream, to_client) = (Side::Client, CloseHow::Fin, 40, 200);
                journal.tell(
                    ended,
                    EventKind::ConnClosed { edge: edge(), conn, by, how, to_upstream, to_client, age: took },
                );
            }
            LongRun::Http => journal.tell(
                ended,
                EventKind::Request(Box::new(HttpCall {
                    edge: edge(),
                    conn: ConnId(n % 64 + 1),
                    method: "GET".into(),
                    route: format!("/carts/{}/items", n % 5_000),
                    began,
                    answered: Some(ended),
                    ended,
                    end: ExchangeEnd::Answered,
                    by: None,
                    status: Some(200),
                    service_status: Some(200),
                    answerer: Answerer::Service,
                    reached: true,
                    faults: if hurt { vec![fault()] } else { vec![] },
                    touched: hurt,
                    attempt_of: Some(AttemptOf::Trace(format!("{n:032x}"))),
                })),
            ),
            LongRun::Users => {}
        }
        journal.tell(
            ended,
            EventKind::Sample(Sample {
                load: load(),
                n,
                intended,
                sent: Some(intended),
                ended,
                outcome: if n.is_multiple_of(997) { SampleOutcome::Status } else { SampleOutcome::Ok },
                status: Some(200),
                served: Served::Fresh,
                age: None,
                retry_after: None,
            }),
        );
    }
}

const MINUTE: u64 = 60_000_000;

fn second(n: u64) -> Offset {
    Offset::from_micros(n * 1_000_000)
}

fn load() -> LoadName {
    LoadName::new("browse").expect("a name")
}

fn fault() -> FaultId {
    FaultId::new("latency-1").expect("a name")
}

struct Journal {
    file: BufWriter<File>,
    seq: u64,
}

impl Journal {
    fn tell(&mut self, at: Offset, kind: EventKind) {
        write_line(&mut self.file, &Event { seq: self.seq, at, kind }).expect("a journal can be written");
        self.seq += 1;
    }

    /// A phase begins, and the fault comes or goes with it.
    fn turn(&mut self, phase: Phase) {
        let at = second(match phase {
            Phase::WarmUp => 0,
            Phase::Baseline => 5,
            Phase::Fault => 20,
            Phase::Recovery => 40,
            Phase::Quiet | Phase::Again => unreachable!("nothing of a planned run"),
        });
        self.tell(at, EventKind::PhaseStarted { phase });
        match phase {
            Phase::Fault => self.tell(at, EventKind::FaultArmed { fault: fault() }),
            Phase::Recovery => {
                let tally = Tally { connections: 64, hits: 1_000, bytes: 10_000 };
                self.tell(at, EventKind::FaultLifted { fault: fault(), tally });
            }
            Phase::WarmUp | Phase::Baseline | Phase::Quiet | Phase::Again => {}
        }
    }
}

fn brief() -> RunBrief {
    RunBrief {
        format: RunBrief::FORMAT,
        murphy: "0.1.0".into(),
        scenario: "a long run".into(),
        source: String::new(),
        again: String::new(),
        seed: Seed(1),
        started: Timestamp::from_unix(0),
        phases: PhaseLengths {
            warm_up: Span::from_secs(5),
            baseline: Span::from_secs(15),
            fault: Span::from_secs(20),
            recovery: Span::from_secs(20),
            quiet: Span::ZERO,
            again: Span::ZERO,
        },
        services: vec![],
        edges: vec![EdgeBrief {
            name: EdgeName::new("cart-cache").expect("a name"),
            from: Some("shop".into()),
            to: "redis:6379".into(),
            protocol: Protocol::Tcp,
            instance_of: None,
        }],
        loads: vec![LoadBrief {
            ledger: None,
            depends_on: None,
            name: load(),
            what: "GET http://127.0.0.1:8000/".into(),
            rate: Frequency::per_second(10_000.0).expect("a rate"),
            ramp: None,
            timeout: Span::from_secs(5),
        }],
        probes: vec![],
        faults: vec![FaultBrief {
            id: fault(),
            name: "latency".into(),
            text: "latency 80ms".into(),
            settings: Default::default(),
            edge: Some(EdgeName::new("cart-cache").expect("a name")),
            on: "shop -> redis".into(),
            trigger: None,
            at: Span::ZERO,
            lasts: Span::from_secs(20),
        }],
        expectations: vec![],
        learn: Learn::All,
        purpose: Purpose::Experiment,
    }
}
