//! A plan for people: what would be started, done and taken back, and when. For `murphy plan`; touches nothing.

use std::fmt::Write;

use murphy_core::{Phase, PhaseLengths, Purpose, Span};
use murphy_faults::{Exec, Fault, Place, Removal, Remove};

use crate::caller::OpenConnections;
use crate::plan::{
    Arrivals, EdgePlan, FaultStep, FaultTarget, LoadPlan, Plan, Question, Route, StackKeep, StackPlan,
    command_text,
};

/// The whole plan as text of several lines, the last one ended.
pub fn plan_text(plan: &Plan) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}    seed {}    {}", plan.name, plan.seed, plan.phases.total());
    if plan.purpose == Purpose::Control {
        let _ = writeln!(out, "control: nothing is broken");
    }
    section(&mut out, "stack", plan.stack.iter().map(|stack| ("", stack_text(stack))));
    services(&mut out, plan);
    section(&mut out, "edges", plan.edges.iter().map(|edge| (edge.name.as_str(), edge_text(edge))));
    section(&mut out, "load", plan.loads.iter().map(|load| (load.name.as_str(), load_text(load))));
    let probes = plan.probes.iter().map(|probe| {
        let mut text =
            format!("{}, every {}, within {}", answer_text(&probe.question), probe.every, probe.within);
        for capture in &probe.capture {
            let _ = write!(text, "\ncapture  {capture}");
        }
        (probe.name.as_str(), text)
    });
    section(&mut out, "probes", probes);
    section(&mut out, "faults", plan.faults.iter().map(|step| (step.id.as_str(), fault_text(plan, step))));
    section(&mut out, "expect", plan.expectations.iter().map(|rule| (rule.id.as_str(), rule.text.clone())));
    section(&mut out, "abort if", plan.abort_if.iter().map(|rule| (rule.when.name(), rule.text.clone())));
    time_line(&mut out, plan);
    plan.secrets.hide(&out).into_owned()
}

/// A heading and its entries, names in one column.
fn section<'a>(out: &mut String, title: &str, entries: impl Iterator<Item = (&'a str, String)>) {
    let entries: Vec<(&str, String)> = entries.collect();
    if entries.is_empty() {
        return;
    }
    let width = entries.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let _ = writeln!(out, "\n{title}");
    for (name, text) in entries {
        for (index, line) in text.lines().enumerate() {
            let name = if index == 0 { name } else { "" };
            let _ = writeln!(out, "  {}", format!("{name:<width$}  {line}").trim_end());
        }
    }
}

fn stack_text(stack: &StackPlan) -> String {
    let what = stack.text();
    match stack.keep {
        StackKeep::Found => {
            format!("find   {what}, which runs already; wait until it is healthy, within {}", stack.wait)
        }
        StackKeep::Left => format!(
            "up     {what}; wait until it is healthy, within {}\nundo   nothing: it stays up",
            stack.wait
        ),
        StackKeep::TakenDown => {
            format!("up     {what}; wait until it is healthy, within {}\nundo   take it down", stack.wait)
        }
    }
}

fn services(out: &mut String, plan: &Plan) {
    let entries = plan.services.iter().map(|service| {
        let mut text = format!("start  {}", command_text(&service.run));
        if let Some(dir) = &service.dir {
            let _ = write!(text, "  in {}", dir.display());
        }
        if let Some(ready) = &service.ready {
            let _ = write!(text, "\nready  {}, within {}", answer_text(ready), service.within);
        }
        text.push_str("\nundo   stop its process group: SIGTERM, then SIGKILL");
        (service.name.as_str(), text)
    });
    section(out, "services", entries);
}

