//! The verdict as one HTML file: no network, no library, readable on a phone, in the dark and without scripts. Charts are
//! SVG drawn here from a [`Timeline`]; their size does not grow with the run.

mod chart;
mod matrix;
mod page;
mod scale;
mod verdict;

use crate::matrix::Matrix;
use crate::outcome::{Came, Outcome};
use crate::told::verdict_words;
use page::Page;
pub(crate) use scale::spoken;

/// Renders the outcomes of one invocation, in order, as one document.
pub fn html(outcomes: &[Outcome]) -> String {
    let title = match outcomes {
        [one] => format!("{}: {}", one.scenario, words(one)),
        several => format!("Murphy: {} scenarios", several.len()),
    };
    document(&title, outcomes, &|page| {
        if outcomes.len() != 1 {
            overview(page, outcomes);
        }
    })
}

/// Renders an exploration: its matrix, then the runs of its cells, in their order, so that each outcome leads to its run.
pub fn html_explored(matrix: &Matrix, outcomes: &[Outcome]) -> String {
    let title = format!("{}: what breaks what", matrix.scenario);
    document(&title, outcomes, &|page| matrix::matrix(page, matrix))
}

fn document(title: &str, outcomes: &[Outcome], first: &dyn Fn(&mut Page)) -> String {
    let mut page = Page::default();
    page.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">")
        .raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")
        // Nothing is fetched, whatever a name may hold.
        .raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; ")
        .raw("style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">")
        // Browsers ask for an icon of their own accord; an empty one keeps them from it.
        .raw("<link rel=\"icon\" href=\"data:,\">");
    page.element("<title>", title, "</title>")
        .raw("<style>")
        .raw(include_str!("style.css"))
        .raw("</style></head>\n<body><main>\n");
    first(&mut page);
    for (number, outcome) in outcomes.iter().enumerate() {
        page.put(format_args!("<article id=\"s{number}\" data-run>\n"));
        match &outcome.came {
            Came::Judged { judgement, timeline } => {
                verdict::head(&mut page, judgement);
                verdict::table(&mut page, judgement);
                verdict::why(&mut page, judgement);
                chart::charts(&mut page, timeline);
                verdict::events(&mut page, timeline);
                verdict::rest(&mut page, judgement);
            }
            Came::NotCarriedOut { why } => not_run(&mut page, outcome, why, "bad"),
            Came::NotRun { why } => not_run(&mut page, outcome, why, "unsure"),
        }
        page.raw("</article>\n");
    }
    let version = outcomes.iter().find_map(|outcome| match &outcome.came {
        Came::Judged { judgement, .. } => Some(judgement.run.murphy.as_str()),
        _ => None,
    });
    page.raw("<footer>Murphy ").text(version.unwrap_or_default()).raw("</footer>\n</main>\n<script>");
    page.raw(include_str!("script.js")).raw("</script>\n</body></html>\n");
    page.finish()
}

/// What is said of an outcome in a word or two.
fn words(outcome: &Outcome) -> String {
    match &outcome.came {
        Came::Judged { judgement, .. } => verdict_words(judgement),
        Came::NotCarriedOut { .. } => "NOT CARRIED OUT".to_owned(),
        Came::NotRun { .. } => "NOT RUN".to_owned(),
    }
}

fn tone(outcome: &Outcome) -> &'static str {
    match &outcome.came {
        Came::Judged { judgement, .. } => verdict::tone(judgement.verdict),
        Came::NotCarriedOut { .. } => "bad",
        Came::NotRun { .. } => "unsure",
    }
}

fn overview(page: &mut Page, outcomes: &[Outcome]) {
    page.put(format_args!("<section class=\"card\"><h1>{} scenarios</h1><table>", outcomes.len()));
    for (number, outcome) in outcomes.iter().enumerate() {
        page.put(format_args!("<tr><td><a href=\"#s{number}\">"))
            .text(&outcome.scenario)
            .put(format_args!("</a></td><td><span class=\"badge {}\">", tone(outcome)))
            .text(&words(outcome))
            .raw("</span></td></tr>");
    }
    page.raw("</table></section>\n");
}

fn not_run(page: &mut Page, outcome: &Outcome, why: &str, tone: &str) {
    page.put(format_args!("<header class=\"run {tone}\"><span class=\"badge {tone}\">"))
        .text(&words(outcome))
        .element("</span><h1>", &outcome.scenario, "</h1>")
        .element("<p class=\"quiet\">", &outcome.source, "</p>")
        .element("<p>", why, "</p></header>\n")
        .raw("<script type=\"application/json\" class=\"data\">{\"length\":0,\"series\":[]}</script>\n");
}
