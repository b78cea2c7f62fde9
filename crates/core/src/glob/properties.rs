//! What holds of all globs: they match as a plain matcher does that is written from the words, alternatives match what one of them
//! matches, and no text is too odd to be read or refused.

use proptest::prelude::*;

use super::tests::{apart, joined};
use super::{Glob, GlobError, Slashes};

/// One sign of a segment.
#[derive(Debug, Clone)]
enum Sign {
    Itself(char),
    Any,
    Some,
    OneOf { but: bool, these: Vec<char> },
}

/// A segment; `None` is two stars.
type Segment = Option<Vec<Sign>>;

fn written(segments: &[Segment]) -> String {
    let sign = |sign: &Sign| match sign {
        Sign::Itself(sign) => sign.to_string(),
        Sign::Any => "?".to_owned(),
        Sign::Some => "*".to_owned(),
        Sign::OneOf { but, these } => {
            format!("[{}{}]", if *but { "!" } else { "" }, these.iter().collect::<String>())
        }
    };
    let one = |segment: &Segment| match segment {
        None => "/**".to_owned(),
        Some(signs) => format!("/{}", signs.iter().map(sign).collect::<String>()),
    };
    segments.iter().map(one).collect()
}

/// The same as a matcher, as one would write it from the words.
fn is_like(segments: &[Segment], parts: &[Vec<char>]) -> bool {
    match (segments, parts) {
        ([], rest) => rest.is_empty(),
        ([None], rest) => !rest.is_empty(),
        ([None, others @ ..], rest) => (0..=rest.len()).any(|skipped| is_like(others, &rest[skipped..])),
        ([Some(_), ..], []) => false,
        ([Some(signs), others @ ..], [part, rest @ ..]) => reads(signs, part) && is_like(others, rest),
    }
}

fn reads(signs: &[Sign], text: &[char]) -> bool {
    match (signs, text) {
        ([], text) => text.is_empty(),
        ([Sign::Some, others @ ..], text) => (0..=text.len()).any(|skipped| reads(others, &text[skipped..])),
        (_, []) => false,
        ([sign, others @ ..], [first, rest @ ..]) => {
            let fits = match sign {
                Sign::Itself(sign) => sign == first,
                Sign::Any | Sign::Some => true,
                Sign::OneOf { but, these } => these.contains(first) != *but,
            };
            fits && reads(others, rest)
        }
    }
}

fn segment() -> impl Strategy<Value = Segment> {
    let sign = prop_oneof![
        4 => prop::sample::select(vec!['a', 'b', '.', '+']).prop_map(Sign::Itself),
        1 => Just(Sign::Any),
        1 => Just(Sign::Some),
        1 => (any::<bool>(), prop::collection::vec(prop::sample::select(vec!['a', 'b', '.']), 1..3))
            .prop_map(|(but, these)| Sign::OneOf { but, these }),
    ];
    let signs = prop::collection::vec(sign, 0..4).prop_map(|mut signs| {
        // Two stars are another thing.
        signs.dedup_by(|one, other| matches!((one, other), (Sign::Some, Sign::Some)));
        Some(signs)
    });
    prop_oneof![1 => Just(None), 3 => signs]
}

proptest! {
    #[test]
    fn a_glob_of_segments_matches_as_a_matcher_of_segments(
        segments in prop::collection::vec(segment(), 1..5),
        parts in prop::collection::vec("[ab.+]{0,3}", 1..5),
    ) {
        let path: String = parts.iter().map(|part| format!("/{part}")).collect();
        let parts: Vec<Vec<char>> = parts.iter().map(|part| part.chars().collect()).collect();
        prop_assert_eq!(apart(&written(&segments), &path), is_like(&segments, &parts));
    }

    #[test]
    fn alternatives_match_what_one_of_them_matches(
        before in prop::collection::vec(segment(), 0..2),
        either in prop::collection::vec(prop::collection::vec(segment(), 1..3), 1..4),
        parts in prop::collection::vec("[ab.+]{0,2}", 1..5),
    ) {
        let path: String = parts.iter().map(|part| format!("/{part}")).collect();
        let (before, either) = (written(&before), either.iter().map(|one| written(one)).collect::<Vec<_>>());
        let each = either.iter().any(|one| apart(&format!("{before}{one}"), &path));
        // With the slash before them, and within each of them.
        let shared: Vec<&str> = either.iter().map(|one| &one[1..]).collect();
        prop_assert_eq!(apart(&format!("{before}/{{{}}}", shared.join(",")), &path), each);
        // Before alternatives two stars are one: whether their segment ends there is said by each differently.
        if !before.ends_with("**") {
            prop_assert_eq!(apart(&format!("{before}{{{}}}", either.join(",")), &path), each);
        }
    }

    #[test]
    fn alternatives_within_a_path_match_what_one_of_them_matches(
        before in prop::collection::vec(segment(), 0..2),
        groups in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(segment(), 1..3), 1..3), 1..3),
        behind in prop::collection::vec(segment(), 1..3),
        parts in prop::collection::vec("[ab.+]{0,2}", 1..5),
    ) {
        let path: String = parts.iter().map(|part| format!("/{part}")).collect();
        let (before, behind) = (written(&before), written(&behind));
        let ones: Vec<Vec<String>> =
            groups.iter().map(|group| group.iter().map(|one| written(one)[1..].to_owned()).collect()).collect();
        // Alternatives of alternatives are all of them.
        let nested = ones.iter().map(|group| format!("{{{}}}", group.join(","))).collect::<Vec<_>>().join(",");
        let each = ones.iter().flatten().any(|one| apart(&format!("{before}/{one}{behind}"), &path));
        prop_assert_eq!(apart(&format!("{before}/{{{nested}}}{behind}"), &path), each, "{}", nested);
    }

    #[test]
    fn a_class_in_a_path_takes_what_it_names_less_the_slash(
        but in any::<bool>(),
        ranges in prop::collection::vec(("[+-2]", "[+-2]"), 1..4),
        sign in "[+-2]",
    ) {
        let ranges: Vec<(String, String)> =
            ranges.into_iter().map(|(one, other)| if one <= other { (one, other) } else { (other, one) }).collect();
        // A sign of its own meaning stands first or last; a range says both ends.
        let class: String = ranges.iter().map(|(from, to)| format!("{from}-{to}")).collect();
        let within = ranges.iter().any(|(from, to)| (from..=to).contains(&&sign));
        let glob = format!("[{}{class}]", if but { "!" } else { "" });
        prop_assert_eq!(joined(&glob, &sign), within != but, "{}", glob);
        prop_assert_eq!(apart(&glob, &sign), within != but && sign != "/", "{}", glob);
    }

    #[test]
    fn any_text_is_read_or_refused(glob in "\\PC{0,24}", text in "\\PC{0,24}") {
        for slashes in [Slashes::Apart, Slashes::Joined] {
            match Glob::new(&glob, slashes) {
                Ok(glob) => drop(glob.matches(&text)),
                // Nothing so short is too much: what is refused has a place.
                Err(error) => prop_assert_ne!(error, GlobError::TooLarge),
            }
        }
    }

    #[test]
    fn a_text_with_every_sign_escaped_matches_itself_alone(text in "[a-z*?\\[\\]{},\\\\.^$|/!-]{1,12}", other in "[a-z]{1,12}") {
        let escaped: String = text.chars().flat_map(|sign| ['\\', sign]).collect();
        prop_assert!(joined(&escaped, &text));
        prop_assert_eq!(apart(&escaped, &other), text == other);
    }
}
