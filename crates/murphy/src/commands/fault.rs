//! `murphy fault`: the faults on the proxies of a running daemon, through its native API.

use murphy_control::{Client, FaultDoc, FaultOrder, NewFault, ProxyDoc};
use murphy_core::{Chance, Directions, Span};
use murphy_faults::{Fault, Match, Which};
use serde_json::json;

use super::answer::shown;
use super::daemon::{CallError, proxies, watch, with_daemon};
use super::print;
use crate::exit::Exit;
use crate::native_args::{AddFaultArgs, EditFaultArgs, FaultArgs, FaultCommand, WantedFlags};
use crate::output_args::OutputChoice;
use crate::proxy_args::DirectionChoice;
use crate::table::columns;

/// Does one thing and prints what there is afterwards.
pub fn run(args: &FaultArgs) -> Exit {
    let output = args.api.output;
    with_daemon(&args.api, async |client| {
        match &args.command {
            None => print(&list(&proxies(client, None).await?, output)),
            Some(FaultCommand::List { proxy, watch: true }) => {
                return watch(client, proxy.as_deref(), output, |proxies| list(proxies, output)).await;
            }
            Some(FaultCommand::List { proxy, watch: false }) => {
                print(&list(&proxies(client, proxy.as_deref()).await?, output));
            }
            Some(FaultCommand::Add(args)) => {
                let fault = add(client, args).await?;
                print(&shown(output, &fault, || sentence(&args.proxy, &fault)));
            }
            Some(FaultCommand::Edit(args)) => {
                let fault = edit(client, args).await?;
                print(&shown(output, &fault, || sentence(&args.proxy, &fault)));
            }
            Some(FaultCommand::Remove { proxy, fault, all }) => {
                let doomed = match all {
                    true => {
                        client.proxy(proxy).await?.faults.iter().map(|fault| fault.name.to_string()).collect()
                    }
                    false => fault.clone(),
                };
                if doomed.is_empty() && !all {
                    return Err(CallError::Usage("name the faults to remove, or write --all".into()));
                }
                for fault in doomed {
                    client.lift_fault(proxy, &fault).await?;
                    let gone = json!({ "proxy": proxy, "removed": fault });
                    print(&shown(output, &gone, || format!("{fault} is off {proxy}\n")));
                }
            }
        }
        Ok(Exit::Graceful)
    })
}

fn list(proxies: &[ProxyDoc], output: OutputChoice) -> String {
    let faults = proxies.iter().flat_map(|proxy| proxy.faults.iter().map(move |fault| (proxy, fault)));
    let all: Vec<_> = faults.map(|(proxy, fault)| json!({ "proxy": proxy.name, "fault": fault })).collect();
    shown(output, &all, || table(proxies))
}

async fn add(client: &Client, args: &AddFaultArgs) -> Result<FaultDoc, CallError> {
    let wanted = &args.wanted;
    let faults = wanted.faults.faults().map_err(|error| CallError::Usage(error.to_string()))?;
    let inject = only(faults)?;
    let (matching, which) = requests(wanted, &inject)?;
    let (which, chance) = sharing(&inject, which, wanted.chance.unwrap_or(Chance::ALWAYS));
    let order = NewFault {
        name: args.name.clone(),
        inject,
        directions: wanted.direction.map(DirectionChoice::directions).unwrap_or_default(),
        chance,
        matching,
        which,
        lasts: wanted.lasts,
        lease: wanted.lease.clone(),
    };
    Ok(client.add_fault(&args.proxy, &order).await?)
}

async fn edit(client: &Client, args: &EditFaultArgs) -> Result<FaultDoc, CallError> {
    let EditFaultArgs { proxy, fault, wanted } = args;
    let standing = client.fault(proxy, fault).await?;
    if let Some(set) = &standing.set {
        let why = format!(
            "`{fault}` is one of the rule set `{set}`, whose rules change together: PUT /v1/rules/{set}"
        );
        return Err(CallError::Usage(why));
    }
    let faults = wanted.faults.faults_over(&standing.inject);
    let inject = only(faults.map_err(|error| CallError::Usage(error.to_string()))?)?;
    let (matching, which) = requests(wanted, &inject)?;
    let keep = inject.acts_on_requests();
    let share = wanted.chance.unwrap_or_else(|| share_of(&standing));
    let matching = if keep && matching.is_empty() { *standing.matching } else { matching };
    let which = if keep && which.is_empty() { standing.which } else { which };
    let (which, chance) = sharing(&inject, which, share);
    let order = FaultOrder {
        inject,
        directions: wanted.direction.map_or(standing.directions, DirectionChoice::directions),
        chance,
        matching,
        which,
        lasts: wanted.lasts.or(standing.ends_in),
        lease: wanted.lease.clone().or(standing.lease),
    };
    Ok(client.put_fault(proxy, fault, &order).await?)
}

