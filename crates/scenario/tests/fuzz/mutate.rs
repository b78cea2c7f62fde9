//! Mistakes: what is lost, doubled, moved, exchanged or put in while somebody writes a scenario, and what somebody hostile puts in.

use std::collections::BTreeSet;

use murphy_core::Dice;

/// Longer texts are for `hostile.rs`: here many are tried.
const LONGEST: usize = 20_000;

/// What has a meaning in YAML or in the language, or is at the edge of a number.
const HOSTILE: &[&str] = &[
    "&a ",
    "*a",
    "<<: *a",
    "!!binary ",
    "!x ",
    "? ",
    "- ",
    ": ",
    "| ",
    ">-\n",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\"",
    "'",
    "\\",
    "#",
    "\t",
    "\r",
    "\n",
    "\u{0}",
    "\u{feff}",
    "\u{2028}",
    "\u{1b}[31m",
    "ü",
    "😀",
    "${A}",
    "${",
    "$${A}",
    "${A:-x}",
    "${.}",
    "${load.id}",
    "null",
    "~",
    "true",
    "[]",
    "{}",
    "-1",
    "0",
    "1e400",
    ".nan",
    ".inf",
    "99999999999999999999",
    "0x10",
    "1ns",
    "0s",
    "5000000h",
    "0.0000001/h",
    "1000000/s",
    "0%",
    "100%",
    "101%",
    "1e-9%",
    "-5ms",
    "\"\"",
    "\"\\0\"",
    "(((((((((((((((a*)*)*)*)*",
    "/(a|a)*b/",
    "[z-a]",
    "{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}",
    "**/**/**",
    "127.0.0.1:0",
    "[::1]:99999",
    "a:b:c",
    "http://",
    "http://[",
    "sql: \"' or 1=1 --\"",
    "$.a[?(@.b)]",
    "$..*",
    "service:",
    "process:1",
    "container:",
    "include: [x.yaml]",
    "matrix: { A: [1, 2, 3, 4] }",
    "murphy: 2",
];

/// What the scenarios themselves are made of.
pub struct Words {
    lines: Vec<String>,
    keys: Vec<String>,
    values: Vec<String>,
}

impl Words {
    pub fn of(corpus: &[String]) -> Words {
        let (mut lines, mut keys, mut values) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for line in corpus.iter().flat_map(|text| text.lines()) {
            lines.insert(line.to_owned());
            for part in line.split(['{', '}', ',']) {
                if let Some((key, value)) = part.split_once(": ") {
                    keys.insert(key.trim().trim_start_matches("- ").to_owned());
                    values.insert(value.trim().to_owned());
                }
            }
        }
        let list = |set: BTreeSet<String>| set.into_iter().filter(|text| text.len() < 500).collect();
        Words { lines: list(lines), keys: list(keys), values: list(values) }
    }

    /// A scenario with one to eight mistakes.
    pub fn mistaken(&self, corpus: &[String], dice: &mut Dice) -> String {
        let mut text = pick(corpus, dice).to_owned();
        for _ in 0..=dice.below(8) {
            text = self.mistake(text, corpus, dice);
            text.truncate(
                (0..=LONGEST.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0),
            );
        }
        text
    }

    fn mistake(&self, mut text: String, corpus: &[String], dice: &mut Dice) -> String {
        match dice.below(12) {
            0 => text.insert_str(place(&text, dice), pick(HOSTILE, dice)),
            1 => {
                // A few characters are lost.
                let from = place(&text, dice);
                let to = text[from..].char_indices().nth(1 + dice.below(30) as usize);
                text.replace_range(from..to.map_or(text.len(), |(at, _)| from + at), "");
            }
            2 => text = exchange_value(&text, pick(&self.values, dice), dice),
            3 => text = exchange_value(&text, pick(HOSTILE, dice), dice),
            4 => {
                let from = pick(&self.keys, dice);
                text = text.replacen(from, pick(&self.keys, dice), 1 + dice.below(2) as usize);
            }
            5 => {
                text = with_lines(&text, |lines| drop(lines.remove(dice.below(lines.len() as u64) as usize)))
            }
            6 => {
                text = with_lines(&text, |lines| {
                    let line = lines[dice.below(lines.len() as u64) as usize].clone();
                    lines.insert(dice.below(lines.len() as u64 + 1) as usize, line);
                });
            }
            7 => {
                text = with_lines(&text, |lines| {
                    let at = dice.below(lines.len() as u64) as usize;
                    lines[at] = format!("{}{}", " ".repeat(dice.below(9) as usize), lines[at].trim_start());
                });
            }
            8 => {
                let line = pick(&self.lines, dice).to_owned();
                text = with_lines(&text, |lines| {
                    lines.insert(dice.below(lines.len() as u64 + 1) as usize, line)
                });
            }
            9 => {
                // The beginning of one and the end of another.
                let other = pick(corpus, dice);
                text = format!("{}{}", &text[..place(&text, dice)], &other[place(other, dice)..]);
            }
            10 => {
                // A piece many times over.
                let (from, to) = (place(&text, dice), place(&text, dice));
                let piece = text[from.min(to)..from.max(to)].repeat(1 + dice.below(40) as usize);
                text.insert_str(from.max(to), &piece);
            }
            _ => {
                let word = pick(HOSTILE, dice).repeat(1 + dice.below(200) as usize);
                text = exchange_value(&text, &word, dice);
            }
        }
        text
    }
}

fn pick<'a, T: AsRef<str>>(all: &'a [T], dice: &mut Dice) -> &'a str {
    all[dice.below(all.len() as u64) as usize].as_ref()
}

/// A place between two characters.
fn place(text: &str, dice: &mut Dice) -> usize {
    let at = dice.below(text.len() as u64 + 1) as usize;
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Another value where one stands between `: ` and the next sign that ends it.
fn exchange_value(text: &str, value: &str, dice: &mut Dice) -> String {
    let starts: Vec<usize> = text.match_indices(": ").map(|(at, _)| at + 2).collect();
    if starts.is_empty() {
        return format!("{text}a: {value}\n");
    }
    let start = starts[dice.below(starts.len() as u64) as usize];
    let end = text[start..].find([',', '}', '\n']).map_or(text.len(), |length| start + length);
    format!("{}{value}{}", &text[..start], &text[end..])
}

fn with_lines(text: &str, change: impl FnOnce(&mut Vec<String>)) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.is_empty() {
        lines.push(String::new());
    }
    change(&mut lines);
    lines.join("\n")
}
