//! A proxy's look as text: one line while it runs, a summary at the end. Plain ASCII but for the faults' own texts.

use std::fmt::Write as _;

use murphy_core::{Directions, Size, Span, plural};

use crate::calls::CallsSeen;
use crate::rounded::three_digits;
use crate::seat::Switch;
use crate::sight::{FaultSeen, Sight};

impl Sight {
    /// One line: time, connections, calls, bytes, and each fault with its key; one that stands has a star.
    pub fn line(&self) -> String {
        let mut line = format!(
            "{:>7}  {} open of {}  {:.0}/s",
            whole_seconds(self.elapsed).to_string(),
            self.open,
            self.connections,
            self.rate
        );
        if let Some(p50) = self.calls.p50 {
            let _ = write!(line, "  p50 {}", three_digits(p50));
        }
        let bad = self.calls.failed + self.calls.given_up + self.calls.cut + self.calls.unreachable;
        if bad > 0 {
            let _ = write!(line, "  {bad} bad");
        }
        let (out, back) = (Size::from_bytes(self.to_upstream), Size::from_bytes(self.to_client));
        let _ = write!(line, "  {out} out {back} back");
        for pattern in self.calls.patterns.words() {
            let _ = write!(line, "  {pattern}");
        }
        for fault in &self.faults {
            let star = if fault.switch == Switch::On { "*" } else { " " };
            let _ = write!(line, "  [{}{star}{}]", fault.number, fault.text);
        }
        line
    }

    /// What was done to whom.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        let calls = &self.calls;
        let _ = writeln!(
            text,
            "{} -> {}: {} in {}, {} to the dependency, {} back",
            self.whence(),
            self.upstream,
            plural(self.connections, "connection"),
            three_digits(self.elapsed),
            Size::from_bytes(self.to_upstream),
            Size::from_bytes(self.to_client)
        );
        for caller in self.attached.iter().flat_map(|attached| &attached.callers) {
            let _ = writeln!(text, "  sat in on   {} (process {})", caller.name, caller.pid);
        }
        let shown = 5;
        for (caller, count) in most_first(calls).into_iter().take(shown) {
            let _ = writeln!(text, "  caller      {caller}: {}", plural(*count, "connection"));
        }
        if calls.callers.len() > shown {
            let _ = writeln!(text, "  callers     and {} more", calls.callers.len() - shown);
        }
        let _ = write!(text, "  calls       {} answered", calls.answered);
        if let (Some(p50), Some(p99)) = (calls.p50, calls.p99) {
            let _ = write!(text, " (p50 {}, p99 {})", three_digits(p50), three_digits(p99));
        }
        for (count, what) in
            [(calls.failed, "failed"), (calls.given_up, "given up by the caller"), (calls.cut, "cut short")]
        {
            if count > 0 {
                let _ = write!(text, ", {count} {what}");
            }
        }
        text.push('\n');
        for (name, seen) in calls.patterns.lines() {
            // Of a proxy that callers dial nobody asked how they behave; what shows is told all the same.
            if self.attached.is_some() || calls.patterns.is_seen(name) {
                let _ = writeln!(text, "  {name:<11} {seen}");
            }
        }
        if let Some(why) = &calls.last_failure {
            let times = plural(calls.unreachable, "time");
            let _ = writeln!(text, "  unreachable {times}, the last because: {why}");
        }
        if calls.lost > 0 {
            let _ = writeln!(text, "  note        {} events came too fast to be counted", calls.lost);
        }
        for fault in &self.faults {
            let _ = writeln!(text, "  fault       {}", self.of_fault(fault));
        }
        if self.faults.is_empty() {
            text += "  fault       none\n";
        }
        text
    }

    /// Where the calls come from: an address that callers dial, or those that are sat in on.
    fn whence(&self) -> &str {
        let from = self.attached.as_ref().map(|attached| attached.from.as_str());
        self.listen.as_deref().or(from).unwrap_or_default()
    }

    fn of_fault(&self, fault: &FaultSeen) -> String {
        let FaultSeen { text, tally, stood, .. } = fault;
        if stood.is_empty() {
            return format!("{text}: never switched on");
        }
        let time = stood.iter().fold(Span::ZERO, |sum, stretch| {
            let until = stretch.until.unwrap_or(self.elapsed).as_duration();
            Span::from(sum.as_duration() + until.saturating_sub(stretch.from.as_duration()))
        });
        let way = match self.directions {
            Directions::ToClient => "",
            Directions::ToUpstream => " (requests)",
            Directions::Both => " (both ways)",
        };
        if tally.hits == 0 {
            return format!("{text}{way}: {} on, hit nothing", three_digits(time));
        }
        let bytes = Size::from_bytes(tally.bytes);
        let connections = plural(tally.connections, "connection");
        format!(
            "{text}{way}: {} on, hit {connections}, {}, {bytes}",
            three_digits(time),
            plural(tally.hits, "time")
        )
    }
}

