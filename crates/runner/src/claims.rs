//! What of the world a plan takes for itself: by it two scenarios are seen to have nothing in common, and can run beside each
//! other. Read from the plan alone; no engine is asked and nothing is resolved.
//!
//! Must never call two plans disjoint that may meet: whatever a plan does not tell apart counts as the same. What a command does,
//! and what lies behind an address, stands in no plan.

use std::collections::BTreeSet;
use std::fmt;

use murphy_docker::{ComposeProgram, ComposeStack, Pattern, Selector, Target};
use murphy_faults::Fault;
use murphy_scenario::{
    Address, Caller, FaultTarget, Plan, ProcessSelector, Question, Route, ServicePlan, StackPlan, Stretch,
};

use crate::world::folder_of;

/// What one plan takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    all: BTreeSet<Claim>,
}

/// One thing that is taken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// The machine: whatever runs beside it is slowed down.
    Machine,
    /// Containers, with their networks.
    Containers(Whose),
    /// Processes that run already.
    Processes(Which),
    /// Processes that Murphy starts, which a selector of processes may match.
    Services,
    /// An address on which Murphy or a service listens, or which one of them dials.
    Address(Address),
    /// A host that is dialled on a port that does not stand there.
    Host(String),
    /// A socket in the file system.
    Socket(String),
}

/// Whose containers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    /// Those of one compose project.
    Project(String),
    /// Any on this machine.
    Anybody,
}

/// Which processes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Which {
    Pid(i32),
    Program(String),
    Command(String),
}

/// What two plans have in common, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clash(String);

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Claims {
    /// What the plan names, in its own words or in those of its services.
    pub fn of(plan: &Plan) -> Claims {
        let mut claims = Claims::default();
        let stack = plan.stack.as_ref().map(|stack| project(plan, stack));
        let whose = stack.clone().unwrap_or(Whose::Anybody);
        claims.all.extend(stack.map(Claim::Containers));
        for service in &plan.services {
            claims.service(service);
        }
        for edge in &plan.edges {
            match &edge.route {
                Route::Listen { listen, to } => claims.addresses([listen.clone(), to.clone()]),
                // Its destination is seen from inside of the caller's network, which is taken whole.
                Route::Intercept { from, .. } => claims.caller(from, &whose),
            }
        }
        for load in &plan.loads {
            claims.addresses(of_url(&load.request.url));
            if let Some(ledger) = &load.ledger {
                claims.question(&ledger.read, &whose);
            }
        }
        for probe in &plan.probes {
            claims.question(&probe.question, &whose);
        }
        for step in &plan.faults {
            // Where the container has no limits of its own, it is the machine that is pressed.
            if matches!(step.fault, Fault::CpuPressure(_) | Fault::MemoryPressure(_) | Fault::DiskPressure(_))
            {
                claims.take(Claim::Machine);
            }
            match &step.target {
                FaultTarget::Edge { .. } | FaultTarget::Service { .. } => {}
                FaultTarget::Host => claims.take(Claim::Machine),
                FaultTarget::Process { process } => claims.take(Claim::Processes(match process {
                    ProcessSelector::Pid(pid) => Which::Pid(*pid),
                    ProcessSelector::Name(name) => Which::Program(name.clone()),
                    ProcessSelector::Command(command) => Which::Command(command.clone()),
                })),
                FaultTarget::Container { container } => claims.container(container, &whose),
                FaultTarget::Network { network } => claims.stretch(network, &whose),
            }
        }
        claims
    }

    /// The first thing that both take, if there is one.
    pub fn clash(&self, other: &Claims) -> Option<Clash> {
        if [self, other].iter().any(|claims| claims.all.contains(&Claim::Machine)) {
            return Some(Clash("pressure on this machine".to_owned()));
        }
        self.all.iter().find_map(|one| other.all.iter().find_map(|two| one.clash(two)))
    }

    fn take(&mut self, claim: Claim) {
        self.all.insert(claim);
    }

    fn addresses(&mut self, addresses: impl IntoIterator<Item = Address>) {
        addresses.into_iter().for_each(|address| self.take(Claim::Address(address)));
    }

    fn service(&mut self, service: &ServicePlan) {
        self.take(Claim::Services);
        // What it listens on and whom it dials stands in what it is started with, or nowhere.
        for text in service.started_with() {
            self.all.extend(in_text(&text));
        }
        if let Some(question) = &service.ready {
            self.question(question, &Whose::Anybody);
        }
    }

    fn question(&mut self, question: &Question, whose: &Whose) {
        match question {
            Question::Http { request, .. } => self.addresses(of_url(&request.url)),
            Question::Tcp { address }
            | Question::Redis { address, .. }
            | Question::Postgres { address, .. } => self.take(Claim::Address(address.clone())),
            Question::Command { .. } => {}
            Question::Container(question) => self.container(&question.container, whose),
        }
    }

    fn container(&mut self, target: &Target, whose: &Whose) {
        let named = target.all_of.iter().find_map(|selector| match selector {
            Selector::Project(Pattern::Exact(project)) => Some(Whose::Project(project.clone())),
            Selector::Project(_) => Some(Whose::Anybody),
            _ => None,
        });
        self.take(Claim::Containers(named.unwrap_or_else(|| whose.clone())));
    }

    fn stretch(&mut self, stretch: &Stretch, whose: &Whose) {
        stretch.callers().for_each(|caller| self.caller(caller, whose));
    }

    fn caller(&mut self, caller: &Caller, whose: &Whose) {
        self.take(match caller {
            Caller::Named(_) => Claim::Containers(whose.clone()),
            Caller::Process(pid) => Claim::Processes(Which::Pid(*pid)),
        });
    }
}

