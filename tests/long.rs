//! A scenario of as many lines as one likes: for what must stay quick when a team's file has grown.

use std::fmt::Write;

/// A good scenario of `lines` lines (at least 20): edges, loads and faults in equal parts, and an expectation for each load.
pub fn long_scenario(lines: usize) -> String {
    let mut text = String::from("murphy: 1\nname: a long one\nprofile: ci\n");
    let entries = lines.saturating_sub(7) / 4;
    text += "edges:\n";
    for n in 0..entries {
        let _ =
            writeln!(text, "  dep{n}: {{ listen: \"127.0.0.1:{}\", to: \"127.0.0.1:6379\" }}", 10_000 + n);
    }
    text += "load:\n";
    for n in 0..entries {
        let _ = writeln!(text, "  read{n}: {{ http: \"GET http://127.0.0.1:8000/items/{n}\", rate: 30/s }}");
    }
    text += "faults:\n";
    for n in 0..entries {
        let _ = writeln!(text, "  - {{ edge: dep{n}, inject: {{ latency: 800ms }}, at: 1s, for: 20s }}");
    }
    text += "expect:\n";
    for n in 0..entries {
        let _ = writeln!(text, "  read{n}: {{ success: \">= 99%\" }}");
    }
    for n in text.lines().count()..lines {
        let _ = writeln!(text, "# {n}");
    }
    text
}
