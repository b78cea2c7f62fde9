//! `murphy partition|loss|reset|latency|bandwidth`: breaks the network between containers by hand and takes it back.

use murphy_adhoc::{Deed, NetworkTarget, Whom, side};
use murphy_faults::{Fault, Place, Problem};
use murphy_scenario::{Caller, Stretch, StretchError};
use serde_json::{Map, Value};

use super::by_hand::carry_order;
use super::fail;
use crate::by_hand_args::{BandwidthArgs, LatencyArgs, LossArgs, StretchArgs};
use crate::exit::Exit;

pub fn partition(args: &StretchArgs) -> Exit {
    break_network("partition", &[], args)
}

pub fn reset(args: &StretchArgs) -> Exit {
    break_network("reset", &[], args)
}

pub fn loss(args: &LossArgs) -> Exit {
    break_network("loss", &[("rate", Some(&args.rate))], &args.stretch)
}

pub fn bandwidth(args: &BandwidthArgs) -> Exit {
    break_network("bandwidth", &[("rate", Some(&args.rate))], &args.stretch)
}

pub fn latency(args: &LatencyArgs) -> Exit {
    let settings = [
        ("delay", Some(&args.delay)),
        ("jitter", args.delay_jitter.as_ref()),
        ("distribution", args.delay_distribution.as_ref()),
    ];
    break_network("latency", &settings, &args.stretch)
}

/// The settings are those of a scenario, under the same names.
fn break_network(name: &'static str, settings: &[(&str, Option<&String>)], args: &StretchArgs) -> Exit {
    let fault = match fault(name, settings) {
        Ok(fault) => fault,
        Err(why) => return fail(Exit::Usage, &why),
    };
    let stretch = match stretch(name, args) {
        Ok(stretch) => stretch,
        Err(why) => return fail(Exit::Usage, &why),
    };
    if let Err(error) = stretch.takes(&fault) {
        return fail(Exit::Usage, &format_args!("{error}; {}", help(name, &error)));
    }
    let target = NetworkTarget { stretch, project: args.project.clone(), max: args.when.max };
    carry_order(Deed::Network(fault), Whom::Network(target), args.hold, &args.when)
}

fn fault(name: &'static str, settings: &[(&str, Option<&String>)]) -> Result<Fault, String> {
    let given = settings
        .iter()
        .filter_map(|(name, text)| Some(((*name).to_owned(), Value::from(text.as_ref()?.as_str()))));
    let given: Map<String, Value> = given.collect();
    let fault = Fault::from_settings(name, given).map_err(|error| format!("{name}: {error}"))?;
    let mut problems = fault.problems();
    fault.check_on(Place::Network, &mut problems);
    match problems.into_iter().next() {
        Some(Problem { message, help, .. }) => Err(format!("{name}: {message}; {help}")),
        None => Ok(fault),
    }
}

fn stretch(name: &'static str, args: &StretchArgs) -> Result<Stretch, String> {
    let sides = args.sides.iter().map(|text| side(text)).collect::<Result<Vec<Vec<Caller>>, _>>();
    let sides = sides.map_err(|error| error.to_string())?;
    let stretch = match <[Vec<Caller>; 2]>::try_from(sides) {
        Ok([from, to]) if args.one_way => Stretch::one_way(from, to),
        Err(_) if args.one_way => {
            return Err("`--one-way` needs two sides: from the first to the second".to_owned());
        }
        Ok(both) => Stretch::between(both.into()),
        Err(sides) if sides.len() == 1 => Ok(Stretch::Of { callers: sides.concat() }),
        Err(sides) => Stretch::between(sides),
    };
    stretch.map_err(|error| format!("{error}; {}", help(name, &error)))
}

/// What to type instead.
fn help(name: &str, error: &StretchError) -> String {
    match error {
        StretchError::KnowsNoSides { .. } => {
            format!("name one side: murphy {name} web; or use `murphy proxy` for the calls to one dependency")
        }
        StretchError::NeedsSides { .. }
        | StretchError::OneSide
        | StretchError::Form
        | StretchError::Caller(_) => {
            format!("write for example: murphy {name} web db")
        }
        StretchError::BothSides { .. } => {
            "name each on one side only; what is on no side reaches everybody".to_owned()
        }
        StretchError::Elsewhere { .. } => "`murphy explain` lists what acts where".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_those_of_a_scenario_and_mistakes_are_pointed_at() {
        let rate = |text: &str| fault("loss", &[("rate", Some(&text.to_owned()))]);
        assert_eq!(rate("20%").map(|fault| fault.text()), Ok("loss 20%".to_owned()));
        for bad in ["", "x", "120%", "20"] {
            let why = rate(bad).unwrap_err();
            assert!(why.starts_with("loss: ") && why.contains('%'), "{bad}: {why}");
        }
        let (delay, jitter) = ("1ms".to_owned(), "2ms".to_owned());
        let why = fault("latency", &[("delay", Some(&delay)), ("jitter", Some(&jitter))]).unwrap_err();
        assert!(why.contains("negative"), "{why}");
        assert!(fault("bandwidth", &[("rate", Some(&"0B/s".to_owned()))]).unwrap_err().contains("partition"));
    }
}