fn answer_text(question: &Question) -> String {
    match question {
        Question::Http { request, status, header, body, json } => {
            let mut text = format!("{} answers {status}", request.text());
            for test in header {
                text += &format!(" with {}: /{}/", test.name, test.matches);
            }
            if let Some(body) = body {
                text += &format!(" with /{body}/");
            }
            for (path, test) in json {
                text += &format!(" with {path} {test}");
            }
            text
        }
        Question::Tcp { address } => format!("{address} accepts a connection"),
        Question::Command { argv, matches: None } => format!("{} exits with 0", command_text(argv)),
        Question::Command { argv, matches: Some(pattern) } => {
            format!("{} exits with 0 and prints /{pattern}/", command_text(argv))
        }
        Question::Container(question) => question.text(),
        Question::Redis { reply, matches, .. } | Question::Postgres { reply, matches, .. } => {
            let mut text = format!("{} is answered", question.text());
            if let Some(reply) = reply {
                text += &format!(" with {reply}");
            }
            if let Some(pattern) = matches {
                text += &format!(" with /{pattern}/");
            }
            text
        }
    }
}

fn edge_text(edge: &EdgePlan) -> String {
    let protocol = serde_json::to_value(edge.protocol).unwrap_or_default();
    let protocol = protocol.as_str().unwrap_or_default();
    let protocol = match &edge.tls {
        Some(tls) => format!("{protocol}, {tls}"),
        None => protocol.to_owned(),
    };
    let protocol = match &edge.instance_of {
        Some(of) => format!("{protocol}, an instance of {of}"),
        None => protocol,
    };
    match &edge.route {
        Route::Listen { listen, to } => {
            format!("listen on {listen}, dial {to}  ({protocol})\nundo   close the listener")
        }
        Route::Intercept { from, to, open_connections } => {
            let open = match open_connections {
                OpenConnections::Cut => "cut connections that are open, so that they come again",
                OpenConnections::Leave => {
                    "leave connections that are open as they are, out of reach of faults"
                }
            };
            format!(
                "sit in on calls of {from} to {to}, inside its own network  ({protocol})\nopen   {open}\nundo   \
                 remove the redirection; the kernel does so by itself 5s after murphy died"
            )
        }
    }
}

fn load_text(load: &LoadPlan) -> String {
    let arrivals = match load.arrivals {
        Arrivals::Poisson => "as of independent users",
        Arrivals::Constant => "at equal gaps",
    };
    let body = load.request.body.as_ref().map_or(String::new(), |body| format!(" with {} bytes", body.len()));
    let needs = load.depends_on.as_ref().map_or_else(String::new, |needs| {
        let each: Vec<String> = needs.iter().map(|(edge, need)| format!("{edge} ({need})")).collect();
        format!(", depends on {}", if each.is_empty() { "nothing".to_owned() } else { each.join(", ") })
    });
    let raised = load.ramp.map_or_else(String::new, |ramp| format!(", {ramp}"));
    format!(
        "{}{body}, {}{raised} {arrivals}, timeout {}, expects {}{}{needs}",
        load.request.text(),
        load.rate,
        load.timeout,
        load.expect_status,
        load.ledger.as_ref().map_or_else(String::new, |ledger| format!(", read back by {}", ledger.text()))
    )
}

fn fault_text(plan: &Plan, step: &FaultStep) -> String {
    let mut text = format!("{} on {}", step.text(), plan.place_of(&step.target));
    if let FaultTarget::Edge { directions, .. } = &step.target
        && !step.fault.acts_on_requests()
    {
        let ways = serde_json::to_value(directions).unwrap_or_default();
        let _ = write!(text, ", {}", ways.as_str().unwrap_or_default());
    }
    if let Some(trigger) = &step.trigger {
        let _ = write!(text, "\nbegins {trigger}, in the fault phase");
        if !step.at.is_zero() {
            let _ = write!(text, " from {} on", step.at);
        }
    }
    let _ = write!(text, "\nundo   {}", undo_text(step));
    text
}

