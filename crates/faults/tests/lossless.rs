//! No fault that promises to keep bytes may lose, change or reorder one: under any settings, any chunking, any writes,
//! and any edits and lifts on the way. Driven with a clock of its own, without sockets.

use std::time::{Duration, Instant};

use bytes::Bytes;
use murphy_core::{Chance, ConnId, Direction, Directions, FaultId, Rate, Seed, Size, Span};
use murphy_faults::{
    Bandwidth, Blackhole, Distribution, Effect, Fault, Latency, Limit, Loss, Scope, Slice, SlowClose, Then,
};
use murphy_proxy::{Armed, Blocked, Draws, Due, Farewell, Front, Line, Table};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Arm(usize, Fault),
    Lift(usize),
    Read(usize),
    Write(usize),
    Wait(Duration),
}

fn size() -> impl Strategy<Value = Size> {
    (1u64..100_000).prop_map(Size::from_bytes)
}

fn span() -> impl Strategy<Value = Span> {
    prop_oneof![Just(0u64), 1u64..500_000, 1u64..100_000_000].prop_map(Span::from_micros)
}

fn lossless() -> impl Strategy<Value = Fault> {
    let distribution =
        prop_oneof![Just(Distribution::Uniform), Just(Distribution::Normal), Just(Distribution::Pareto)];
    prop_oneof![
        (span(), prop::option::of(span()), distribution, prop::option::of(size())).prop_map(
            |(delay, jitter, distribution, queue)| Latency { delay, jitter, distribution, queue }.into()
        ),
        (0u64..100_000_000, prop::option::of(size()), any::<bool>()).prop_map(|(rate, burst, all)| {
            let scope = if all { Scope::Proxy } else { Scope::Connection };
            Bandwidth { rate: Rate::from_bytes_per_sec(rate), burst, scope }.into()
        }),
        (size(), prop::option::of(size()), prop::option::of(span()))
            .prop_map(|(size, variation, gap)| Slice { size, variation, gap }.into()),
        (0u32..=100, 1u32..10).prop_map(|(percent, burst)| {
            Loss { rate: Chance::from_fraction(f64::from(percent) / 100.0).unwrap(), burst }.into()
        }),
        (prop::option::of(span()), prop::option::of(size())).prop_map(|(after, after_bytes)| Blackhole {
            after,
            after_bytes
        }
        .into()),
        size().prop_map(|bytes| Limit { bytes, then: Then::Stall }.into()),
        span().prop_map(|delay| SlowClose { delay }.into()),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0usize..3, lossless()).prop_map(|(slot, fault)| Step::Arm(slot, fault)),
        1 => (0usize..3).prop_map(Step::Lift),
        4 => (1usize..70_000).prop_map(Step::Read),
        4 => (1usize..70_000).prop_map(Step::Write),
        3 => span().prop_map(|span| Step::Wait(span.as_duration())),
    ]
}

struct Rig {
    line: Line,
    table: Table,
    draws: Draws,
    now: Instant,
    read: u64,
    written: u64,
    ended: bool,
}

fn byte_at(position: u64) -> u8 {
    (position % 251) as u8
}

impl Rig {
    fn new(seed: u64) -> Rig {
        Rig {
            line: Line::new(Direction::ToClient),
            table: Table::default(),
            draws: Draws::new(Seed(seed), ConnId(1)),
            now: Instant::now(),
            read: 0,
            written: 0,
            ended: false,
        }
    }

    fn id(slot: usize) -> FaultId {
        FaultId::new(&format!("f{slot}")).unwrap()
    }

