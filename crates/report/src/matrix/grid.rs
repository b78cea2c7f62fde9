//! An exploration as a grid: a row for each edge, a column for each fault. What broke two edges at once has no place in it.

use super::{Cell, LeftOut, Matrix};

/// What is known of one fault on one edge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Spot<'a> {
    /// It was run. The number is its place among the cells of the matrix.
    Tried(usize, &'a Cell),
    /// It was not.
    LeftOut(&'a LeftOut),
    /// It was not asked for, or cannot be put on that edge.
    Nothing,
}

/// Edges against faults.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Grid<'a> {
    /// The heads of the columns.
    pub faults: Vec<&'a str>,
    /// The name of an edge, and as many spots as there are columns.
    pub rows: Vec<(&'a str, Vec<Spot<'a>>)>,
    /// What was broken together with something else, with its place among the cells.
    pub pairs: Vec<(usize, &'a Cell)>,
}

impl<'a> Grid<'a> {
    pub(crate) fn of(matrix: &'a Matrix) -> Grid<'a> {
        let (mut faults, mut edges): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
        let mut pairs = Vec::new();
        let seen = |known: &mut Vec<&'a str>, name: &'a str| {
            if !known.contains(&name) {
                known.push(name);
            }
        };
        for (number, cell) in matrix.cells.iter().enumerate() {
            if cell.is_single() {
                seen(&mut faults, &cell.fault);
                seen(&mut edges, &cell.edge);
            } else {
                pairs.push((number, cell));
            }
        }
        for out in matrix.left_out.iter().filter(|out| out.is_single()) {
            seen(&mut faults, &out.fault);
            seen(&mut edges, &out.edge);
        }
        let spot = |edge: &str, fault: &str| {
            let here = |one: &str, other: &str| one == edge && other == fault;
            let tried = matrix.cells.iter().position(|cell| here(&cell.edge, &cell.fault));
            match tried {
                Some(number) => Spot::Tried(number, &matrix.cells[number]),
                None => matrix
                    .left_out
                    .iter()
                    .find(|out| here(&out.edge, &out.fault))
                    .map_or(Spot::Nothing, Spot::LeftOut),
            }
        };
        let rows = edges.iter().map(|edge| (*edge, faults.iter().map(|fault| spot(edge, fault)).collect()));
        Grid { rows: rows.collect(), faults, pairs }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::matrix::Users;
    use murphy_core::{Seed, Verdict};
    use murphy_verdict::DependencyClass;

    fn cell(edge: &str, fault: &str, verdict: Verdict) -> Cell {
        let class = Some(match verdict {
            Verdict::Graceful => DependencyClass::Soft,
            Verdict::NotGraceful => DependencyClass::Hard,
            Verdict::Inconclusive => DependencyClass::Degraded,
        });
        let because = match verdict {
            Verdict::Graceful => Vec::new(),
            _ => vec!["browse success 0/100, want >= 99%".to_owned()],
        };
        let users = vec![Users { load: "browse".into(), class, success: None }];
        Cell { edge: edge.into(), fault: fault.into(), verdict, users, because, run: "runs/1".into() }
    }

    /// Two edges, two faults and a pair; one fault on the second edge was left out.
    pub(in crate::matrix) fn shop() -> Matrix {
        let out = |edge: &str, fault: &str| LeftOut {
            edge: edge.into(),
            fault: fault.into(),
            why: "no time is left".into(),
            rule: None,
        };
        Matrix {
            cells: vec![
                cell("cache", "blackhole", Verdict::Graceful),
                cell("cache", "latency 1s", Verdict::NotGraceful),
                cell("cache + payments", "blackhole + blackhole", Verdict::Graceful),
                cell("payments", "blackhole", Verdict::Graceful),
            ],
            left_out: vec![out("payments", "latency 1s"), out("cache", "pairs with latency 1s")],
            ..Matrix::new("a <shop>", Seed(7))
        }
    }

    #[test]
    fn edges_are_rows_faults_are_columns_and_pairs_stand_apart() {
        let matrix = shop();
        let grid = Grid::of(&matrix);
        assert_eq!(grid.faults, ["blackhole", "latency 1s"]);
        let [(cache, first), (payments, second)] = &grid.rows[..] else { panic!("{grid:?}") };
        assert_eq!((*cache, *payments), ("cache", "payments"));
        assert!(matches!(first[..], [Spot::Tried(0, _), Spot::Tried(1, _)]), "{first:?}");
        assert!(matches!(second[..], [Spot::Tried(3, _), Spot::LeftOut(_)]), "{second:?}");
        assert!(matches!(grid.pairs[..], [(2, _)]), "{:?}", grid.pairs);
    }
}