fn most_first(calls: &CallsSeen) -> Vec<(&String, &u64)> {
    let mut callers: Vec<(&String, &u64)> = calls.callers.iter().collect();
    murphy_core::sort_short(&mut callers, |a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
    callers
}

fn whole_seconds(span: Span) -> Span {
    Span::from_secs(span.as_duration().as_secs())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use murphy_core::{Chance, Protocol, Seed, Tally};
    use murphy_faults::{Fault, Latency, Match, Which};

    use super::*;
    use crate::attach::{AttachedSeen, CallerSeen};
    use crate::sight::Stretch;
    use murphy_scenario::OpenConnections;

    fn sight() -> Sight {
        let latency: Latency =
            serde_json::from_str(r#"{ "delay": "200ms" }"#).expect("settings of a latency");
        let seen = |stood: Vec<Stretch>, tally| FaultSeen {
            number: 1,
            text: "latency 200ms".into(),
            fault: Fault::from(latency.clone()),
            switch: Switch::On,
            stood,
            tally,
        };
        let stretch =
            |from, until| Stretch { from: Span::from_secs(from), until: Some(Span::from_secs(until)) };
        Sight {
            listen: Some("127.0.0.1:1".into()),
            attached: None,
            upstream: "127.0.0.1:2".into(),
            seed: Seed(7),
            directions: Directions::ToClient,
            protocol: Protocol::Tcp,
            tls: None,
            matching: Match::default(),
            which: Which::default(),
            chance: Chance::ALWAYS,
            elapsed: Span::from_millis(12_345),
            connections: 3,
            open: 1,
            to_upstream: 2_000,
            to_client: 30_000,
            calls: CallsSeen {
                callers: BTreeMap::from([("127.0.0.1".into(), 3)]),
                answered: 10,
                failed: 1,
                p50: Some(Span::from_micros(201_234)),
                p99: Some(Span::from_micros(209_876)),
                ..CallsSeen::default()
            },
            rate: 9.6,
            faults: vec![
                seen(vec![stretch(1, 2), stretch(4, 6)], Tally { connections: 2, hits: 8, bytes: 4_000 }),
                FaultSeen { number: 2, switch: Switch::Off, ..seen(vec![], Tally::default()) },
            ],
        }
    }

    #[test]
    fn one_line_says_what_goes_on_and_which_key_does_what() {
        assert_eq!(
            sight().line(),
            "    12s  1 open of 3  10/s  p50 201ms  1 bad  2kB out 30kB back  [1*latency 200ms]  [2 latency 200ms]"
        );
    }

    #[test]
    fn of_callers_that_are_sat_in_on_the_summary_names_each() {
        let callers = vec![CallerSeen { name: "shop-web-1".into(), pid: 4711, destinations: Vec::new() }];
        let attached = AttachedSeen {
            from: "web".into(),
            open_connections: OpenConnections::Cut,
            callers,
            not_taken_back: Vec::new(),
        };
        let sight = Sight { listen: None, attached: Some(attached), ..sight() };
        let text = sight.summary();
        assert!(text.starts_with("web -> 127.0.0.1:2: 3 connections"), "{text}");
        assert!(text.contains("  sat in on   shop-web-1 (process 4711)\n"), "{text}");
    }

    #[test]
    fn the_summary_says_what_was_done_to_whom() {
        assert_eq!(
            sight().summary(),
            "127.0.0.1:1 -> 127.0.0.1:2: 3 connections in 12.3s, 2kB to the dependency, 30kB back\n\
             \x20 caller      127.0.0.1: 3 connections\n\
             \x20 calls       10 answered (p50 201ms, p99 210ms), 1 failed\n\
             \x20 fault       latency 200ms: 3s on, hit 2 connections, 8 times, 4kB\n\
             \x20 fault       latency 200ms: never switched on\n"
        );
    }
}
