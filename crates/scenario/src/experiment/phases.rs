//! How long each phase lasts: the profile, then what is written out.

use std::time::Duration;

use murphy_core::{PhaseLengths, Span};

use super::context::Cursor;
use crate::diagnostic::{Findings, Severity};
use crate::document::Document;
use crate::settings::Settings;

/// No run is longer than this.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Trouble that is watched for less than this may be a backlog.
const LASTING: Span = Span::from_secs(60);

pub(super) fn lengths(
    document: &Document,
    root: Cursor<'_>,
    settings: &Settings,
    findings: &mut Findings<'_>,
) -> PhaseLengths {
    let profile = settings.profile.or(document.profile).unwrap_or_default();
    let base = profile.phases();
    let own = document.phases.unwrap_or_default();
    let recovery = own.recovery.unwrap_or(base.recovery);
    let quiet = own.quiet.unwrap_or_default();
    let phases = PhaseLengths {
        warm_up: own.warm_up.unwrap_or(base.warm_up),
        baseline: own.baseline.unwrap_or(base.baseline),
        fault: own.fault.unwrap_or(base.fault),
        recovery,
        quiet,
        again: if quiet.is_zero() { quiet } else { own.again.unwrap_or(recovery) },
    };
    let all_own = [own.warm_up, own.baseline, own.fault, own.recovery].iter().all(Option::is_some);
    if let Some(asked) = settings.profile.filter(|_| all_own) {
        findings
            .whole(
                Severity::Warning,
                format!("`--profile {asked}` changes nothing: all phases are written out in the file"),
            )
            .help("remove `phases:` from the file, or those of its lengths that may change");
    } else if document.profile.is_some() && all_own {
        findings
            .warning(root.key("profile"), "`profile` changes nothing: all phases are written out")
            .help("remove `profile` or `phases`");
    }
    let place = root.child("phases").unwrap_or(root);
    if own.fault.is_some_and(Span::is_zero) {
        findings
            .error(place.value("fault"), "the fault phase is no time at all: nothing could break")
            .help("write for example `fault: 30s`");
    }
    if own.again.is_some() && quiet.is_zero() {
        findings
            .warning(place.key("again"), "`again` changes nothing: the load is never stopped")
            .help("write `quiet: 180s` as well, or remove `again`");
    }
    if !quiet.is_zero() && recovery < LASTING {
        findings
            .warning(
                place.value("quiet"),
                format!("after {recovery} of recovery no trouble is called lasting"),
            )
            .help(format!("write `recovery: {LASTING}` or longer, or remove `quiet`"));
    }
    if phases.total().as_duration() > LONGEST {
        findings
            .error(place.own(), format!("the run would last {}, longer than a day", phases.total()))
            .help("write shorter phases; a profile has good ones: `profile: ci`");
    }
    phases
}