fn undo_text(step: &FaultStep) -> &'static str {
    match (step.target.place(), step.fault.name()) {
        (Place::Container, "kill" | "stop" | "restart" | "signal") => "have the container running again",
        (Place::Container, "pause") => "unpause it",
        (Place::Container, "remove") => match &step.fault {
            Fault::Remove(Remove { how: Removal::ForGood }) => "nothing: it is gone for good",
            _ => "start it again under its own name",
        },
        (Place::Container, "disconnect") => "put it back on its networks, with its aliases and addresses",
        (Place::Container, "limits") => "give it its own limits back",
        (Place::Container, "cpu-pressure" | "memory-pressure" | "disk-pressure") => {
            "end the worker process; it ends by itself when murphy or the container dies, and what it holds is free"
        }
        (Place::Container, "exec") => match &step.fault {
            Fault::Exec(Exec { revert: Some(_), .. }) => "run the command that is given as `revert`",
            _ => "nothing: no `revert` is given",
        },
        (Place::Process, "kill") if matches!(step.target, FaultTarget::Process { .. }) => {
            "nothing: Murphy did not start it"
        }
        (Place::Process, "signal") if matches!(step.target, FaultTarget::Process { .. }) => {
            "nothing to take back"
        }
        (Place::Process, "freeze") => "let the process go on: SIGCONT",
        (Place::Process, "kill") => "start the service again",
        (Place::Process, _) => "nothing to take back; the service is stopped at the end",
        (Place::Network, "bandwidth") => "give the interface the kernel's own queue back",
        (Place::Network, "latency") => "lift it; bytes in flight are released",
        (Place::Network, _) => "remove the rules; the kernel does so by itself 5s after murphy died",
        (Place::Host, _) => {
            "end the worker process; it ends by itself when murphy dies, and what it holds is free"
        }
        (Place::Edge | Place::Container, _) => "lift it; bytes in flight are released",
    }
}

/// What happens when, from the beginning of load.
fn time_line(out: &mut String, plan: &Plan) {
    let mut moments: Vec<(Span, u8, String)> = Vec::new();
    let mut start = Span::ZERO;
    for (order, phase) in Phase::PLANNED.into_iter().enumerate() {
        let length = plan.phases.of(phase);
        moments.push((start, if order == 0 { 0 } else { 2 }, format!("{phase} for {length}")));
        if phase == Phase::Fault {
            for load in &plan.loads {
                raised(&mut moments, load, start, length);
            }
            for step in &plan.faults {
                let armed = sum(start, step.at);
                if let Some(trigger) = &step.trigger {
                    moments.push((armed, 3, format!("? {}  waits, begins {trigger}", step.id)));
                    moments.push((sum(start, length), 1, format!("- {}  at the latest", step.id)));
                    continue;
                }
                moments.push((armed, 3, format!("+ {}  {}", step.id, step.fault.text())));
                if let Some(last) = step.ramp.stages.last() {
                    let reached = format!("~ {}  {}", step.id, last.fault.text());
                    moments.push((sum(armed, last.after), 0, reached));
                }
                moments.push((sum(armed, step.lasts), 1, format!("- {}", step.id)));
            }
        }
        start = sum(start, length);
    }
    if !plan.phases.quiet.is_zero() {
        let PhaseLengths { quiet, again, .. } = plan.phases;
        let if_needed = format!("if users stay badly served: quiet for {quiet} at most, again for {again}");
        moments.push((start, 3, if_needed));
    }
    moments.push((start, 4, "end: everything is taken back, newest first".to_owned()));
    murphy_core::sort_short(&mut moments, |a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    let texts: Vec<(String, String)> =
        moments.into_iter().map(|(at, _, text)| (at.to_string(), text)).collect();
    section(out, "time line", texts.iter().map(|(at, text)| (at.as_str(), text.clone())));
}

/// When a load is raised for the first time, when its ramp is at its end, and when it is back.
fn raised(moments: &mut Vec<(Span, u8, String)>, load: &LoadPlan, start: Span, length: Span) {
    let Some(ramp) = load.ramp else { return };
    let rates = ramp.rates(load.rate);
    if let [first, .., _] = &rates[..] {
        moments.push((start, 3, format!("+ {}  {first}", load.name)));
    }
    let steps = rates.len() as u64 - 1;
    let last = Span::from_micros(ramp.every.as_micros().saturating_mul(steps));
    moments.push((sum(start, last), 3, format!("~ {}  {}", load.name, ramp.to)));
    moments.push((sum(start, length), 1, format!("- {}  {}", load.name, load.rate)));
}

fn sum(a: Span, b: Span) -> Span {
    (a.as_duration() + b.as_duration()).into()
}
