//! Where a caller gives up: before an answer begins, or in its midst.

use murphy_core::{EventKind, ExchangeEnd, Offset, Span};
use murphy_testkit::golden::{Break, Caller, Golden};
use murphy_verdict::{Detector, Finding, Judgement, judge};

fn timeout(judgement: &Judgement) -> &Finding {
    let mut all = judgement.findings.iter();
    all.find(|finding| finding.detector == Detector::Timeout).expect("every detector answers")
}

#[test]
fn who_gives_up_in_the_midst_of_an_answer_is_told_from_who_waits_for_its_beginning() {
    let caller = Caller { breaker: None, ..Caller::careful() };
    let mut journal = Golden::new("timeout", caller, Break::Hang).journal();
    let before = judge(&journal);
    let found = timeout(&before);
    assert!(found.is_present() && found.param("in-answer").is_none(), "{}", found.text);
    assert!(!found.text.contains("in the midst"), "{}", found.text);
    // The same calls, of which a few bytes had come.
    let began_to_come = Span::from_millis(5).as_micros();
    for event in &mut journal {
        if let EventKind::Exchange { began, answered, end: ExchangeEnd::GivenUp, .. } = &mut event.kind {
            *answered = Some(Offset::from_micros(began.as_micros() + began_to_come));
        }
    }
    let within = judge(&journal);
    let found = timeout(&within);
    assert!(found.is_present(), "{}", found.text);
    assert_eq!(found.param("in-answer").and_then(|share| share.value), Some(1.0));
    assert!(found.text.ends_with(", in the midst of the answer"), "{}", found.text);
    assert_eq!(found.param("timeout"), timeout(&before).param("timeout"), "when it gives up is the same");
}
