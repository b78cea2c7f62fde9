//! `murphy completions SHELL`: completions from the same definitions as the parser, and from what runs: a few lines behind what is
//! generated ask `murphy known` for the names of proxies, faults and containers.

use clap::CommandFactory;
use clap_complete::Shell;

use super::print;
use crate::args::{Cli, CompletionsArgs};
use crate::exit::Exit;

/// Where there are names, they are what is meant; else what the parser knows. Names come from a daemon, so nothing here may expand
/// one: `compgen -W` would carry out a `$(…)`. Bash parts words at `:` and `=`, and completes only the last part.
const BASH: &str = r#"
_murphy_known() {
    _murphy "$@"
    local piece name last="${COMP_WORDS[1]}" before="" cur
    local -a whole=() names=()
    for piece in "${COMP_WORDS[@]:2:COMP_CWORD-1}"; do
        if [[ $piece =~ ^[:=]+$ || $last =~ ^[:=]+$ ]]; then
            before+=$last
        else
            whole+=("$before$last")
            before=""
        fi
        last=$piece
    done
    cur=$before$last
    [[ $cur == -* ]] && return 0
    [[ $last =~ ^[:=]+$ ]] && before=$cur
    while IFS= read -r name; do
        names+=("$name")
    done < <("${COMP_WORDS[0]}" known -- "${whole[@]}" 2>/dev/null)
    (( ${#names[@]} )) || return 0
    COMPREPLY=()
    for name in "${names[@]}"; do
        [[ $name == "$cur"* ]] && COMPREPLY+=("${name#"$before"}")
    done
    return 0
}
complete -F _murphy_known -o bashdefault -o default murphy
"#;
const ZSH: &str = r#"
_murphy_known() {
    local -a names
    [[ $words[CURRENT] == -* ]] || names=(${(f)"$($words[1] known -- ${words[2,CURRENT-1]} 2>/dev/null)"})
    if (( $#names )); then compadd -- $names; else _murphy "$@"; fi
}
compdef _murphy_known murphy
"#;
const FISH: &str = "complete -c murphy -a '(murphy known -- (commandline -opc)[2..-1] 2>/dev/null)'\n";

/// Prints them.
pub fn run(args: &CompletionsArgs) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "murphy", &mut script);
    print(&String::from_utf8_lossy(&script));
    match args.shell {
        Shell::Bash => print(BASH),
        Shell::Zsh => print(ZSH),
        Shell::Fish => print(FISH),
        _ => {}
    }
    Exit::Graceful
}
