//! What stands between fences on a page: what its reader types, writes into files and sees.

/// The fenced blocks of a page: the words behind each fence, and the text.
pub fn fenced(page: &str) -> Vec<(Vec<String>, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(Vec<String>, String)> = None;
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => {
                open = Some((info.split_whitespace().map(str::to_owned).collect(), String::new()));
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some((_, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}
