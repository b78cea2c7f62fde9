//! `${login.token}`: what the probe `login` captured as `token`. Unlike `${NAME}`, it is filled in while the scenario runs, for
//! each question and request anew.

use std::ops::Range;

/// Every such reference in a text: where it stands, and its name.
pub(crate) fn references(text: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let start = from + text[from..].find("${")?;
            let end = start + text[start..].find('}')?;
            let name = &text[start + 2..end];
            // The next one may begin inside of what is none.
            from = start + 2;
            if is_reference(name) {
                from = end + 1;
                return Some((start..end + 1, name));
            }
        }
    })
}

/// True if what stands between `${` and `}` is the name of a probe and of what it captures.
pub(crate) fn is_reference(inside: &str) -> bool {
    let letters = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    inside.rsplit_once('.').is_some_and(|(probe, name)| letters(probe) && letters(name))
}

/// The text with every reference replaced by what `value` knows of it.
///
/// # Errors
/// The first name of which `value` knows nothing.
pub(crate) fn fill_captured(text: &str, value: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for (place, name) in references(text) {
        out.push_str(&text[at..place.start]);
        out.push_str(&value(name).ok_or_else(|| name.to_owned())?);
        at = place.end;
    }
    out.push_str(&text[at..]);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<String, String> {
        fill_captured(text, &|name| (name == "log-in.token").then(|| "${log-in.token}".to_owned()))
    }

    #[test]
    fn each_reference_is_filled_once_and_nothing_else() {
        assert_eq!(filled("a ${log-in.token}b${log-in.token}").unwrap(), "a ${log-in.token}b${log-in.token}");
        for text in ["", "${", "${}", "${a}", "${.a}", "${a.}", "$log.in", "${a b.c}", "{a.b}", "${a.b"] {
            assert_eq!(filled(text).unwrap(), text);
        }
        assert_eq!(filled("${ ${log-in.tokn}").unwrap_err(), "log-in.tokn");
    }
}
