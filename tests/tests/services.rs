//! Where the services of a scenario run.

use murphy_tests::Bench;

#[test]
fn a_service_and_its_ready_check_run_in_a_folder_seen_from_the_scenario() {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.path().join("shop/inner")).unwrap();
    bench.file(
        "shop/s.yaml",
        "murphy: 1\nname: folders\nservices:\n\
         \x20 inner: { run: [sh, -c, \"touch here; exec sleep 60\"], dir: inner, ready: { command: [test, -f, here] } }\n\
         \x20 beside: { run: [sh, -c, \"touch beside; exec sleep 60\"], ready: { command: [test, -f, inner/here] } }\n\
         probes: { up: { command: [\"true\"], every: 100ms } }\n\
         phases: { warm-up: 0s, baseline: 300ms, fault: 300ms, recovery: 300ms }\nlearn: all\n\
         faults: [{ service: inner, inject: freeze }]\n",
    );
    let finished = bench.run(&["run", "shop/s.yaml"]);
    for file in ["shop/inner/here", "shop/beside"] {
        assert!(bench.path().join(file).is_file(), "{file}\n{}\n{}", finished.stdout, finished.stderr);
    }
    finished.expect(0);
}
