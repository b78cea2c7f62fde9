//! What an exploration found: for each edge and each fault on it, how the users fared.

use murphy_core::{Answer, Seed, Subject, Verdict};
use murphy_verdict::{DependencyClass, Detector, Judgement, Reading, RowKind};
use serde::Serialize;

use crate::columns::cell;
use crate::style::{Style, Tone};

/// Edge and fault against outcome.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Matrix {
    /// Version of this form.
    pub format: u32,
    /// The scenario.
    pub scenario: String,
    /// Root of all choices.
    pub seed: Seed,
    /// What was run.
    pub cells: Vec<Cell>,
    /// What was not.
    pub left_out: Vec<LeftOut>,
    /// Why it ended before its end, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
}

/// One fault on one edge.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Cell {
    /// Where.
    pub edge: String,
    /// What, as printed: `latency 1s`.
    pub fault: String,
    /// Whether what the scenario asks for its users held.
    pub verdict: Verdict,
    /// How each load fared.
    pub users: Vec<Users>,
    /// What did not hold, or why it could not be told: one sentence each.
    pub because: Vec<String>,
    /// The run's directory.
    pub run: String,
}

/// How the users of one load fared during the fault.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Users {
    /// Which load.
    pub load: String,
    /// What they can do without the edge; `None` where it was not told.
    pub class: Option<DependencyClass>,
    /// The share that was answered; `None` where it was not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success: Option<Reading>,
}

/// One fault on one edge that was not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Where.
    pub edge: String,
    /// What.
    pub fault: String,
    /// Why, with what is taken for granted by it.
    pub why: String,
}

impl Cell {
    /// Of a judged run.
    pub fn of(edge: &str, fault: String, judgement: &Judgement, run: String) -> Cell {
        let mut users = Vec::new();
        for finding in &judgement.findings {
            let (Detector::Dependency, Subject::Load(load)) = (finding.detector, &finding.subject) else {
                continue;
            };
            let success = finding.param("success").cloned();
            users.push(Users { load: load.to_string(), class: finding.class(), success });
        }
        let rows = |wanted: Answer| judgement.rows.iter().filter(move |row| row.answer == wanted);
        let because = match judgement.verdict {
            Verdict::Graceful => Vec::new(),
            Verdict::NotGraceful => rows(Answer::Fail)
                .map(|row| match (row.kind, &row.during) {
                    (RowKind::Alive, _) | (_, None) => format!("{}: {}", row.label, row.reason),
                    (_, Some(during)) => format!("{} {}, want {}", row.label, during.text, row.want),
                })
                .collect(),
            Verdict::Inconclusive => {
                let gates = judgement.gates.iter().filter(|gate| !gate.holds).map(|gate| gate.text.clone());
                let rows = rows(Answer::Inconclusive).map(|row| format!("{}: {}", row.label, row.reason));
                rows.chain(gates).take(2).collect()
            }
        };
        Cell { edge: edge.to_owned(), fault, verdict: judgement.verdict, users, because, run }
    }
}

impl Matrix {
    /// The form that this build writes.
    pub const FORMAT: u32 = 1;

    /// As lines for a terminal and a CI log.
    pub fn text(&self, style: Style) -> String {
        let mut text = format!(
            "{}: {} tried, {} left out, seed {}\n",
            style.clean(&self.scenario),
            self.cells.len(),
            self.left_out.len(),
            self.seed
        );
        let width =
            |texts: &mut dyn Iterator<Item = &String>| texts.map(|text| text.chars().count() + 2).max();
        let edge = width(&mut self.cells.iter().map(|cell| &cell.edge)).unwrap_or(0).max(6);
        let fault = width(&mut self.cells.iter().map(|cell| &cell.fault)).unwrap_or(0).max(7);
        let loads = self.cells.first().map(|cell| cell.users.as_slice()).unwrap_or_default();
        let mut heads = format!(" {}{}{}", cell("edge", edge), cell("fault", fault), cell("verdict", 15));
        for users in loads {
            heads += &cell(&format!("users of {}", style.clean(&users.load)), USERS);
        }
        text += &style.tone(Tone::Quiet, heads.trim_end());
        text.push('\n');
        for one in &self.cells {
            let tone = match one.verdict {
                Verdict::Graceful => Tone::Good,
                Verdict::Inconclusive => Tone::Unsure,
                Verdict::NotGraceful => Tone::Bad,
            };
            let verdict = style.tone(tone, &cell(&one.verdict.to_string(), 15));
            let mut line = format!(
                " {}{}{verdict}",
                cell(&style.clean(&one.edge), edge),
                cell(&style.clean(&one.fault), fault)
            );
            for users in &one.users {
                let share = users.success.as_ref().map_or("", |reading| reading.text.as_str());
                let class = users.class.map_or_else(|| "?".to_owned(), |class| class.to_string());
                line += &cell(&format!("{class} {share}"), USERS);
            }
            text += line.trim_end();
            text.push('\n');
            for why in &one.because {
                text += &format!("   {}\n", style.clean(why));
            }
        }
        for out in &self.left_out {
            text += &format!(
                "left out: {} on {}: {}\n",
                out.fault,
                style.clean(&out.edge),
                style.clean(&out.why)
            );
        }
        if let Some(why) = &self.stopped {
            text += &format!("stopped: {}\n", style.clean(why));
        }
        text
    }
}

/// Width of what is told of the users of a load.
const USERS: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;
    use murphy_core::{Rule, Served, SuccessRule};
    use murphy_testkit::golden::{Break, Caller, Golden};

    fn hanging(caller: Caller) -> Cell {
        let may = vec![Served::Stale, Served::Default];
        let rule = Rule::Success { rule: SuccessRule::AtLeast("99%".parse().unwrap()), may };
        let users = Subject::Load(Golden::load());
        let golden = Golden::new("a", caller, Break::Hang).expect("browse.success", users, rule, ">= 99%");
        Cell::of("redis", "blackhole".into(), &murphy_verdict::judge(&golden.journal()), "runs/1".into())
    }

    #[test]
    fn a_line_says_how_users_fared_and_the_next_what_did_not_hold() {
        let left_out =
            LeftOut { edge: "redis".into(), fault: "refuse".into(), why: "no time is left".into() };
        let matrix = Matrix {
            format: Matrix::FORMAT,
            scenario: "a shop".into(),
            seed: Seed(7),
            cells: vec![hanging(Caller::careless()), hanging(Caller::careful())],
            left_out: vec![left_out],
            stopped: Some("no time is left".into()),
        };
        let text = matrix.text(Style::default());
        let lines: Vec<&str> = text.lines().collect();
        let [title, heads, careless, why, careful, left, stopped] = lines[..] else { panic!("{text}") };
        assert_eq!(title, "a shop: 2 tried, 1 left out, seed 7");
        assert!(heads.contains("users of browse"), "{text}");
        assert!(careless.contains("NOT GRACEFUL   hard 0/"), "{text}");
        assert!(why.contains("browse success") && why.contains("want >= 99%"), "{text}");
        assert!(careful.contains("GRACEFUL       soft"), "{text}");
        assert_eq!(left, "left out: refuse on redis: no time is left");
        assert_eq!(stopped, "stopped: no time is left");
        let json = serde_json::to_value(&matrix).unwrap();
        assert_eq!(
            (&json["cells"][0]["verdict"], &json["left-out"][0]["edge"]),
            (&"not-graceful".into(), &"redis".into())
        );
    }
}
