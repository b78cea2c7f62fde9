//! What pipelines use: the action's script as a runner calls it, the templates, the manual pages.

use murphy_tests::{Bench, Finished, action, catalogue_scenario, expecting, murphy, repository};

fn scenario(name: &str, limit: &str) -> String {
    let more = format!(
        r#"phases: {{ warm-up: 500ms, baseline: 3s, fault: 3s, recovery: 1s }}
faults: [{{ edge: items, inject: {{ latency: "800ms" }} }}]
expect: {{ read: {{ p95: "<= {limit}" }} }}
"#
    );
    catalogue_scenario(name, &more)
}

#[test]
fn the_action_fails_the_job_and_tells_the_runner_why() {
    let bench = Bench::new();
    bench.file("slow.yaml", &scenario("a slow catalogue", "100ms"));
    std::fs::write(bench.path().join("summary"), "# before\n").unwrap();
    let inputs = [("MURPHY_SCENARIOS", "slow.yaml"), ("MURPHY_ARGS", "--seed 3")];
    let ended = expecting(1, || action(&bench, &inputs));
    let ended = ended.says("::error title=Murphy::not-graceful").says("seed 3");
    let read = |name: &str| std::fs::read_to_string(bench.path().join(name)).unwrap_or_default();
    let output = read("output");
    for line in ["verdict=not-graceful", "exit-code=1", "junit=murphy-reports/junit.xml"] {
        assert!(output.lines().any(|other| other == line), "{output}\n{ended:?}");
    }
    let summary = read("summary");
    assert!(summary.starts_with("# before\n") && summary.contains("NOT GRACEFUL"), "{summary}");
    assert!(read("murphy-reports/junit.xml").contains("<failure"));
    assert!(read("murphy-reports/report.html").ends_with("</html>\n"));
    assert!(read("murphy-reports/report.json").starts_with('['));
}

#[test]
fn an_input_of_the_action_cannot_become_a_command() {
    let bench = Bench::new();
    action(&bench, &[("MURPHY_SCENARIOS", "$(touch pwned) `touch pwned` ;touch pwned")]).expect(2);
    assert!(!bench.path().join("pwned").exists());
    let output = std::fs::read_to_string(bench.path().join("output")).unwrap();
    assert!(output.contains("verdict=usage"), "{output}");
}

#[test]
fn every_input_of_the_action_reaches_its_script() {
    let inputs_of = std::fs::read_to_string(repository().join("action.yml")).unwrap();
    let script = std::fs::read_to_string(repository().join("ci/action.sh")).unwrap();
    let mut inputs = 0;
    for line in inputs_of.lines().filter(|line| line.contains("${{ inputs.")) {
        let variable = line.trim().split(':').next().unwrap();
        assert!(script.contains(variable), "{variable} is not used by the script");
        let name = line.split("inputs.").nth(1).unwrap().split_whitespace().next().unwrap();
        assert!(inputs_of.contains(&format!("\n  {name}:\n")), "{name} is not declared");
        inputs += 1;
    }
    assert_eq!(inputs, 8);
    // Outputs are those that the script writes.
    for name in ["verdict", "exit-code", "junit", "html"] {
        assert!(
            inputs_of.contains(&format!("steps.run.outputs.{name}"))
                && script.contains(&format!("\"{name}="))
        );
    }
}

#[test]
fn the_templates_use_options_that_there_are() {
    let bench = Bench::new();
    let help = bench.run(&["run", "--help"]).expect(0).stdout;
    for file in ["ci/gitlab.yml", "ci/Jenkinsfile", "ci/action.sh"] {
        let text = std::fs::read_to_string(repository().join(file)).unwrap();
        let lines = text.lines().filter(|line| !line.contains("cargo build"));
        let options = lines
            .flat_map(|line| line.split(|c: char| c.is_whitespace() || matches!(c, '(' | '\'' | ':' | '+')))
            .filter(|word| word.starts_with("--") && word.len() > 2);
        let mut count = 0;
        for option in options {
            assert!(help.contains(option), "{file}: murphy run has no {option}");
            count += 1;
        }
        assert!(count >= 3, "{file}");
    }
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let bench = Bench::new();
    bench.run(&["man", "pages"]).expect(0).says("murphy.1");
    for page in ["murphy.1", "murphy-run.1", "murphy-compare.1", "murphy-explain.1"] {
        let text = std::fs::read_to_string(bench.path().join("pages").join(page)).unwrap();
        assert!(text.contains(".TH"), "{page}");
    }
    let run = std::fs::read_to_string(bench.path().join("pages/murphy-run.1")).unwrap();
    assert!(run.contains("fail\\-fast") && run.contains("junit"), "{run}");
}

