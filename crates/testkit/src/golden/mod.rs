//! Golden journals: a small simulation of users, a caller and its dependency, whose truth is known because it was put in.
//! No sockets and no clock: a seed gives one journal, so that a judge can be held to known answers.

mod simulation;

use std::collections::BTreeMap;

use murphy_core::{
    EdgeBrief, EdgeName, Event, Expectation, FaultBrief, Frequency, LoadBrief, LoadName, PhaseLengths,
    ProbeBrief, ProbeName, Protocol, RunBrief, Seed, ServiceBrief, ServiceName, Span, Timestamp,
};

/// How the caller treats its dependency.
#[derive(Debug, Clone)]
pub struct Caller {
    /// It gives a call up after this; `None`: it waits for ever.
    pub timeout: Option<Span>,
    /// Whether giving up closes the connection, so that a proxy can see it.
    pub closes: bool,
    /// Tries for one request, the first included.
    pub attempts: u32,
    /// Wait between two tries.
    pub back_off: Span,
    /// It stops calling after so many failures in a row, for so long.
    pub breaker: Option<(u32, Span)>,
    /// It answers with an older value if it gets none.
    pub stale: bool,
    /// It has so many places for calls; further requests wait.
    pub pool: Option<usize>,
}

impl Caller {
    /// Timeout, bounded retry, breaker, fallback.
    pub fn careful() -> Caller {
        Caller {
            timeout: Some(Span::from_millis(250)),
            closes: true,
            attempts: 2,
            back_off: Span::from_millis(25),
            breaker: Some((5, Span::from_secs(2))),
            stale: true,
            pool: None,
        }
    }

    /// None of it.
    pub fn careless() -> Caller {
        Caller {
            timeout: None,
            closes: true,
            attempts: 1,
            back_off: Span::ZERO,
            breaker: None,
            stale: false,
            pool: None,
        }
    }
}

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// Answers come later by this.
    Latency(Span),
    /// Answers never come.
    Hang,
    /// Connections are reset.
    Reset,
    /// The listener is down, so that the proxy sees nothing at all.
    Refuse,
    /// The dependency's process is killed, and started again at the lift.
    Kill,
    /// A fault that is armed and touches nothing.
    Nothing,
}

/// What else goes wrong, with the run rather than with the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The caller fails so many of 100 requests without any fault.
    SickBaseline(u64),
    /// The sender is late by this.
    LateSender(Span),
    /// The sender drops so many of 100 requests.
    DroppingSender(u64),
    /// So many events never reach the journal.
    LostEvents(u64),
    /// The caller's process ends so long after the fault was armed.
    Crash(Span),
    /// A signal ends the run so long after the fault was armed.
    Interrupt(Span),
    /// The caller stays bad for so long after the lift.
    SlowRecovery(Span),
}

/// A second load, of users who do not need the dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bystander {
    /// There is none.
    None,
    /// Its requests need nothing that others hold.
    Apart,
    /// Its requests need a place in the caller's pool.
    Sharing,
}

/// A run to be simulated.
#[derive(Debug, Clone)]
pub struct Golden {
    /// Root of all draws.
    pub seed: Seed,
    /// Name of the scenario.
    pub scenario: String,
    /// Users a second.
    pub rate: f64,
    /// Lengths of the phases.
    pub phases: PhaseLengths,
    /// The caller.
    pub caller: Caller,
    /// The fault.
    pub broken: Break,
    /// A second load.
    pub bystander: Bystander,
    /// Troubles.
    pub troubles: Vec<Trouble>,
    /// What is asserted.
    pub expectations: Vec<Expectation>,
}

const LOAD: &str = "browse";
const BYSTANDER: &str = "home";
const CALLEE: &str = "redis";
const EDGE: &str = "cart-cache";
const SERVICE: &str = "shop";

fn name<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("a constant name is well formed")
}

impl Golden {
    /// A run of a caller against a fault: 30 users a second, 2s warm-up, 20s baseline, 20s fault, 15s recovery.
    pub fn new(scenario: &str, caller: Caller, broken: Break) -> Golden {
        Golden {
            seed: Seed(7),
            scenario: scenario.to_owned(),
            rate: 30.0,
            phases: PhaseLengths {
                warm_up: Span::from_secs(2),
                baseline: Span::from_secs(20),
                fault: Span::from_secs(20),
                recovery: Span::from_secs(15),
                quiet: Span::ZERO,
                again: Span::ZERO,
            },
            caller,
            broken,
            bystander: Bystander::None,
            troubles: Vec::new(),
            expectations: Vec::new(),
        }
    }

