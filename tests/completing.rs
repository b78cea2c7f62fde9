//! Completions, as bash asks for them.

use crate::bench::Bench;

/// What bash is told for these words behind a command, parted as bash parts them. The bench has the completions in `murphy.bash`.
pub fn completed(bench: &Bench, api: &str, command: &str, words: &[&str]) -> String {
    // `liar` stands in for a `murphy known` that leaves no name out.
    let line = format!(
        "liar() {{ printf '%s\\n' '$(touch pwned)' '*' real; }}; . ./murphy.bash; \
         COMP_WORDS=({command} {}); COMP_CWORD={}; \
         _murphy_known \"${{COMP_WORDS[0]}}\" \"${{COMP_WORDS[COMP_CWORD]}}\"; echo \"${{COMPREPLY[@]}}\"",
        words.join(" "),
        words.len()
    );
    let mut shell = std::process::Command::new("bash");
    shell.args(["-c", &line]).current_dir(bench.path()).env("MURPHY_API", api);
    String::from_utf8(shell.output().expect("bash").stdout).expect("text").trim().to_owned()
}
