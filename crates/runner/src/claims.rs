//! What of the world a plan takes for itself: by it two scenarios are seen to have nothing in common, and can run beside each
//! other. Read from the plan alone; no engine is asked and nothing is resolved.
//!
//! Must never call two plans disjoint that may meet: whatever a plan does not tell apart counts as the same. What a command does,
//! and what lies behind an address, stands in no plan.

mod claim;
mod url;
mod words;

use std::collections::BTreeMap;
use std::fmt;

use murphy_docker::{ComposeProgram, ComposeStack, Pattern, Selector, Target};
use murphy_faults::Fault;
use murphy_scenario::{
    Address, Caller, FaultTarget, Given, Plan, ProcessSelector, Question, Route, ServicePlan, Sight,
    StackPlan, Stretch,
};

use self::claim::{Claim, Which, Whose};
use self::url::of_url;
use crate::world::folder_of;

/// What one plan takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// With whether it may be shown.
    all: BTreeMap<Claim, Sight>,
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
        stack.map(Claim::Containers).into_iter().for_each(|claim| claims.take(claim));
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
                ledger.questions().for_each(|question| claims.question(question, &whose));
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
        if [self, other].iter().any(|claims| claims.all.contains_key(&Claim::Machine)) {
            return Some(Clash("this machine".to_owned()));
        }
        self.all.iter().find_map(|(one, mine)| {
            other.all.iter().find_map(|(two, theirs)| {
                let clash = one.clash(two)?;
                let is_open = [mine, theirs].iter().all(|sight| **sight == Sight::Open);
                Some(Clash(if is_open { clash } else { "an address in a secret of a service".to_owned() }))
            })
        })
    }

    fn take(&mut self, claim: Claim) {
        self.see(claim, Sight::Open);
    }

    /// Takes what may stand in a secret. What stands elsewhere as well may be shown.
    fn see(&mut self, claim: Claim, sight: Sight) {
        let before = self.all.entry(claim).or_insert(sight);
        *before = sight.min(*before);
    }

    fn addresses(&mut self, addresses: impl IntoIterator<Item = Address>) {
        addresses.into_iter().for_each(|address| self.take(Claim::Address(address)));
    }

    fn service(&mut self, service: &ServicePlan) {
        // What it listens on and whom it dials stands in what it is started with, or nowhere.
        self.started(&service.given());
        if let Some(question) = &service.ready {
            self.question(question, &Whose::Anybody);
        }
    }

    fn command(&mut self, argv: &[String]) {
        self.started(&Given::of_command(argv));
    }

    /// A process that Murphy starts.
    fn started(&mut self, given: &[Given<'_>]) {
        self.take(Claim::Started);
        words::in_given(given).into_iter().for_each(|(claim, sight)| self.see(claim, sight));
    }

    fn question(&mut self, question: &Question, whose: &Whose) {
        match question {
            Question::Http { request, .. } => self.addresses(of_url(&request.url)),
            Question::Tcp { address }
            | Question::Redis { address, .. }
            | Question::Postgres { address, .. } => self.take(Claim::Address(address.clone())),
            Question::Command { argv, .. } => self.command(argv),
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
        for run in [
            "b, \"0.0.0.0:2001\"",
            "b, --port, \"2001\"",
            "docker, run, -p, \"2001:80\", shop",
            "docker, run, -p, \"2000-2005:80\", shop",
            "docker, run, -p, \"1024-65535:80\", shop",
            "ssh, -L, \"2001:db:5432\", there",
        ] {
            let service = format!("services: {{ b: {{ run: [{run}] }} }}\n");
            assert!(clash(&service, "probes: { up: { tcp: \"shop:2001\" } }\n").is_some(), "{run}");
        }
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
        for (one, two) in [
            ("zk://a", "zk://a"),
            ("unix:///run/r.sock", "/run/r.sock"),
            ("redis+unix:///run/r.sock?db=0", "/run/r.sock"),
            ("postgres:///one?host=/run/pg", "postgres:///two?host=/run/pg"),
            ("host=db port=5432", "postgres://db/shop"),
            ("*:8080", "shop:8080"),
        ] {
            assert!(clash(&given(one), &given(two)).is_some(), "{one} {two}");
        }
        assert!(clash(&given("zk://a"), &given("zk://b")).is_none());
    }

    #[test]
    fn where_writes_are_read_back_is_an_address_too() {
        let mut with_ledger = plan(1001, "");
        with_ledger.loads[0].ledger = Some(murphy_scenario::LedgerPlan {
            read: murphy_scenario::Question::Tcp { address: "127.0.0.1:2001".parse().unwrap() },
            dead_letters: Some(murphy_scenario::Question::Tcp { address: "127.0.0.1:2002".parse().unwrap() }),
            queued: None,
            settle: murphy_core::Span::ZERO,
            within: murphy_core::Span::ZERO,
        });
        for port in [2001, 2002] {
            let edge = format!("edges: {{ db: {{ listen: \"127.0.0.1:{port}\", to: \"db:1\" }} }}\n");
            let edge = plan(1003, &edge);
            assert!(Claims::of(&with_ledger).clash(&Claims::of(&edge)).is_some(), "{port}");
            assert!(Claims::of(&plan(1001, "")).clash(&Claims::of(&edge)).is_none(), "{port}");
        }
    }

    #[test]
    fn no_word_of_a_service_that_is_a_secret_is_told() {
        let text = "services: { a: { run: [a, --password, \"4711\"], env: { TOKEN: \"4712\" } } }\n";
        assert_eq!(clash(text, text), None);
    }

    #[test]
    fn an_address_in_a_secret_is_a_clash_and_is_not_told() {
        let hidden = "services: { a: { run: [a], env: { AUTH_ADDR: \"127.0.0.1:9000\" } } }\n";
        let option = "services: { a: { run: [a, --auth-addr, \"127.0.0.1:9000\"] } }\n";
        let probe = "probes: { up: { tcp: \"127.0.0.1:9000\" } }\n";
        for (one, two) in [(hidden, probe), (option, probe), (hidden, option), (hidden, hidden)] {
            assert_eq!(clash(one, two).unwrap(), "an address in a secret of a service", "{one}{two}");
        }
    }

    #[test]
    fn a_host_without_its_port_is_that_host_on_any() {
        let service = |env: &str| format!("services: {{ a: {{ run: [a], env: {{ {env} }} }} }}\n");
        let redis = service("REDIS_HOST: redis");
        assert!(clash(&redis, "probes: { up: { tcp: \"redis:7000\" } }\n").is_some());
        assert_eq!(clash(&redis, "probes: { up: { tcp: \"other:7000\" } }\n"), None);
        let listens = |port: u16| service(&format!("HOST: 127.0.0.1, PORT: \"{port}\""));
        assert_eq!(clash(&listens(3001), &listens(3002)), None);
        assert!(clash(&service("DB_HOST: localhost"), &service("DB_HOST: 127.0.0.1")).is_some());
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
            (kill("name: curl"), "probes: { up: { command: [curl, \"http://a:1/\"] } }\n".to_owned()),
            (kill("pid: 17"), "stack: { project: one }\n".to_owned()),
            (kill("pid: 17"), "edges: { db: { from: \"pid:17\", to: \"db:5432\" } }\n".to_owned()),
        ] {
            assert!(clash(&one, &two).unwrap().contains("process"), "{one}{two}");
        }
    }

    #[test]
    fn pressure_on_the_machine_wants_it_alone() {
        let cpu = fault("host: this", "{ cpu-pressure: { load: 50% } }");
        assert_eq!(clash(&cpu, "").unwrap(), "this machine");
    }
}
