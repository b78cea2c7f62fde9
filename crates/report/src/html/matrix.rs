//! The matrix of an exploration: edges against faults, each outcome with a way to its own report further down.

use super::page::Page;
use super::verdict::tone;
use crate::matrix::{Cell, Grid, Matrix, Spot};

/// The matrix, what is wanting in it, and why.
pub(super) fn matrix(page: &mut Page, matrix: &Matrix) {
    page.element("<section class=\"card\"><h1>", &matrix.scenario, ": what breaks what</h1>").element(
        "<p class=\"quiet small\">",
        &matrix.extent(),
        "</p>",
    );
    if let Some(why) = &matrix.stopped {
        page.element("<p class=\"unsure\"><b>Stopped:</b> ", why, "</p>");
    }
    let grid = Grid::of(matrix);
    if !grid.rows.is_empty() {
        page.raw("<div class=\"wide\"><table class=\"matrix\"><thead><tr><th>edge</th>");
        for fault in &grid.faults {
            page.element("<th>", fault, "</th>");
        }
        page.raw("</tr></thead><tbody>\n");
        for (edge, spots) in &grid.rows {
            page.element("<tr><td class=\"label\">", edge, "</td>");
            for spot in spots {
                match spot {
                    Spot::Tried(number, cell) => outcome(page, *number, cell),
                    Spot::LeftOut(out) => {
                        page.element("<td class=\"quiet small\" title=\"", &out.why, "\">left out</td>");
                    }
                    Spot::Nothing => {
                        page.raw("<td></td>");
                    }
                }
            }
            page.raw("</tr>\n");
        }
        page.raw("</tbody></table></div>\n");
    }
    if !grid.pairs.is_empty() {
        page.raw("<h2>Two edges at once</h2><div class=\"wide\"><table class=\"matrix\"><tbody>\n");
        for (number, cell) in &grid.pairs {
            page.element("<tr><td class=\"label\">", &cell.edge, "</td>").element(
                "<td>",
                &cell.fault,
                "</td>",
            );
            outcome(page, *number, cell);
            page.raw("</tr>\n");
        }
        page.raw("</tbody></table></div>\n");
    }
    let remarks = matrix.remarks();
    if !remarks.is_empty() {
        page.raw("<ul class=\"plain\">");
        for remark in &remarks {
            page.element("<li>", remark, "</li>");
        }
        page.raw("</ul>");
    }
    page.raw("</section>\n");
    if !matrix.left_out.is_empty() {
        page.raw("<section class=\"card\"><h2>Left out</h2><ul class=\"plain\">");
        for out in &matrix.left_out {
            page.element("<li>", &out.text(), "</li>");
        }
        page.raw("</ul></section>\n");
    }
}

fn outcome(page: &mut Page, number: usize, cell: &Cell) {
    let tone = tone(cell.verdict);
    page.put(format_args!("<td><a href=\"#s{number}\"><span class=\"badge {tone}\">"))
        .text(&cell.verdict.to_string())
        .raw("</span></a>");
    for users in &cell.users {
        page.element("<br><span class=\"small\">", &users.load, " ").element("", &users.text(), "</span>");
    }
    for why in &cell.because {
        page.element("<br><span class=\"quiet small\">", why, "</span>");
    }
    page.raw("</td>");
}
