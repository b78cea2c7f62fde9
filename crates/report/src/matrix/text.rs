//! An exploration as lines for a terminal and a CI log.

use murphy_core::Verdict;

use super::Matrix;
use crate::columns::cell;
use crate::style::{Style, Tone};

/// Width of what is told of the users of a load.
const USERS: usize = 30;

impl Matrix {
    /// As lines for a terminal and a CI log.
    pub fn text(&self, style: Style) -> String {
        let mut text = format!("{}: {}\n", style.clean(&self.scenario), self.extent());
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
                line += &cell(&users.text(), USERS);
            }
            text += line.trim_end();
            text.push('\n');
            for why in &one.because {
                text += &format!("   {}\n", style.clean(why));
            }
        }
        for out in &self.left_out {
            text += &format!("left out: {}\n", style.clean(&out.text()));
        }
        for remark in self.remarks() {
            text += &format!("{}\n", style.clean(&remark));
        }
        if let Some(why) = &self.stopped {
            text += &format!("stopped: {}\n", style.clean(why));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::{Cell, LeftOut};
    use murphy_core::{Rule, Seed, Served, Subject, SuccessRule};
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
        let (edge, fault, why) = ("redis".into(), "refuse".into(), "no time is left".into());
        let left_out = LeftOut { edge, fault, why, rule: None };
        let matrix = Matrix {
            cells: vec![hanging(Caller::careless()), hanging(Caller::careful())],
            left_out: vec![left_out],
            stopped: Some("no time is left".into()),
            ..Matrix::new("a shop", Seed(7))
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