/// A job's script as a runner's shell reads it, with `murphy` on the PATH.
fn job(bench: &Bench, script: &str, variables: &[(String, String)]) -> Finished {
    let mut command = bench.shell("bash", &["-eo", "pipefail", "-c", script]);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    command.output().expect("bash starts").into()
}

/// A bench with a folder of scenarios, one of which is not graceful.
fn with_scenarios() -> Bench {
    let bench = Bench::new();
    std::fs::create_dir(bench.path().join("murphy")).unwrap();
    bench.file("murphy/slow.yaml", &scenario("a slow catalogue", "100ms"));
    bench
}

fn read(bench: &Bench, name: &str) -> String {
    std::fs::read_to_string(bench.path().join("murphy-reports").join(name)).unwrap_or_default()
}

#[test]
fn the_job_for_gitlab_ends_with_the_verdict_and_leaves_its_artifacts() {
    let text = std::fs::read_to_string(repository().join("ci/gitlab.yml")).unwrap();
    let template: serde_json::Value = serde_yaml::from_str(&text).expect("YAML");
    let job_of = &template[".murphy"];
    let script: Vec<&str> =
        job_of["script"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let variables = job_of["variables"].as_object().unwrap().iter();
    let variables: Vec<_> =
        variables.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
    let bench = with_scenarios();
    expecting(1, || job(&bench, &script.join("\n"), &variables)).says("NOT GRACEFUL");
    let artifacts = job_of["artifacts"]["paths"][0].as_str().unwrap();
    assert!(bench.path().join(artifacts).is_dir(), "{artifacts}");
    let junit = job_of["artifacts"]["reports"]["junit"].as_str().unwrap();
    assert!(std::fs::read_to_string(bench.path().join(junit)).unwrap().contains("<failure"));
    for name in ["report.html", "report.json", "summary.md"] {
        assert!(!read(&bench, name).is_empty(), "{name}");
    }
    // What it does after a job that was cut off.
    let after = job_of["after_script"][0].as_str().expect("a command");
    job(&bench, after, &variables).expect(0).says("nothing to take back");
    // The code that it lets pass is that of a run that cannot tell.
    assert_eq!(job_of["allow_failure"]["exit_codes"], 4);
}

#[test]
fn the_stage_for_jenkins_ends_with_the_verdict_and_leaves_its_artifacts() {
    let text = std::fs::read_to_string(repository().join("ci/Jenkinsfile")).unwrap();
    let script = text.split("'''").nth(1).expect("a script in quotes");
    let bench = with_scenarios();
    expecting(1, || job(&bench, script, &[])).says("NOT GRACEFUL");
    assert!(read(&bench, "junit.xml").contains("<failure") && !read(&bench, "report.html").is_empty());
    // What it does after a job that was cut off.
    assert!(text.contains("aborted { sh 'murphy undo' }"), "{text}");
    job(&bench, "murphy undo", &[]).expect(0);
}

/// An image that a test has built. Gone when dropped.
struct Image<'b> {
    bench: &'b Bench,
    tag: &'b str,
}

impl Drop for Image<'_> {
    fn drop(&mut self) {
        let removed = job(self.bench, &format!("docker image rm -f {}", self.tag), &[]);
        if !std::thread::panicking() {
            removed.expect(0);
        }
    }
}

/// The binary under test is not a static one: this machine's libraries are lent to it.
#[test]
fn the_image_of_the_dockerfile_is_the_binary_and_runs_scenarios() {
    let test = "the_image_of_the_dockerfile_is_the_binary_and_runs_scenarios";
    if murphy_testkit::engine_or_skip(test).is_none() {
        return;
    }
    let bench = with_scenarios();
    std::fs::copy(repository().join("Dockerfile"), bench.path().join("Dockerfile")).unwrap();
    std::fs::copy(murphy(), bench.path().join("binary")).unwrap();
    bench.file(".dockerignore", "*\n!binary\n");
    let tag = format!("murphy-test-dockerfile-{}", std::process::id());
    let docker = |line: &str| job(&bench, line, &[]);
    docker(&format!("docker build -q -t {tag} --build-arg BINARY=binary .")).expect(0);
    let _image = Image { bench: &bench, tag: &tag };
    let lent = "$(for lib in /usr /lib /lib64; do [ -e $lib ] && printf ' -v %s:%s:ro' $lib $lib; done)";
    let run = format!("docker run --rm --network host {lent} -v \"$PWD:/work\" {tag}");
    docker(&format!("{run} --version")).expect(0).says("murphy ");
    // By their paths in the container, and with their reports in the folder that was lent to it.
    docker(&format!("{run} check murphy/")).expect(0).says("murphy/slow.yaml: ok");
    expecting(1, || docker(&format!("{run} run murphy/ --junit junit.xml"))).says("NOT GRACEFUL");
    assert!(std::fs::read_to_string(bench.path().join("junit.xml")).unwrap().contains("a slow catalogue"));
}
