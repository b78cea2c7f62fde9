//! The edges of an exploration whose scenario names none: those that the compose files of its stack tell of.

use std::path::Path;

use murphy_core::{EdgeName, Protocol};
use murphy_propose::{Compose, ComposeError, Dependency, dependencies};
use murphy_report::LeftOut;
use murphy_scenario::{Address, Caller, EdgePlan, OpenConnections, Plan, Route};

/// What compose files tell of who calls whom.
#[derive(Debug, Default)]
pub struct Found {
    /// Calls on which Murphy can sit in.
    pub edges: Vec<EdgePlan>,
    /// What each was guessed from: `web calls cache:6379 (environment CACHE)`.
    pub remarks: Vec<String>,
    /// Calls of which too little is told.
    pub left_out: Vec<LeftOut>,
}

/// Reads the compose files of a plan's stack.
///
/// # Errors
/// What cannot be read, in a sentence.
pub fn found(plan: &Plan) -> Result<Found, String> {
    let Some(stack) = &plan.stack else { return Ok(Found::default()) };
    if stack.compose.is_empty() {
        let project = stack.project.as_deref().unwrap_or_default();
        return Err(format!(
            "edges are found in compose files: write `stack: {{ compose: compose.yaml, project: {project} }}`, or `edges:`"
        ));
    }
    let beside = Path::new(&plan.source).parent().unwrap_or(Path::new(""));
    let mut all: Option<Compose> = None;
    for file in &stack.compose {
        let path = beside.join(file);
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let compose = match Compose::read(&text) {
            // A further file may be about volumes and networks alone.
            Err(ComposeError::NoServices | ComposeError::Empty) if all.is_some() => continue,
            other => other.map_err(|error| format!("{}: {error}", path.display()))?,
        };
        match &mut all {
            Some(all) => all.merge(compose),
            None => all = Some(compose),
        }
    }
    Ok(all.map(|compose| of(&compose)).unwrap_or_default())
}

fn of(compose: &Compose) -> Found {
    let mut found = Found::default();
    // What has ended before the load begins neither calls nor is called.
    let is_job = |one: &Dependency| compose.jobs.contains(&one.from) || compose.jobs.contains(&one.to);
    for one in dependencies(compose).iter().filter(|one| !is_job(one)) {
        let because = one.because.join(", ");
        match edge(one) {
            Ok(mut edge) => {
                // `a-b` that calls `c`, and `a` that calls `b-c`.
                edge.name = edge.name.free(|name| found.edges.iter().any(|other| other.name == *name));
                found.remarks.push(format!(
                    "{} calls {} ({because}): edge {}",
                    one.from,
                    edge.route.to(),
                    edge.name
                ));
                found.edges.push(edge);
            }
            Err(why) => found.left_out.push(LeftOut {
                edge: format!("{}-{}", one.from, one.to),
                fault: "everything".to_owned(),
                why: format!(
                    "{why} ({because}): write it into `edges:`, with the others that are to be tried"
                ),
                rule: None,
            }),
        }
    }
    found
}

/// The edge on which Murphy sits in on these calls.
fn edge(one: &Dependency) -> Result<EdgePlan, &'static str> {
    let port = one.port.ok_or("nothing tells on which port it is called")?;
    let named = "it has a name that no edge can have";
    let name = EdgeName::new(&format!("{}-{}", one.from, one.to)).map_err(|_| named)?;
    let from: Caller = one.from.parse().map_err(|_| named)?;
    let to: Address = format!("{}:{port}", one.to).parse().map_err(|_| named)?;
    let protocol = match one.technology.protocol() {
        Some("http") => Protocol::Http,
        Some("redis") => Protocol::Redis,
        Some("postgres") => Protocol::Postgres,
        _ => Protocol::Tcp,
    };
    let route = Route::Intercept { from, to, open_connections: OpenConnections::default() };
    Ok(EdgePlan { name, route, protocol, tls: None, instance_of: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_with_a_port_become_edges_and_others_are_told() {
        let text = "services:\n  web: { image: web, environment: { CACHE: 'cache:6379', PAY: 'http://pay:8000' }, depends_on: [odd] }\n  \
                    cache: { image: 'redis:7' }\n  pay: { image: pay, depends_on: { once: { condition: service_completed_successfully } } }\n  \
                    odd: { image: odd }\n  once: { image: once, environment: { CACHE: 'cache:6379' } }\n";
        let found = of(&Compose::read(text).unwrap());
        let edges: Vec<(&str, String, Protocol)> = found
            .edges
            .iter()
            .map(|edge| (edge.name.as_str(), edge.route.to().to_string(), edge.protocol))
            .collect();
        let cache = ("web-cache", "cache:6379".to_owned(), Protocol::Redis);
        assert_eq!(edges, [cache, ("web-pay", "pay:8000".to_owned(), Protocol::Http)]);
        assert_eq!(found.remarks[0], "web calls cache:6379 (environment CACHE): edge web-cache");
        let [out] = &found.left_out[..] else { panic!("{:?}", found.left_out) };
        assert_eq!(out.edge, "web-odd");
        assert!(out.why.starts_with("nothing tells on which port it is called (depends_on)"), "{}", out.why);
    }

    #[test]
    fn two_edges_never_have_one_name() {
        let text = "services:\n  a-b: { image: x, environment: { TO: 'http://c:80' } }\n  \
                    a: { image: x, environment: { TO: 'http://b-c:80' } }\n  b-c: { image: x }\n  c: { image: x }\n";
        let found = of(&Compose::read(text).unwrap());
        let mut names: Vec<&str> = found.edges.iter().map(|edge| edge.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["a-b-c", "a-b-c-2"]);
        assert!(found.remarks.iter().any(|remark| remark.ends_with(": edge a-b-c-2")), "{:?}", found.remarks);
    }

    #[test]
    fn two_edges_whose_names_leave_no_room_for_a_number_have_two_names() {
        let long = "x".repeat(59);
        let text = format!(
            "services:\n  a-b: {{ image: x, environment: {{ TO: 'http://{long}:80' }} }}\n  \
             a: {{ image: x, environment: {{ TO: 'http://b-{long}:80' }} }}\n  b-{long}: {{ image: x }}\n  {long}: {{ image: x }}\n"
        );
        let found = of(&Compose::read(&text).unwrap());
        let names: Vec<&str> = found.edges.iter().map(|edge| edge.name.as_str()).collect();
        let [one, two] = names[..] else { panic!("{names:?} {:?}", found.left_out) };
        assert_eq!((one.len().max(two.len()), one == two), (63, false), "{names:?}");
    }
}