/// The fault that the flags ask for: each has a name, an end and a count of its own.
fn only(faults: Vec<Fault>) -> Result<Fault, CallError> {
    let names: Vec<String> = faults.iter().map(|fault| format!("--{}", fault.name())).collect();
    let mut faults = faults.into_iter();
    match (faults.next(), faults.next()) {
        (Some(fault), None) => Ok(fault),
        (None, _) => Err(CallError::Usage(
            "no fault is asked for: write for example --latency 300ms; `murphy explain faults` lists them"
                .into(),
        )),
        (Some(_), Some(_)) => Err(CallError::Usage(format!(
            "{} are {} faults, and this command is for one: call it for each",
            names.join(" and "),
            names.len()
        ))),
    }
}

/// The requests that are meant; none can be for a fault on connections.
fn requests(wanted: &WantedFlags, fault: &Fault) -> Result<(Match, Which), CallError> {
    let (matching, which) = wanted.requests.requests().map_err(CallError::Usage)?;
    let chosen = !matching.is_empty() || !which.is_empty();
    if chosen && !fault.acts_on_requests() {
        return Err(CallError::Usage(format!(
            "these flags choose requests, and `{}` acts on connections: write for example --abort 503",
            fault.name()
        )));
    }
    Ok((matching, which))
}

/// Where the share of a fault stands: with the requests that are chosen, or with the connections.
fn sharing(fault: &Fault, which: Which, share: Chance) -> (Which, Chance) {
    if !fault.acts_on_requests() {
        return (which, share);
    }
    let chance = (share != Chance::ALWAYS).then_some(share);
    (Which { chance, ..which }, Chance::ALWAYS)
}

/// The share of what a fault acts on, wherever it stands.
fn share_of(fault: &FaultDoc) -> Chance {
    fault.which.chance.unwrap_or(fault.chance)
}

fn sentence(proxy: &str, fault: &FaultDoc) -> String {
    let FaultDoc { name, .. } = fault;
    format!("{name} on {proxy}: {}, {}, {}; {}\n", what(fault), way(fault), share(fault), end(fault))
}

/// `abort 503 on POST /orders, the first 3`, without its share.
fn what(fault: &FaultDoc) -> String {
    let mut text = fault.text.clone();
    let which = Which { chance: None, ..fault.which.clone() };
    for (between, words) in [(" on ", fault.matching.text()), (", ", which.text())] {
        if !words.is_empty() {
            text += between;
            text += &words;
        }
    }
    text
}

fn way(fault: &FaultDoc) -> &'static str {
    match fault.directions {
        Directions::ToUpstream => "to-upstream",
        Directions::ToClient => "to-client",
        Directions::Both => "both ways",
    }
}

fn share(fault: &FaultDoc) -> String {
    let of = if fault.inject.acts_on_requests() { "requests" } else { "connections" };
    let share = share_of(fault);
    if share == Chance::ALWAYS { format!("all {of}") } else { format!("{share} of {of}") }
}

fn end(fault: &FaultDoc) -> String {
    match (&fault.ends_in, &fault.lease, &fault.set) {
        (Some(time), ..) => {
            // Nobody reads the milliseconds of minutes.
            let seconds = time.as_duration().as_secs_f64().round();
            let time = if seconds < 10.0 { *time } else { Span::from_secs(seconds as u64) };
            format!("ends in {time}")
        }
        (None, Some(lease), _) => format!("ends with lease {lease}"),
        (None, None, Some(set)) => format!("of rule set {set}"),
        (None, None, None) => "stays until it is removed".to_owned(),
    }
}

fn table(proxies: &[ProxyDoc]) -> String {
    let faults = || proxies.iter().flat_map(|proxy| proxy.faults.iter().map(move |fault| (proxy, fault)));
    if faults().next().is_none() {
        return "no faults; put one up with for example `murphy fault add PROXY --latency 300ms`\n"
            .to_owned();
    }
    let rows = faults().map(|(proxy, fault)| {
        [
            proxy.name.clone(),
            fault.name.to_string(),
            what(fault),
            way(fault).to_owned(),
            share(fault),
            fault.tally.connections.to_string(),
            fault.tally.hits.to_string(),
            end(fault),
        ]
    });
    columns(["proxy", "fault", "what", "way", "on", "touched", "acts", "end"], rows)
}
