//! Requests to plans: reads bodies and checks what types cannot say. Everything that is wrong is told at once.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use murphy_core::{Chance, Directions, FaultId, LeaseName, Protocol, RuleSetName, Span};
use murphy_faults::{Effect, Fault, Match, Which};
use murphy_tls::{TlsProblem, TlsSettings};
use serde::de::DeserializeOwned;

use crate::history::text_len;
use crate::proxies::{FaultPlan, Owner, RulePlan};
use crate::toxiproxy::LONGEST;

use super::orders::{Rule, RuleSetOrder};
use super::problem::{Finding, Problem};

/// The most rules in a set.
const MOST_RULES: usize = 1024;
const LONGEST_TIME: Duration = Duration::from_secs(24 * 3600);
const SHORTEST_TIME: Duration = Duration::from_millis(10);

/// Reads a body.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::Body { why: error.to_string() })
}

/// A name of a path, which a proxy's name need not be.
pub fn name<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: T::Err| Problem::Body { why: error.to_string() })
}

/// An address to listen on: no names but `localhost`, so that no name server is waited for.
pub fn check_listen(listen: &str) -> Result<(), Problem> {
    let local = listen.strip_prefix("localhost:").is_some_and(|port| port.parse::<u16>().is_ok());
    if local || listen.parse::<SocketAddr>().is_ok() {
        return Ok(());
    }
    Err(Problem::Value {
        field: "listen",
        message: format!("`{listen}` is not an address to listen on"),
        help: "write an IP address and a port, for example 127.0.0.1:0",
    })
}

/// An address to connect to.
pub fn check_upstream(upstream: &str) -> Result<(), Problem> {
    let usable = upstream.rsplit_once(':').is_some_and(|(host, port)| {
        let bare_v6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
        !host.is_empty() && !bare_v6 && port.parse::<u16>().is_ok_and(|port| port != 0)
    });
    if upstream.len() > LONGEST {
        return Err(Problem::Value {
            field: "upstream",
            message: format!("{} bytes are no address to connect to", upstream.len()),
            help: "write host:port, for example 127.0.0.1:6379",
        });
    }
    if usable {
        return Ok(());
    }
    Err(Problem::Value {
        field: "upstream",
        message: format!("`{upstream}` is not an address to connect to"),
        help: "write host:port, for example 127.0.0.1:6379",
    })
}

/// A time after which something ends.
pub fn check_time(time: Span) -> Result<Duration, Problem> {
    let time = time.as_duration();
    if (SHORTEST_TIME..=LONGEST_TIME).contains(&time) {
        return Ok(time);
    }
    Err(Problem::Value {
        field: "for",
        message: format!("{} is not a time that anybody can mean here", Span::from(time)),
        help: "write a time from 10ms to 24h",
    })
}

/// With what a fault ends.
pub fn owner(lasts: Option<Span>, lease: Option<LeaseName>) -> Result<Owner, Problem> {
    let ends = lasts.map(check_time).transpose()?.map(|time| Instant::now() + time);
    Ok(Owner { lease, ends, set: None })
}

/// What a proxy can speak.
pub fn check_protocol(protocol: Protocol) -> Result<(), Problem> {
    match protocol {
        Protocol::Tcp | Protocol::Http => Ok(()),
        Protocol::Redis | Protocol::Postgres => Err(Problem::Value {
            field: "protocol",
            message: "no fault here knows this protocol".into(),
            help: "write `tcp`, which carries it as bytes",
        }),
    }
}

/// On which sides TLS can be spoken.
pub fn check_tls(tls: Option<&TlsSettings>) -> Result<(), Problem> {
    match tls.and_then(|tls| tls.problems().into_iter().next()) {
        None => Ok(()),
        Some(TlsProblem { message, help, .. }) => Err(Problem::Value {
            field: "tls",
            message: format!("{message}; {help}"),
            help: "see docs/tls.md",
        }),
    }
}

/// A fault as it was asked for.
pub struct Wanted {
    pub inject: Fault,
    pub directions: Directions,
    pub chance: Chance,
    pub matching: Match,
    pub which: Which,
}

impl Wanted {
    /// What cannot be meant, in the words of a scenario.
    fn findings(&self) -> Vec<Finding> {
        let mut problems = self.inject.problems();
        self.matching.check(&mut problems);
        self.which.check(&mut problems);
        let on_requests = self.inject.acts_on_requests();
        if on_requests && self.chance != Chance::ALWAYS {
            problems.field(
                "chance",
                "this picks connections, but the fault acts on requests",
                "write `\"which\": { \"chance\": \"20%\" }`",
            );
        }
        if on_requests && self.directions != Directions::default() {
            problems.field("directions", "this is about bytes, but the fault acts on requests", "remove it");
        }
        for (field, empty) in [("match", self.matching.is_empty()), ("which", self.which.is_empty())] {
            if !on_requests && !empty {
                let help = "remove it; `chance` picks a share of the connections";
                problems.field(field, "this chooses requests, but the fault acts on bytes", help);
            }
        }
        problems.into_iter().map(Finding::from).collect()
    }
}

/// A fault that can stand on a proxy. `place` says which, where there are several.
pub fn plan(wanted: Wanted, place: &str) -> Result<FaultPlan, Problem> {
    let findings = wanted.findings();
    let Wanted { inject: fault, directions, chance, matching, which } = wanted;
    let what = format!("{place}{}", fault.name());
    if !findings.is_empty() {
        return Err(Problem::Settings { what, findings });
    }
    match fault.on_requests(&matching, &which).unwrap_or_else(|| fault.effect()) {
        Effect::Edge(effect) => {
            let weight = text_len(&fault) + text_len(&matching) + text_len(&which);
            let matching = Box::new(matching);
            Ok(FaultPlan { fault, effect, directions, chance, matching, which, weight })
        }
        _ => Err(Problem::Settings {
            what,
            findings: vec![Finding {
                field: None,
                message: "this is a fault of a process or a container, and a proxy carries connections"
                    .into(),
                help: "write a fault on connections or on requests; `murphy explain` lists them".into(),
            }],
        }),
    }
}

/// The rules of a set.
pub fn rules(set: &RuleSetName, order: RuleSetOrder) -> Result<Vec<RulePlan>, Problem> {
    if order.rules.len() > MOST_RULES {
        return Err(Problem::Value {
            field: "rules",
            message: format!("{} rules", order.rules.len()),
            help: "write at most 1024",
        });
    }
    let mut plans = Vec::with_capacity(order.rules.len());
    for (index, rule) in order.rules.into_iter().enumerate() {
        let name = match rule.name {
            Some(name) => name,
            None => default_name(&format!("{set}.{}", rule.inject.name()))?,
        };
        let Rule { proxy, inject, directions, chance, matching, which, .. } = rule;
        let wanted = Wanted { inject, directions, chance, matching, which };
        let plan = plan(wanted, &format!("rule {}: ", index + 1))?;
        plans.push(RulePlan { proxy, name, plan });
    }
    Ok(plans)
}

/// A name made of others, which may have become too long.
pub fn default_name(text: &str) -> Result<FaultId, Problem> {
    FaultId::new(text).map_err(|_| Problem::Value {
        field: "name",
        message: format!("`{text}` is too long for a name"),
        help: "give the fault a name of its own",
    })
}