impl Claim {
    fn clash(&self, other: &Claim) -> Option<Clash> {
        let clash = |text: String| Some(Clash(text));
        match (self, other) {
            (Claim::Address(one), Claim::Address(two)) if meet(one, two) => clash(format!("address {one}")),
            (Claim::Host(host), Claim::Address(address)) | (Claim::Address(address), Claim::Host(host))
                if at_port(host, address.port()).is_some_and(|one| meet(&one, address)) =>
            {
                clash(format!("address {address}"))
            }
            (Claim::Host(one), Claim::Host(two)) if one.eq_ignore_ascii_case(two) => {
                clash(format!("host {one}"))
            }
            (Claim::Socket(one), Claim::Socket(two)) if one == two => clash(format!("socket {one}")),
            (Claim::Containers(one), Claim::Containers(two)) => match (one, two) {
                (Whose::Project(one), Whose::Project(two)) if one != two => None,
                (Whose::Project(project), Whose::Project(_)) => clash(format!("compose project {project}")),
                _ => clash("containers, not told apart by a compose project".to_owned()),
            },
            (Claim::Processes(one), Claim::Processes(two)) => match (one, two) {
                (Which::Pid(one), Which::Pid(two)) if one != two => None,
                (Which::Program(one), Which::Program(two)) if one != two => None,
                (one, two) if one == two => clash(one.to_string()),
                (one, two) => clash(format!("processes: {one} may be {two}")),
            },
            // A process chosen by its number is there already, and so no service that is still to be started.
            (Claim::Processes(Which::Pid(_)), Claim::Services)
            | (Claim::Services, Claim::Processes(Which::Pid(_))) => None,
            (Claim::Processes(which), Claim::Services) | (Claim::Services, Claim::Processes(which)) => {
                clash(format!("processes: {which} may be a service"))
            }
            (Claim::Processes(which), Claim::Containers(_))
            | (Claim::Containers(_), Claim::Processes(which)) => {
                clash(format!("processes: {which} may be in a container"))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Which::Pid(pid) => ProcessSelector::Pid(*pid).fmt(f),
            Which::Program(name) => ProcessSelector::Name(name.clone()).fmt(f),
            Which::Command(command) => ProcessSelector::Command(command.clone()).fmt(f),
        }
    }
}

/// The project of a stack. One whose name cannot be found is anybody's; the run says what is wrong with it.
fn project(plan: &Plan, stack: &StackPlan) -> Whose {
    let folder = folder_of(plan);
    let files: Vec<_> = stack.compose.iter().map(|file| folder.join(file)).collect();
    match (&stack.project, stack.env.contains_key("COMPOSE_PROJECT_NAME")) {
        (Some(project), _) => Whose::Project(project.clone()),
        (None, true) => Whose::Anybody,
        (None, false) => ComposeStack::new(ComposeProgram::Plugin, &files, None)
            .map_or(Whose::Anybody, |stack| Whose::Project(stack.project().to_owned())),
    }
}

/// True if what listens at one of them may take calls to the other. Which hosts are this machine stands in no plan, so all
/// interfaces may be any of them.
fn meet(one: &Address, two: &Address) -> bool {
    one.overlaps(two) || (one.port() == two.port() && (one.is_wildcard() || two.is_wildcard()))
}

fn at_port(host: &str, port: u16) -> Option<Address> {
    format!("{host}:{port}").parse().ok()
}

/// Whom an `http://` URL calls.
fn of_url(url: &str) -> Option<Address> {
    let authority = authority(url.split_once("://")?.1);
    authority.parse().ok().or_else(|| at_port(authority, 80))
}

/// Host and port, without what stands before and behind them in a URL.
fn authority(rest: &str) -> &str {
    let whole = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    whole.rsplit('@').next().unwrap_or(whole)
}

/// The port of a URL that names none, for those that services are most often given.
fn usual_port(scheme: &str) -> Option<u16> {
    Some(match scheme.to_ascii_lowercase().as_str() {
        "http" | "ws" => 80,
        "https" | "wss" => 443,
        "redis" | "rediss" => 6379,
        "postgres" | "postgresql" => 5432,
        "mysql" | "mariadb" => 3306,
        "mongodb" => 27017,
        "amqp" => 5672,
        "amqps" => 5671,
        "nats" => 4222,
        _ => return None,
    })
}

/// All that may be reached by what a service is started with: the host of a URL, a host with a port, a socket, and a number that
/// can be a port, which is one of this machine. A number taken for a port by mistake costs time and nothing else.
fn in_text(text: &str) -> Vec<Claim> {
    let ends = |c: char| c.is_whitespace() || matches!(c, '=' | ',' | ';' | '"' | '\'' | '(' | ')');
    text.split(ends).filter_map(in_word).collect()
}

fn in_word(word: &str) -> Option<Claim> {
    if let Some(path) = word.strip_prefix("unix:").or_else(|| word.ends_with(".sock").then_some(word)) {
        let path = path.trim_start_matches("//");
        return Some(Claim::Socket(path.strip_suffix(':').unwrap_or(path).to_owned()));
    }
    if let Some((scheme, rest)) = word.split_once("://") {
        let authority = authority(rest);
        let address = authority.parse().ok().or_else(|| at_port(authority, usual_port(scheme)?));
        // Of a scheme that is not known here any port of the host may be meant.
        let host = || at_port(authority, 1).map(|_| Claim::Host(authority.to_owned()));
        return address.map(Claim::Address).or_else(host);
    }
    let word = authority(word);
    let address = match word.parse::<u16>() {
        Ok(port) if port >= 1024 || matches!(port, 80 | 443) => at_port("127.0.0.1", port),
        Ok(_) => None,
        Err(_) if word.starts_with(':') => format!("0.0.0.0{word}").parse().ok(),
        Err(_) => word.parse().ok(),
    };
    address.map(Claim::Address)
}

#[cfg(test)]
impl Claims {
    /// These ports of this machine.
    pub(crate) fn of_ports(ports: &[u16]) -> Claims {
        let mut claims = Claims::default();
        claims.addresses(ports.iter().map(|port| format!("127.0.0.1:{port}").parse().unwrap()));
        claims
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use murphy_scenario::{Settings, load_text};

    /// A scenario of these lines, with a load on a port of its own.
    fn plan(port: u16, more: &str) -> Plan {
        let purpose = if more.contains("faults:") { "" } else { "control: true\n" };
        let text = format!(
            "murphy: 1\nname: a\nprofile: quick\nlearn: all\n{purpose}\
             load: {{ read: {{ http: \"GET http://127.0.0.1:{port}/\", rate: 10/s }} }}\n{more}"
        );
        load_text("s.yaml", &text, &Settings::default())
            .unwrap_or_else(|error| panic!("{}", error.render(murphy_scenario::Colour::Never)))
            .plan
    }

    fn clash(one: &str, two: &str) -> Option<String> {
        let (one, two) = (Claims::of(&plan(1001, one)), Claims::of(&plan(1002, two)));
        let both = one.clash(&two).map(|clash| clash.to_string());
        assert_eq!(both.is_some(), two.clash(&one).is_some(), "whoever asks");
        both
    }

    fn fault(on: &str, what: &str) -> String {
        format!("faults: [{{ {on}, inject: {what} }}]\n")
    }

    #[test]
    fn scenarios_that_name_nothing_in_common_are_disjoint() {
        let edge = |listen: u16| {
            format!("edges: {{ db: {{ listen: \"127.0.0.1:{listen}\", to: \"db:{listen}\" }} }}\n")
        };
        assert_eq!(clash(&edge(2001), &edge(2002)), None);
        let service =
            |port: u16| format!("services: {{ a: {{ run: [a, --listen, \"127.0.0.1:{port}\"] }} }}\n");
        assert_eq!(clash(&service(3001), &service(3002)), None);
        let stack = |project: &str| format!("stack: {{ project: {project} }}\n");
        assert_eq!(clash(&stack("one"), &stack("two")), None);
        let kill = "{ kill: { signal: SIGKILL } }";
        let process = |pid: u32| fault(&format!("process: {{ pid: {pid} }}"), kill);
        assert_eq!(clash(&process(17), &process(18)), None);
        assert_eq!(clash(&process(17), &service(3001)), None);
    }

    #[test]
    fn one_address_in_both_is_a_clash_wherever_it_stands() {
        let texts = [
            "edges: { db: { listen: \"127.0.0.1:2001\", to: \"db:1\" } }\n",
            "edges: { db: { listen: \"127.0.0.1:9\", to: \"localhost:2001\" } }\n",
            "probes: { up: { tcp: \"127.0.0.1:2001\" } }\n",
            "probes: { up: { http: \"http://localhost:2001/ready\" } }\n",
            "services: { a: { run: [a, --port, \"2001\"] } }\n",
            "services: { b: { run: [b, \"--listen=0.0.0.0:2001\"] } }\n",
            "services: { b: { run: [b], env: { LISTEN: \":2001\" } } }\n",
            "services: { b: { run: [b], env: { AUTH: \"redis://u:p@127.0.0.1:2001/0\" } } }\n",
            "services: { b: { run: [b], ready: { tcp: \"127.0.0.1:2001\" } } }\n",
        ];
        for one in texts {
            for two in texts {
                let clash = clash(one, two).unwrap_or_else(|| panic!("{one}{two}"));
                assert!(clash.starts_with("address "), "{clash}");
            }
        }
        let (one, two) = (plan(1001, ""), plan(1001, ""));
        assert!(Claims::of(&one).clash(&Claims::of(&two)).is_some(), "the load's own");
        // All interfaces may be those of any name.
        assert!(
            clash(
                "services: { b: { run: [b, \"0.0.0.0:2001\"] } }\n",
                "probes: { up: { tcp: \"shop:2001\" } }\n"
            )
            .is_some()
        );
    }

    #[test]
    fn what_services_are_given_in_other_forms_is_seen_as_well() {
        let given = |text: &str| format!("services: {{ b: {{ run: [b], env: {{ DB: \"{text}\" }} }} }}\n");
        let probe = |address: &str| format!("probes: {{ up: {{ tcp: \"{address}\" }} }}\n");
        let same = [
            ("redis://localhost/0", "127.0.0.1:6379"),
            ("postgres://u@db/shop", "db:5432"),
            ("https://auth/", "auth:443"),
            ("db:6380/0", "db:6380"),
            ("u:p@tcp(db:3306)/shop", "db:3306"),
            ("mongodb://a:1100,b:1200/db", "b:1200"),
            ("zk://coordinator", "coordinator:2181"),
            ("80", "localhost:80"),
        ];
        for (text, address) in same {
            assert!(clash(&given(text), &probe(address)).is_some(), "{text} {address}");
            assert!(clash(&given(text), &probe("other:7")).is_none(), "{text}");
        }
        for (one, two) in [("zk://a", "zk://a"), ("unix:///run/r.sock", "/run/r.sock")] {
            assert!(clash(&given(one), &given(two)).is_some(), "{one} {two}");
        }
        assert!(clash(&given("zk://a"), &given("zk://b")).is_none());
    }

    #[test]
    fn where_writes_are_read_back_is_an_address_too() {
        let mut with_ledger = plan(1001, "");
        with_ledger.loads[0].ledger = Some(murphy_scenario::LedgerPlan {
            read: murphy_scenario::Question::Tcp { address: "127.0.0.1:2001".parse().unwrap() },
            settle: murphy_core::Span::ZERO,
            within: murphy_core::Span::ZERO,
        });
        let edge = plan(1002, "edges: { db: { listen: \"127.0.0.1:2001\", to: \"db:1\" } }\n");
        assert!(Claims::of(&with_ledger).clash(&Claims::of(&edge)).is_some());
        assert!(Claims::of(&plan(1001, "")).clash(&Claims::of(&edge)).is_none());
    }

    #[test]
    fn a_port_of_http_is_80_where_none_is_written() {
        assert_eq!(of_url("http://shop/x@y:1").unwrap().to_string(), "shop:80");
        assert_eq!(of_url("http://u:p@shop:81?q").unwrap().to_string(), "shop:81");
        assert_eq!(of_url("http://[::1]/").unwrap().to_string(), "[::1]:80");
    }

    #[test]
    fn no_word_of_a_service_that_is_a_secret_is_told() {
        let text = "services: { a: { run: [a, --password, \"4711\"], env: { TOKEN: \"4712\" } } }\n";
        assert_eq!(clash(text, text), None);
    }

    #[test]
    fn containers_are_told_apart_by_their_project_and_by_nothing_else() {
        let kill = |on: &str| fault(&format!("container: {on}"), "pause");
        let stack = |project: &str, more: &str| format!("stack: {{ project: {project} }}\n{more}");
        assert_eq!(clash(&stack("one", &kill("web")), &stack("two", &kill("web"))), None);
        assert_eq!(clash(&kill("{ name: a, project: one }"), &kill("{ name: b, project: two }")), None);
        assert!(clash(&stack("one", &kill("a")), &stack("one", &kill("b"))).unwrap().contains("project one"));
        assert!(clash(&stack("one", ""), &kill("b")).unwrap().contains("not told apart"));
        assert!(clash(&kill("a"), &kill("b")).unwrap().contains("not told apart"));
        let sat_in = "edges: { db: { from: web, to: \"db:5432\" } }\n";
        assert!(clash(sat_in, &kill("b")).unwrap().contains("not told apart"));
        assert_eq!(clash(&stack("one", sat_in), &stack("two", sat_in)), None);
        // A project of its own for a fault outside of the stack.
        let outside = kill("{ name: a, project: one }");
        assert!(clash(&stack("two", &outside), &stack("one", "")).unwrap().contains("project one"));
    }

    #[test]
    fn processes_that_may_be_the_same_are_a_clash() {
        let kill = |on: &str| fault(&format!("process: {{ {on} }}"), "{ kill: { signal: SIGKILL } }");
        let service = "services: { a: { run: [a] } }\n";
        assert_eq!(clash(&kill("name: redis-server"), &kill("name: postgres")), None);
        for (one, two) in [
            (kill("name: redis-server"), kill("name: redis-server")),
            (kill("name: redis-server"), kill("command: redis")),
            (kill("pid: 17"), kill("name: redis-server")),
            (kill("name: a"), service.to_owned()),
            (kill("pid: 17"), "stack: { project: one }\n".to_owned()),
            (kill("pid: 17"), "edges: { db: { from: \"pid:17\", to: \"db:5432\" } }\n".to_owned()),
        ] {
            assert!(clash(&one, &two).unwrap().contains("process"), "{one}{two}");
        }
    }

    #[test]
    fn pressure_on_the_machine_wants_it_alone() {
        let cpu = fault("host: this", "{ cpu-pressure: { load: 50% } }");
        assert!(clash(&cpu, "").unwrap().contains("this machine"));
    }
}
