//! A number of things, in words.

/// `1 call`, `2 calls`: for things whose plural ends with an s.
pub fn plural(count: u64, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_alone_has_no_s() {
        assert_eq!([0, 1, 2].map(|count| plural(count, "fault")), ["0 faults", "1 fault", "2 faults"]);
    }
}
