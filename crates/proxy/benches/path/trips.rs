//! Small questions and answers on connections that stay, many at once: round trips of 64 bytes on 64 connections, and requests of HTTP
//! that are carried as bytes.

use crate::bars::Bars;
use crate::process::{Child, Kind};
use crate::{Plan, against, client, http, median};

const RIVALS: [(&str, Kind); 6] = [
    ("direct", Kind::Direct),
    ("copy 8 KiB", Kind::Copy8),
    ("copy 8 KiB, per core", Kind::Copy8PerCore),
    ("nginx stream", Kind::NginxStream),
    ("HAProxy tcp", Kind::HaProxy),
    ("murphy", Kind::Murphy),
];
const PER_CORE: usize = 2;
const MURPHY: usize = 5;

const CONNECTIONS: usize = 64;

/// Of one rival in one round.
#[derive(Debug, Clone, Copy)]
struct Round {
    trips: f64,
    requests: f64,
}

/// A proxy between the clients and each of the two dependencies; `None` if it does not start.
fn round(plan: &Plan, kind: Kind, echo: &Child, shop: &Child) -> Option<Round> {
    let proxy = Child::try_start(kind, &echo.address, "")?;
    let trips = client::trips(&proxy.address, CONNECTIONS, plan.slice);
    drop(proxy);
    let proxy = Child::try_start(kind, &shop.address, "")?;
    let (requests, _) = http::requests(&proxy.address, plan.slice);
    Some(Round { trips, requests })
}

pub fn table(plan: &Plan, bars: &mut Bars) {
    let (echo, shop) = (Child::start(Kind::Upstream, "", ""), Child::start(Kind::HttpUpstream, "", ""));
    let mut rounds: Vec<Vec<Round>> = vec![Vec::new(); RIVALS.len()];
    for _ in 0..plan.rounds {
        for (rounds, (_, kind)) in rounds.iter_mut().zip(RIVALS) {
            rounds.extend(round(plan, kind, &echo, &shop));
        }
    }
    println!(
        "\n{:<24}{:>14}{:>20}   murphy against it, round by round",
        "as bytes", "trips/s on 64", "HTTP requests/s, 16"
    );
    for ((name, _), others) in RIVALS.iter().zip(&rounds) {
        if others.is_empty() {
            println!("{name:<24}skipped: it is not installed, or does not start");
            continue;
        }
        println!(
            "{name:<24}{:>14.0}{:>20.0}   {:.2}x trips, {:.2}x requests",
            median(&mut others.iter().map(|round| round.trips).collect::<Vec<f64>>()),
            median(&mut others.iter().map(|round| round.requests).collect::<Vec<f64>>()),
            against(&rounds[MURPHY], others, |round| round.trips),
            against(&rounds[MURPHY], others, |round| round.requests),
        );
    }
    let (murphy, per_core) = (&rounds[MURPHY], &rounds[PER_CORE]);
    let against_it = "murphy / copy 8 KiB per core";
    let trips = against(murphy, per_core, |round| round.trips);
    bars.at_least(&format!("{against_it}, trips a second on 64 connections"), trips, 0.95);
    let requests = against(murphy, per_core, |round| round.requests);
    bars.at_least(&format!("{against_it}, HTTP requests a second as bytes"), requests, 0.95);
}
