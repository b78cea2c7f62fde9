//! The Markdown report through the renderer of GitHub's dialect: its tables are tables, and what a run is called is text.

use std::io::Write;
use std::process::{Command, Stdio};

use murphy_core::{Quantile, Rule, Served, Span, Subject, SuccessRule};
use murphy_report::markdown;
use murphy_testkit::golden::{Break, Caller, Golden};
use murphy_verdict::{Judgement, judge};

/// A run that fails one row, holds another, and has a name that means something to Markdown and to HTML.
fn judgement(name: &str) -> Judgement {
    let users = || Subject::Load(Golden::load());
    let least = SuccessRule::AtLeast("99%".parse().unwrap());
    let golden = Golden::new(name, Caller::careless(), Break::Latency(Span::from_millis(800)))
        .expect("browse.success", users(), Rule::Success { rule: least, may: vec![Served::Stale] }, ">= 99%")
        .expect(
            "browse.p99",
            users(),
            Rule::Latency { quantile: Quantile::P99, at_most: Span::from_millis(600) },
            "<= 600ms",
        );
    judge(&golden.journal())
}

/// What a reader of the summary is shown, as HTML.
fn rendered(markdown: &str) -> Option<String> {
    let mut command = Command::new("cmark-gfm");
    command.args(["--unsafe", "--extension", "table"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        murphy_testkit::skip("there is no cmark-gfm on the PATH");
        return None;
    };
    child.stdin.take().unwrap().write_all(markdown.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(String::from_utf8(output.stdout).unwrap())
}

/// The text between tags.
fn text(html: &str) -> String {
    let mut text = String::new();
    for part in html.split('<') {
        text.push_str(part.split_once('>').map_or(part, |(_, after)| after));
    }
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

#[test]
fn the_summary_is_a_table_with_a_row_for_each_expectation() {
    let judgement = judgement("a slow cart cache");
    let Some(html) = rendered(&markdown(&judgement)) else { return };
    assert_eq!(html.matches("<table>").count(), 1, "{html}");
    assert_eq!(html.matches("<tr>").count(), judgement.rows.len() + 1, "{html}");
    assert_eq!(html.matches("<td").count(), judgement.rows.len() * 6, "{html}");
    assert!(html.contains("<h2>a slow cart cache: NOT GRACEFUL (1 of 2)</h2>"), "{html}");
    assert!(
        html.contains("<strong>FAIL</strong>") && html.contains("<strong>why browse p99 failed:</strong>"),
        "{html}"
    );
    for row in &judgement.rows {
        for reading in [&row.baseline, &row.during, &row.after].into_iter().flatten() {
            let said = reading.text.split_whitespace().collect::<Vec<_>>().join(" ");
            let shown = text(&html).split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(shown.contains(&said), "{said} is not in {shown}");
        }
    }
    assert!(
        html.contains("<pre><code class=\"language-sh\">murphy run cart.yaml --seed 7"),
        "the command to do it again is code: {html}"
    );
}

#[test]
fn a_name_is_text_whatever_it_is() {
    let name =
        "a | b `c` <script>alert(1)</script> [x](http://127.0.0.1:1/) **bold** &lt; &amp; ![i](j) # ~~no~~";
    let judgement = judgement(name);
    let Some(html) = rendered(&markdown(&judgement)) else { return };
    for tag in ["<script", "<a ", "<img", "<code>c", "<strong>bold", "<del>"] {
        assert!(!html.contains(tag), "{tag} came through: {html}");
    }
    assert!(text(&html).contains(&format!("{name}: NOT GRACEFUL")), "{}", text(&html));
}
