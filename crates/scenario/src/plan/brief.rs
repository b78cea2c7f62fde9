//! A plan in the words of its journal's first event: what is told of it to those who judge and to people.

use murphy_core::{EdgeBrief, FaultBrief, LoadBrief, ProbeBrief, RunBrief, ServiceBrief, Timestamp};

use super::{EdgePlan, FaultStep, FaultTarget, LedgerPlan, Plan, Question, Route, ServicePlan, command_text};
use crate::address::Address;

impl Plan {
    /// The first event of the journal. `murphy` is the binary's version, `again` the command that repeats the run.
    pub fn brief(&self, murphy: &str, again: &str, started: Timestamp) -> RunBrief {
        RunBrief {
            format: RunBrief::FORMAT,
            murphy: murphy.to_owned(),
            scenario: self.name.clone(),
            source: self.source.clone(),
            again: again.to_owned(),
            seed: self.seed,
            started,
            phases: self.phases,
            services: self
                .services
                .iter()
                .map(|service| ServiceBrief {
                    name: service.name.clone(),
                    command: command_text(&service.run),
                })
                .collect(),
            edges: self.edges.iter().map(|edge| self.edge_brief(edge)).collect(),
            loads: self
                .loads
                .iter()
                .map(|load| LoadBrief {
                    name: load.name.clone(),
                    what: load.request.text(),
                    rate: load.rate,
                    ramp: load.ramp,
                    timeout: load.timeout,
                    ledger: load.ledger.as_ref().map(LedgerPlan::text),
                    depends_on: load.depends_on.clone(),
                })
                .collect(),
            probes: self
                .probes
                .iter()
                .map(|probe| ProbeBrief {
                    name: probe.name.clone(),
                    what: probe.question.text(),
                    every: probe.every,
                })
                .collect(),
            faults: self.faults.iter().map(|step| self.fault_brief(step)).collect(),
            expectations: self.expectations.clone(),
            learn: self.learn,
            purpose: self.purpose,
        }
    }

    fn edge_brief(&self, edge: &EdgePlan) -> EdgeBrief {
        let from = match &edge.route {
            Route::Listen { .. } => None,
            Route::Intercept { from, .. } => Some(from.to_string()),
        };
        EdgeBrief {
            name: edge.name.clone(),
            from,
            to: self.name_of(edge.route.to()),
            protocol: edge.protocol,
            instance_of: edge.instance_of.as_ref().map(|of| of.as_str().to_owned()),
        }
    }

    fn fault_brief(&self, step: &FaultStep) -> FaultBrief {
        FaultBrief {
            id: step.id.clone(),
            name: step.fault.name().to_owned(),
            text: step.text(),
            settings: step.settings(),
            edge: match &step.target {
                FaultTarget::Edge { edge, .. } => Some(edge.clone()),
                _ => None,
            },
            on: self.place_of(&step.target),
            trigger: step.trigger.as_ref().map(ToString::to_string),
            at: step.at,
            lasts: step.lasts,
        }
    }

    /// What a fault sits on, for people: `web → redis:6379`, `payments`, `process redis`.
    pub fn place_of(&self, target: &FaultTarget) -> String {
        match target {
            FaultTarget::Service { service } => format!("process {service}"),
            FaultTarget::Process { process } => process.to_string(),
            FaultTarget::Container { container } => format!("container {container}"),
            FaultTarget::Network { network } => network.to_string(),
            FaultTarget::Host => "this machine".to_owned(),
            FaultTarget::Edge { edge: name, .. } => {
                match self.edges.iter().find(|edge| edge.name == *name).map(|edge| &edge.route) {
                    Some(Route::Intercept { from, to, .. }) => format!("{from} → {}", self.name_of(to)),
                    Some(Route::Listen { .. }) | None => name.to_string(),
                }
            }
        }
    }

    /// The service that answers its ready check at this address, else the address.
    fn name_of(&self, address: &Address) -> String {
        let answers = |service: &&ServicePlan| match &service.ready {
            Some(
                Question::Tcp { address: ready }
                | Question::Redis { address: ready, .. }
                | Question::Postgres { address: ready, .. },
            ) => ready.overlaps(address),
            Some(Question::Http { request, .. }) => {
                crate::url::address_of(&request.url).is_some_and(|ready| ready.overlaps(address))
            }
            Some(Question::Command { .. } | Question::Container(_)) | None => false,
        };
        match self.services.iter().find(answers) {
            Some(service) => service.name.to_string(),
            None => address.to_string(),
        }
    }
}
