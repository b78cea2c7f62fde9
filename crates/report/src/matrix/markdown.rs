//! An exploration for a pull request or a job summary: the grid, then what did not hold and what was left out.

use std::fmt::Write;

use murphy_core::Verdict;

use super::{Cell, Grid, Matrix, Spot};
use crate::markdown::plain;

impl Matrix {
    /// As Markdown.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("writing to a string cannot fail");
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "## {}: what breaks what\n\n{}\n", plain(&self.scenario), self.extent())?;
        let grid = Grid::of(self);
        if !grid.rows.is_empty() {
            let heads: Vec<String> = grid.faults.iter().map(|fault| plain(fault)).collect();
            writeln!(out, "| edge | {} |\n|---|{}", heads.join(" | "), "---|".repeat(heads.len()))?;
        }
        for (edge, spots) in &grid.rows {
            write!(out, "| **{}** |", plain(edge))?;
            for spot in spots {
                match spot {
                    Spot::Tried(_, cell) => write!(out, " {} |", outcome(cell))?,
                    Spot::LeftOut(_) => write!(out, " left out |")?,
                    Spot::Nothing => write!(out, " |")?,
                }
            }
            writeln!(out)?;
        }
        if !grid.pairs.is_empty() {
            writeln!(out, "\n| two edges at once | faults | |\n|---|---|---|")?;
        }
        for (_, cell) in &grid.pairs {
            writeln!(out, "| {} | {} | {} |", plain(&cell.edge), plain(&cell.fault), outcome(cell))?;
        }
        writeln!(out)?;
        for cell in &self.cells {
            let on = format!("{} on {}", plain(&cell.fault), plain(&cell.edge));
            for why in &cell.because {
                writeln!(out, "- {on}: {} ({})", plain(why), plain(&cell.run))?;
            }
        }
        for left in &self.left_out {
            writeln!(out, "- left out: {}", plain(&left.text()))?;
        }
        for remark in self.remarks() {
            writeln!(out, "- {}", plain(&remark))?;
        }
        if let Some(why) = &self.stopped {
            writeln!(out, "- **stopped:** {}", plain(why))?;
        }
        Ok(())
    }
}

/// The verdict, and how the users of each load fared, in one field of a table.
fn outcome(cell: &Cell) -> String {
    let verdict = match cell.verdict {
        Verdict::Graceful => "graceful".to_owned(),
        Verdict::NotGraceful => "**NOT GRACEFUL**".to_owned(),
        Verdict::Inconclusive => "*inconclusive*".to_owned(),
    };
    let users = cell.users.iter().map(|users| format!("<br>{} {}", plain(&users.load), plain(&users.text())));
    verdict + &users.collect::<String>()
}

#[cfg(test)]
mod tests {
    use crate::matrix::grid::tests::shop;

    #[test]
    fn a_table_shows_every_edge_against_every_fault_and_reasons_follow() {
        let text = shop().markdown();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "## a \\<shop\\>: what breaks what");
        assert_eq!(lines[4..6], ["| edge | blackhole | latency 1s |", "|---|---|---|"]);
        assert_eq!(lines[6], "| **cache** | graceful<br>browse soft | **NOT GRACEFUL**<br>browse hard |");
        assert_eq!(lines[7], "| **payments** | graceful<br>browse soft | left out |");
        assert!(
            text.contains("| cache + payments | blackhole + blackhole | graceful<br>browse soft |"),
            "{text}"
        );
        assert!(
            text.contains("- latency 1s on cache: browse success 0/100, want \\>= 99% (runs/1)"),
            "{text}"
        );
        assert!(text.contains("- left out: latency 1s on payments: no time is left"), "{text}");
    }
}
