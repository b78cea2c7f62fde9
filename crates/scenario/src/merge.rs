//! Sections of several files → one tree: blocks key by key, lists one after the other, of single values one.

use std::collections::HashMap;

use crate::diagnostic::Findings;
use crate::node::{Entry, Kind, Node, shortened};

/// What holds if two files say the same thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rank {
    /// The second includes the first, and wins.
    Above,
    /// One file includes both: a contradiction.
    Beside,
}

/// Puts the keys of a file over those of another.
pub(crate) fn merge(
    under: Vec<Entry>,
    over: Vec<Entry>,
    rank: Rank,
    findings: &mut Findings<'_>,
) -> Vec<Entry> {
    join(under, over, findings, |below, entry, findings| {
        let Entry { key, key_region, value } = entry;
        let Node { id, region, kind } = value;
        let kind = match (below.value.kind, kind) {
            (Kind::Map(below), Kind::Map(own)) => {
                let settle = |below: Entry, own: Entry, findings: &mut Findings<'_>| {
                    if rank == Rank::Beside {
                        contradiction(&below, &own, findings);
                    }
                    own
                };
                Kind::Map(join(below, own, findings, settle))
            }
            (Kind::List(mut below), Kind::List(own)) => {
                below.extend(own);
                Kind::List(below)
            }
            (Kind::Scalar(below_value), Kind::Scalar(own)) => {
                if rank == Rank::Beside && below_value.text != own.text {
                    said_twice(&key, below.key_region, key_region, findings);
                }
                Kind::Scalar(own)
            }
            (below_kind, own) => {
                let own = Node { id, region, kind: own };
                let other = Node { id, region, kind: below_kind };
                // A key without a value is told later, as in every file.
                if !own.scalar().is_some_and(|scalar| scalar.is_absent()) {
                    findings
                        .error(key_region, format!("`{}` is {} here", shortened(&key), own.noun()))
                        .also(below.key_region, format!("{} here", other.noun()))
                        .help("write both in the same form");
                }
                own.kind
            }
        };
        Entry { key, key_region, value: Node { id, region, kind } }
    })
}

/// The entries of both, in order; `settle` makes one of two with the same key.
fn join(
    mut under: Vec<Entry>,
    over: Vec<Entry>,
    findings: &mut Findings<'_>,
    settle: impl Fn(Entry, Entry, &mut Findings<'_>) -> Entry,
) -> Vec<Entry> {
    let index: HashMap<String, usize> =
        under.iter().enumerate().map(|(at, entry)| (entry.key.clone(), at)).collect();
    for entry in over {
        match index.get(&entry.key) {
            Some(at) => {
                let below = under[*at].clone();
                under[*at] = settle(below, entry, findings);
            }
            None => under.push(entry),
        }
    }
    under
}

fn contradiction(below: &Entry, own: &Entry, findings: &mut Findings<'_>) {
    let alike = match (below.value.scalar(), own.value.scalar()) {
        (Some(below), Some(own)) => below.text == own.text,
        _ => false,
    };
    if !alike {
        said_twice(&own.key, below.key_region, own.key_region, findings);
    }
}

fn said_twice(
    key: &str,
    first: crate::source_map::Region,
    second: crate::source_map::Region,
    findings: &mut Findings<'_>,
) {
    findings
        .error(second, format!("two included files both say `{}`", shortened(key)))
        .label("again here")
        .also(first, "first here")
        .help("remove one of the two, or say it in the file that includes both: that one wins");
}
