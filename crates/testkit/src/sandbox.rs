//! Containers and networks of one test: all bear its label, and all are removed at its end, also when it panics. What a
//! test that was killed has left behind is removed by the next one.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use murphy_core::Timestamp;
use serde_json::{Value, json};

use crate::{Engine, engine_or_skip, victim_image};

const LABEL: &str = "murphy.test";

/// A container of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its full id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// What belongs to one test.
#[derive(Debug)]
pub struct Sandbox {
    engine: Engine,
    image: String,
    label: String,
    prefix: String,
}

impl Sandbox {
    /// A sandbox, or `None` where there is no engine and a test may be skipped.
    pub fn open(test: &str) -> Option<Sandbox> {
        engine_or_skip(test).map(Sandbox::on)
    }

    /// A sandbox on this engine.
    pub fn on(engine: Engine) -> Sandbox {
        static ORDINAL: AtomicU32 = AtomicU32::new(0);
        remove_left_over(&engine);
        let image = victim_image(&engine);
        let ordinal = ORDINAL.fetch_add(1, Ordering::Relaxed);
        let pid = std::process::id();
        let born = born(pid).unwrap_or_default();
        let label = format!("{pid}-{ordinal}-{born}");
        Sandbox { engine, image, label, prefix: format!("mt{pid}x{ordinal}-") }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The image of [`victim_image`].
    pub fn image(&self) -> &str {
        &self.image
    }

    /// The label `murphy.test` of all that belongs to this test, for what is not made through the sandbox.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// A name that no other test has.
    pub fn name(&self, short: &str) -> String {
        format!("{}{short}", self.prefix)
    }

    /// Makes a network; `settings` are merged into the request.
    pub fn network(&self, short: &str, settings: Value) -> String {
        let name = self.name(short);
        let request = merged(json!({ "Name": name, "Labels": { LABEL: self.label } }), settings);
        self.post("/networks/create", &request);
        name
    }

    /// Makes and starts a container that does what `words` say (see `fixtures/victim.rs`); `settings` are merged into the
    /// request.
    pub fn container(&self, short: &str, words: &[&str], settings: Value) -> Member {
        let member = self.created(short, words, settings);
        self.post(&format!("/containers/{}/start", member.id), &Value::Null);
        member
    }

    /// The same, not started.
    pub fn created(&self, short: &str, words: &[&str], settings: Value) -> Member {
        let name = self.name(short);
        let request = json!({ "Image": self.image, "Cmd": words, "Labels": { LABEL: self.label } });
        let answer = self.post(&format!("/containers/create?name={name}"), &merged(request, settings));
        Member { id: answer["Id"].as_str().expect("an id").to_owned(), name }
    }

    /// Labels by which a container counts as one of a compose service.
    pub fn compose_labels(&self, project: &str, service: &str, number: u32) -> Value {
        json!({
            "com.docker.compose.project": project,
            "com.docker.compose.service": service,
            "com.docker.compose.container-number": number.to_string(),
            "com.docker.compose.oneoff": "False",
            LABEL: self.label,
        })
    }

    /// What the engine knows of a container; null if it does not exist.
    pub fn inspect(&self, id: &str) -> Value {
        let answer = self.engine.call("GET", &format!("/containers/{id}/json"), None).expect("an answer");
        if answer.status == 404 { Value::Null } else { answer.expect("inspect") }
    }

    /// True if the engine has told such an event of a container since then.
    pub fn has_told(&self, member: &Member, event: &str, since: Duration) -> bool {
        let time = |time: Duration| format!("{}.{:09}", time.as_secs(), time.subsec_nanos());
        // `{"container":["ID"],"event":["kill"]}`
        let filters =
            format!("%7B%22container%22%3A%5B%22{}%22%5D%2C%22event%22%3A%5B%22{event}%22%5D%7D", member.id);
        let (from, to) = (time(since), time(Timestamp::since_epoch()));
        let path = format!("/events?since={from}&until={to}&filters={filters}");
        let answer = self.engine.call("GET", &path, None).expect("an answer");
        assert_eq!(answer.status, 200, "{path}");
        !answer.body.trim_ascii().is_empty()
    }

    /// Makes a POST that must succeed.
    ///
    /// # Panics
    /// If it does not.
    pub fn post(&self, path: &str, body: &Value) -> Value {
        self.engine
            .call("POST", path, Some(body).filter(|body| !body.is_null()))
            .expect("an answer")
            .expect(path)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        remove(&self.engine, |label| label == self.label);
    }
}

/// Puts the second object's fields into the first, deeply.
fn merged(mut base: Value, more: Value) -> Value {
    match (&mut base, more) {
        (Value::Object(base), Value::Object(more)) => {
            for (key, value) in more {
                let old = base.remove(&key).unwrap_or(Value::Null);
                base.insert(key, merged(old, value));
            }
        }
        (_, Value::Null) => {}
        (base, more) => *base = more,
    }
    base
}

/// Removes what tests of processes that are gone have left.
fn remove_left_over(engine: &Engine) {
    remove(engine, |label| !is_owned(label));
}

/// True if the process that a label names is still there: that one, and not another with its number. What a dead one left would have
/// the very names that a process of its number wants.
fn is_owned(label: &str) -> bool {
    let mut parts = label.split('-');
    let Some(now) = parts.next().and_then(|pid| pid.parse().ok()).and_then(born) else { return false };
    // Labels of old do not say when.
    parts.nth(1).is_none_or(|then| then.parse() == Ok(now))
}

/// When a process began, in ticks since the machine did; `None` if it is gone.
fn born(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Its name may hold anything, and is the last thing in parentheses.
    stat.rsplit_once(") ")?.1.split_whitespace().nth(19)?.parse().ok()
}

/// Removes containers, then networks, whose label is such. Errors are left: the next test tries again.
fn remove(engine: &Engine, such: impl Fn(&str) -> bool) {
    let filter = "filters=%7B%22label%22%3A%5B%22murphy.test%22%5D%7D";
    let listed = |path: &str| {
        let answer = engine.call("GET", path, None).map(|answer| answer.json()).unwrap_or_default();
        let entries = answer.as_array().cloned().unwrap_or_default();
        let ours = entries.into_iter().filter(|entry| entry["Labels"][LABEL].as_str().is_some_and(&such));
        ours.filter_map(|entry| entry["Id"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    for id in listed(&format!("/containers/json?all=true&{filter}")) {
        let _ = engine.call("DELETE", &format!("/containers/{id}?force=true&v=true"), None);
    }
    for id in listed(&format!("/networks?{filter}")) {
        let _ = engine.call("DELETE", &format!("/networks/{id}"), None);
    }
    let volumes = engine.call("GET", &format!("/volumes?{filter}"), None).map(|answer| answer.json());
    for volume in volumes.unwrap_or_default()["Volumes"].as_array().into_iter().flatten() {
        if volume["Labels"][LABEL].as_str().is_some_and(&such) {
            let name = volume["Name"].as_str().unwrap_or_default();
            let _ = engine.call("DELETE", &format!("/volumes/{name}"), None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_process_left_is_nobodys_though_another_has_its_number() {
        let pid = std::process::id();
        let born = born(pid).expect("this process is there");
        assert!(is_owned(&format!("{pid}-0-{born}")));
        assert!(!is_owned(&format!("{pid}-0-{}", born - 1)), "it had the number before");
        assert!(!is_owned("0-0-0") && !is_owned(""));
    }

    #[test]
    fn a_sandbox_leaves_nothing_behind() {
        let Some(sandbox) = Sandbox::open("a_sandbox_leaves_nothing_behind") else { return };
        let network = sandbox.network("net", json!({}));
        let member = sandbox.container(
            "one",
            &["print", "hello"],
            json!({ "HostConfig": { "NetworkMode": network } }),
        );
        assert_eq!(sandbox.inspect(&member.id)["State"]["Running"], json!(true));
        let engine = sandbox.engine().clone();
        drop(sandbox);
        assert_eq!(engine.call("GET", &format!("/containers/{}/json", member.id), None).unwrap().status, 404);
        assert_eq!(engine.call("GET", &format!("/networks/{network}"), None).unwrap().status, 404);
    }
}
