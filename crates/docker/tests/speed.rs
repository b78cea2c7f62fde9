//! What acting costs beyond the engine's own time, and acting on many at once. Figures are printed (`--nocapture`); the
//! assertions leave room for a busy machine, and the tests take turns. `MURPHY_TEST_FLEET=50` measures with fifty containers (about 80 s).

mod common;

use std::time::{Duration, Instant};

use common::{connect, identity};
use murphy_core::{Seed, Undo};
use murphy_docker::{Action, Signal, Wanted};
use murphy_testkit::{Sandbox, turn};
use serde_json::json;

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test]
async fn a_kill_adds_little_to_the_engines_own_time() {
    let _turn = turn();
    let Some(sandbox) = Sandbox::open("a_kill_adds_little_to_the_engines_own_time") else { return };
    let engine = connect(&sandbox).await;
    let member = sandbox.container("one", &[], json!({}));
    let kill = Action::Kill { signal: Signal::KILL };
    let (mut whole, mut looking, mut engines_own) = (Vec::new(), Vec::new(), Vec::new());
    let calls_before = engine.calls();
    const ROUNDS: u32 = 7;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let target = format!("id:{}", member.id).parse().unwrap();
        let choice = engine.targets(&target, Seed(1), Wanted::Running).await.unwrap();
        let undos = engine.prepare(&choice.targets[0].identity, &kill).await.unwrap();
        looking.push(begun.elapsed());
        engine.apply(&choice.targets[0].identity, &kill, &undos).await.unwrap();
        whole.push(begun.elapsed());
        engine.revert(&undos[0]).await.unwrap();
        let begun = Instant::now();
        sandbox.post(&format!("/containers/{}/kill", member.id), &json!(null));
        engines_own.push(begun.elapsed());
        sandbox.post(&format!("/containers/{}/start", member.id), &json!(null));
    }
    let calls = (engine.calls() - calls_before) / u64::from(ROUNDS);
    let (whole, looking, engines_own) = (median(whole), median(looking), median(engines_own));
    println!(
        "kill: {whole:?} in all, of it {looking:?} to find and prepare; a bare call takes {engines_own:?}"
    );
    assert!(looking < Duration::from_millis(500), "{looking:?}");
    assert_eq!(calls, 6, "list, inspect, kill; and for the undo: inspect, start, inspect");
}

#[tokio::test]
async fn many_containers_are_frozen_and_killed_together_and_all_come_back() {
    let _turn = turn();
    let Some(sandbox) = Sandbox::open("many_containers_are_frozen_and_killed_together_and_all_come_back")
    else {
        return;
    };
    let engine = connect(&sandbox).await;
    let size: usize =
        std::env::var("MURPHY_TEST_FLEET").ok().and_then(|size| size.parse().ok()).unwrap_or(12);
    let project = sandbox.name("fleet");
    let network = sandbox.network("net", json!({}));
    let members: Vec<_> = (1..=size)
        .map(|number| {
            let labels = sandbox.compose_labels(&project, "worker", number as u32);
            let host = json!({ "NetworkMode": network });
            sandbox.container(&format!("w{number}"), &[], json!({ "Labels": labels, "HostConfig": host }))
        })
        .collect();
    let addresses = || -> Vec<String> {
        let of = |member: &murphy_testkit::Member| {
            sandbox.inspect(&member.id)["NetworkSettings"]["Networks"][&network]["IPAddress"].to_string()
        };
        members.iter().map(of).collect()
    };
    let before = addresses();
    let target = format!("project:{project}").parse().unwrap();
    for action in [Action::Pause, Action::Kill { signal: Signal::KILL }] {
        let (calls, begun) = (engine.calls(), Instant::now());
        let choice = engine.targets(&target, Seed(1), Wanted::Running).await.unwrap();
        let prepared = engine.prepare_all(&choice.targets, &action).await.unwrap();
        let ready = begun.elapsed();
        let applied = engine.apply_all(&prepared, &action).await;
        assert!(applied.len() == size && applied.iter().all(Result::is_ok), "{applied:?}");
        let (done, acted) = (begun.elapsed(), engine.calls());
        let undos: Vec<Undo> = prepared.into_iter().flat_map(|one| one.undos).collect();
        let begun = Instant::now();
        let answers = engine.revert_all(&undos).await;
        assert!(answers.len() == size && answers.iter().all(|(_, answer)| answer.is_ok()), "{answers:?}");
        println!(
            "{} of {size}: found and prepared in {ready:?}, acted in {:?}, {} calls; reverted in {:?}, {} calls",
            action.name(),
            done - ready,
            acted - calls,
            begun.elapsed(),
            engine.calls() - acted,
        );
        assert_eq!(acted - calls, 2 * size as u64 + 1, "one list, and an inspection and an act each");
    }
    assert_eq!(addresses(), before, "each has its own address again");
    let running = engine.targets(&target, Seed(1), Wanted::Running).await.unwrap();
    assert_eq!(running.targets.len(), size);
    assert!(running.targets.iter().any(|container| container.identity == identity(&members[0])));
}

#[tokio::test]
async fn containers_of_several_networks_come_back_in_the_order_of_undoing_each_with_its_address() {
    const SIZE: usize = 6;
    let _turn = turn();
    let Some(sandbox) = Sandbox::open(
        "containers_of_several_networks_come_back_in_the_order_of_undoing_each_with_its_address",
    ) else {
        return;
    };
    let engine = connect(&sandbox).await;
    // Two on each network: these come back in order, and so to their own addresses.
    let networks: Vec<String> =
        (1..=SIZE / 2).map(|number| sandbox.network(&format!("net{number}"), json!({}))).collect();
    let members: Vec<_> = (0..SIZE)
        .map(|number| {
            let host = json!({ "NetworkMode": networks[number / 2] });
            sandbox.container(&format!("w{number}"), &[], json!({ "HostConfig": host }))
        })
        .collect();
    let addresses = || -> Vec<String> {
        let of = |member: &murphy_testkit::Member| {
            sandbox.inspect(&member.id)["NetworkSettings"]["Networks"].as_object().map(|on| {
                let on = on.values().map(|on| on["IPAddress"].as_str().unwrap_or_default());
                on.collect::<String>()
            })
        };
        members.iter().filter_map(of).collect()
    };
    let before = addresses();
    let target = format!("label:murphy.test={}", sandbox.label()).parse().unwrap();
    let kill = Action::Kill { signal: Signal::KILL };
    let mut times = Vec::new();
    for together in [false, true] {
        let choice = engine.targets(&target, Seed(1), Wanted::Running).await.unwrap();
        let prepared = engine.prepare_all(&choice.targets, &kill).await.unwrap();
        let applied = engine.apply_all(&prepared, &kill).await;
        assert!(applied.len() == SIZE && applied.iter().all(Result::is_ok), "{applied:?}");
        let undos: Vec<Undo> = prepared.into_iter().flat_map(|one| one.undos).collect();
        let begun = Instant::now();
        if together {
            let answers = engine.revert_all(&undos).await;
            assert!(answers.iter().all(|(_, answer)| answer.is_ok()), "{answers:?}");
            assert!(answers.iter().map(|(undo, _)| undo).eq(undos.iter().rev()), "in the order of undoing");
        } else {
            for undo in undos.iter().rev() {
                engine.revert(undo).await.unwrap();
            }
        }
        times.push(begun.elapsed());
        assert_eq!(addresses(), before, "each has its own address again");
    }
    println!(
        "{SIZE} killed on {} networks: back one by one in {:?}, together in {:?}",
        SIZE / 2,
        times[0],
        times[1]
    );
}