    fn sync(&mut self) {
        self.line.sync(&self.table, &mut self.draws, self.now);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Arm(slot, fault) => {
                let Effect::Edge(effect) = fault.effect() else { unreachable!("stream faults only") };
                let id = Rig::id(slot);
                let armed = Armed { id, effect, directions: Directions::Both, chance: Chance::ALWAYS };
                self.table.put(armed, self.now);
                self.sync();
            }
            Step::Lift(slot) => {
                self.table.take(&Rig::id(slot));
                self.sync();
            }
            Step::Read(most) => {
                let take = self.line.wants(self.now).min(most);
                let bytes: Vec<u8> = (self.read..self.read + take as u64).map(byte_at).collect();
                self.read += take as u64;
                self.line.push(Bytes::from(bytes), self.now);
            }
            Step::Write(most) => self.write(most),
            Step::Wait(time) => {
                self.now += time;
                self.line.wake(self.now);
            }
        }
    }

    fn write(&mut self, mut most: usize) {
        loop {
            match self.line.front(self.now) {
                Front::Bytes(bytes) if most > 0 => {
                    let take = bytes.len().min(most);
                    for byte in &bytes[..take] {
                        assert_eq!(*byte, byte_at(self.written), "at byte {}", self.written);
                        self.written += 1;
                    }
                    most -= take;
                    self.line.advance(take);
                }
                Front::Farewell(farewell) => {
                    assert_eq!(farewell, Farewell::Fin);
                    self.ended = true;
                    return;
                }
                Front::End(ending) => panic!("a lossless fault ended the connection: {ending:?}"),
                _ => return,
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_comes_once_and_in_order(seed: u64, steps in prop::collection::vec(step(), 1..60)) {
        let mut rig = Rig::new(seed);
        for step in steps {
            rig.step(step);
            prop_assert!(rig.written <= rig.read);
            prop_assert_eq!(rig.line.held() as u64, rig.read - rig.written);
        }
        rig.line.push_farewell(Farewell::Fin, rig.now);
        for slot in 0..3 {
            rig.step(Step::Lift(slot));
        }
        // With all faults gone nothing waits any more, not even for a moment.
        rig.write(usize::MAX);
        prop_assert_eq!(rig.written, rig.read);
        prop_assert!(rig.ended);
    }

    #[test]
    fn what_is_due_comes_without_any_lift(seed: u64, delay in span(), jitter in span(), reads in prop::collection::vec(1usize..50_000, 1..20)) {
        let mut rig = Rig::new(seed);
        let latency = Latency { delay, jitter: Some(jitter), distribution: Distribution::Uniform, queue: None };
        rig.step(Step::Arm(0, latency.into()));
        for read in reads {
            rig.step(Step::Read(read));
        }
        rig.line.push_farewell(Farewell::Fin, rig.now);
        // Following the line's own word for its next moment must lead to the end.
        for _ in 0..200 {
            rig.write(usize::MAX);
            match rig.line.next_wake(rig.now, Blocked::No) {
                _ if rig.ended => break,
                Some(at) => rig.now = rig.now.max(at),
                None => break,
            }
        }
        prop_assert!(rig.ended);
        prop_assert_eq!(rig.written, rig.read);
    }

    #[test]
    fn a_latency_lifts_only_its_own_wait(seed: u64, millis in 1u64..1000) {
        let mut rig = Rig::new(seed);
        let rate = Bandwidth { rate: Rate::from_bytes_per_sec(1000), burst: None, scope: Scope::Connection };
        rig.step(Step::Arm(0, Latency::of(Span::from_millis(millis)).into()));
        rig.step(Step::Arm(1, rate.into()));
        rig.step(Step::Read(100));
        rig.step(Step::Lift(0));
        let due = rig.now + Duration::from_millis(100);
        prop_assert_eq!(rig.line.front(rig.now), Front::Waiting(Due::At(due)));
    }
}

#[test]
fn a_rate_is_the_rate_before_and_behind_a_delay() {
    for rate_first in [true, false] {
        let mut rig = Rig::new(1);
        let rate: Fault =
            Bandwidth { rate: Rate::from_bytes_per_sec(1_000_000), burst: None, scope: Scope::Connection }
                .into();
        let delay: Fault = Latency::of(Span::from_millis(100)).into();
        let (first, second) = if rate_first { (rate, delay) } else { (delay, rate) };
        rig.step(Step::Arm(0, first));
        rig.step(Step::Arm(1, second));
        let start = rig.now;
        while rig.now - start < Duration::from_millis(2100) {
            while rig.line.wants(rig.now) > 0 {
                rig.step(Step::Read(usize::MAX));
            }
            rig.write(usize::MAX);
            let next = rig.line.next_wake(rig.now, Blocked::No).unwrap();
            rig.now = next.max(rig.now + Duration::from_micros(50));
        }
        // Two seconds of sending after the first byte came.
        assert!((1_970_000..=2_030_000).contains(&rig.written), "{rate_first}: {}", rig.written);
    }
}

/// Which faults on bytes may lose, change or end them: their purpose. All others are among what [`lossless`] makes.
#[test]
fn every_fault_on_bytes_is_lossless_here_or_is_known_to_lose() {
    const LOSE: [&str; 4] = ["corrupt", "drop", "reset", "timeout"];
    let mut made = std::collections::BTreeSet::new();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..200 {
        let tree = proptest::strategy::Strategy::new_tree(&lossless(), &mut runner).unwrap();
        made.insert(proptest::strategy::ValueTree::current(&tree).name().to_owned());
    }
    for entry in murphy_faults::catalogue() {
        let fault: Fault = serde_yaml::from_str(entry.example).unwrap();
        if let Effect::Edge(murphy_proxy::EdgeEffect::Stream(_)) = fault.effect() {
            assert_ne!(made.contains(entry.name), LOSE.contains(&entry.name), "{}", entry.name);
        }
    }
}