    /// The same with one more expectation.
    pub fn expect(
        mut self,
        id: &str,
        subject: murphy_core::Subject,
        rule: murphy_core::Rule,
        text: &str,
    ) -> Golden {
        self.expectations.push(Expectation { id: id.to_owned(), subject, rule, text: text.to_owned() });
        self
    }

    /// The same with one more trouble.
    pub fn with(mut self, trouble: Trouble) -> Golden {
        self.troubles.push(trouble);
        self
    }

    /// The load's name.
    pub fn load() -> LoadName {
        name(LOAD)
    }

    /// The second load's name.
    pub fn bystander() -> LoadName {
        name(BYSTANDER)
    }

    /// The edge's name.
    pub fn edge() -> EdgeName {
        name(EDGE)
    }

    /// The probe's name.
    pub fn probe() -> ProbeName {
        name("ready")
    }

    fn fault(&self) -> FaultBrief {
        let (kind, text, delay) = match self.broken {
            Break::Latency(delay) => ("latency", format!("latency {delay}"), Some(delay)),
            Break::Nothing => ("latency", "latency 800ms".to_owned(), Some(Span::from_millis(800))),
            Break::Hang => ("hang", "hang".to_owned(), None),
            Break::Reset => ("reset", "reset".to_owned(), None),
            Break::Refuse => ("refuse", "refuse".to_owned(), None),
            Break::Kill => ("kill", "kill SIGKILL".to_owned(), None),
        };
        let process = self.broken == Break::Kill;
        FaultBrief {
            id: name(&format!("{kind}-1")),
            name: kind.to_owned(),
            text,
            settings: delay
                .iter()
                .map(|delay| ("delay".to_owned(), delay.to_string()))
                .collect::<BTreeMap<_, _>>(),
            edge: (!process).then(Golden::edge),
            on: if process { format!("process {CALLEE}") } else { format!("{SERVICE} → {CALLEE}") },
            trigger: None,
            at: Span::ZERO,
            lasts: self.phases.fault,
        }
    }

    fn brief(&self) -> RunBrief {
        RunBrief {
            format: RunBrief::FORMAT,
            murphy: "0.1.0".to_owned(),
            scenario: self.scenario.clone(),
            source: "cart.yaml".to_owned(),
            again: format!("murphy run cart.yaml --seed {}", self.seed),
            seed: self.seed,
            started: Timestamp::from_unix(1_795_546_375),
            phases: self.phases,
            services: vec![ServiceBrief {
                name: name::<ServiceName>(SERVICE),
                command: "shop --listen".to_owned(),
            }],
            edges: vec![EdgeBrief {
                name: Golden::edge(),
                from: Some(SERVICE.to_owned()),
                to: "redis:6379".to_owned(),
                protocol: Protocol::Redis,
                instance_of: None,
            }],
            loads: self.loads(),
            probes: vec![ProbeBrief {
                name: Golden::probe(),
                what: "GET http://127.0.0.1:8000/ready".to_owned(),
                every: Span::from_secs(1),
            }],
            faults: vec![self.fault()],
            expectations: self.expectations.clone(),
            learn: murphy_core::Learn::None,
            purpose: murphy_core::Purpose::Experiment,
        }
    }

    fn loads(&self) -> Vec<LoadBrief> {
        let load = |name: LoadName, path: &str| LoadBrief {
            ledger: None,
            depends_on: None,
            name,
            what: format!("GET http://127.0.0.1:8000{path}"),
            rate: Frequency::per_second(self.rate).expect("a rate above zero"),
            ramp: None,
            timeout: Span::from_secs(5),
        };
        let mut loads = vec![load(Golden::load(), "/cart/7")];
        if self.bystander != Bystander::None {
            loads.push(load(Golden::bystander(), "/"));
        }
        loads
    }

    /// The journal.
    pub fn journal(&self) -> Vec<Event> {
        simulation::Simulation::of(self).run()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use murphy_core::EventKind;

    #[test]
    fn one_seed_gives_one_journal_in_order() {
        let golden = Golden::new("a", Caller::careful(), Break::Hang);
        let journal = golden.journal();
        assert_eq!(journal, golden.journal());
        assert!(journal.iter().enumerate().all(|(index, event)| event.seq == index as u64));
        assert!(journal.windows(2).all(|pair| pair[0].at <= pair[1].at));
        assert!(matches!(journal[0].kind, EventKind::RunStarted(_)));
    }

    #[test]
    fn a_careful_caller_stops_calling_and_a_careless_one_does_not() {
        let calls = |caller| {
            let journal = Golden::new("a", caller, Break::Reset).journal();
            journal
                .iter()
                .filter(|event| matches!(event.kind, EventKind::Exchange { touched: true, .. }))
                .count()
        };
        assert!(calls(Caller::careful()) < 40);
        assert!(calls(Caller::careless()) > 400);
    }
}
