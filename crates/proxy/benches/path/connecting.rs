//! Connections that are opened, make one round trip and are reset: how many a second, and what each costs. More rounds than the other
//! parts have, for it scatters more: who runs where decides about wake-ups.

use crate::bars::Bars;
use crate::process::{Child, Kind};
use crate::{Plan, against, client, median};

const RIVALS: [(&str, Kind); 6] = [
    ("copy 8 KiB", Kind::Copy8),
    ("copy 8 KiB, per core", Kind::Copy8PerCore),
    ("nginx stream", Kind::NginxStream),
    ("HAProxy tcp", Kind::HaProxy),
    ("murphy", Kind::Murphy),
    ("murphy, recording", Kind::Recorded),
];
const MURPHY: usize = 4;

/// How many times the processor time of `copy_bidirectional` a connection may take (ADR 15).
pub const CPU_OF_COPY: f64 = 1.15;

/// Of one rival in one round.
#[derive(Debug, Clone, Copy)]
struct Round {
    a_second: f64,
    micros_each: f64,
}

pub fn table(plan: &Plan, bars: &mut Bars) {
    let upstream = Child::start(Kind::Upstream, "", "");
    let mut rounds: Vec<Vec<Round>> = vec![Vec::new(); RIVALS.len()];
    for _ in 0..plan.rounds * 3 {
        for (rounds, (_, kind)) in rounds.iter_mut().zip(RIVALS) {
            let Some(proxy) = Child::try_start(kind, &upstream.address, "") else { continue };
            // The first connections meet cold caches.
            client::connects(&proxy.address, plan.slice / 10);
            let before = proxy.cpu();
            let a_second = client::connects(&proxy.address, plan.slice);
            let opened = a_second * plan.slice.as_secs_f64();
            rounds.push(Round { a_second, micros_each: (proxy.cpu() - before) * 1e6 / opened });
        }
    }
    println!(
        "\n{:<24}{:>12}{:>12}   murphy against it, round by round",
        "connections", "a second", "CPU us each"
    );
    for ((name, _), others) in RIVALS.iter().zip(&rounds) {
        if others.is_empty() {
            println!("{name:<24}skipped: it is not installed, or does not start");
            continue;
        }
        let of = |take: fn(&Round) -> f64| median(&mut others.iter().map(take).collect::<Vec<f64>>());
        println!(
            "{name:<24}{:>12.0}{:>12.1}   {:.2}x a second, {:.2}x CPU",
            of(|round| round.a_second),
            of(|round| round.micros_each),
            against(&rounds[MURPHY], others, |round| round.a_second),
            against(&rounds[MURPHY], others, |round| round.micros_each),
        );
    }
    let [copy, per_core, ..] = &rounds[..] else { return };
    let murphy = &rounds[MURPHY];
    let a_second = against(murphy, per_core, |round| round.a_second);
    bars.at_least("murphy / copy 8 KiB per core, connections a second", a_second, 0.95);
    let micros = against(murphy, copy, |round| round.micros_each);
    bars.at_most("murphy / copy 8 KiB, CPU a connection", micros, CPU_OF_COPY);
}
