//! What pipelines use: the action's script as a runner calls it, the templates, the manual pages.

use murphy_tests::{Bench, action, catalogue_scenario, expecting, repository};

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
