//! Bytes that are HTTP, nearly HTTP and no HTTP, for a bounded time: never a panic, never a connection that is not let go,
//! never two readings of the same bytes, and the same in whatever pieces they come.
//!
//! `MURPHY_FUZZ_SECONDS` says how long; without it, a minute and a half for each test and 200,000 cases at most where `CI=true`, else
//! three seconds and 20,000 cases at most. At least 50 are tried however long they take. `MURPHY_FUZZ_SEED` takes other cases than the
//! usual ones, and `MURPHY_FUZZ_CASE` one of them alone, whatever its number.

#[path = "../support/mod.rs"]
mod support;

mod lane;
mod make;
mod reader;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use murphy_core::{Dice, Seed};

use lane::{Calm, Lane, Said, is_alone, until};
use reader::{Kind, Manner, Message, Read, has_a_head, read, read_all, read_final};

fn dice(what: &str, number: u64) -> Dice {
    let seed = murphy_testkit::number("MURPHY_FUZZ_SEED").unwrap_or(1);
    Dice::new(Seed(seed).derive(what, number))
}

/// How many cases came to what.
#[derive(Debug, Default)]
struct Ends {
    passed_on: AtomicU64,
    refused: AtomicU64,
}

impl Ends {
    /// Nearly right: what always ends alike never comes to what could break.
    fn judge(&self, cases: u64) {
        let [passed_on, refused] =
            [&self.passed_on, &self.refused].map(|count| count.load(Ordering::Relaxed));
        let told = format!("{cases} conversations, {passed_on} passed on, {refused} refused or cut");
        eprintln!("{told}");
        assert!(is_alone() || passed_on > 0 && refused > 0, "{told}: nothing was tried");
    }
}

/// What a receiver that trusts nobody reads of what the proxy wrote.
fn strictly(bytes: &[u8], kind: Kind, case: &str) -> (Vec<Message>, Read) {
    let (messages, rest) = read_all(bytes, kind, Manner::Strict);
    let is_clear = !matches!(rest, Read::Bad(..));
    assert!(is_clear, "{rest:?} in what was written: {}\n{case}", bytes.escape_ascii());
    (messages, rest)
}

/// The statuses of the answers to these requests, of which the next may be one that never came whole.
fn statuses(mut got: &[u8], asked: &[Message], case: &str) -> Vec<u16> {
    let mut statuses = Vec::new();
    while !got.is_empty() {
        let to_head = asked.get(statuses.len()).is_some_and(|request| request.first.starts_with("HEAD "));
        match read(got, if to_head { Kind::AnswerToHead } else { Kind::Answer }, Manner::Strict) {
            Read::Whole(answer, length) => {
                statuses.push(answer.status());
                got = &got[length..];
            }
            // The refusal of a HEAD that is no request to this reader.
            Read::Part(Some(answer)) if statuses.len() == asked.len() && answer.body.is_empty() => {
                statuses.push(answer.status());
                return statuses;
            }
            other => panic!("{other:?} of {}\n{case}", got.escape_ascii()),
        }
    }
    statuses
}

#[derive(Debug, PartialEq, Eq)]
struct Heard {
    requests: Vec<Message>,
    statuses: Vec<u16>,
    closed: bool,
}

/// Holds what came of requests against what was said.
fn judge_requests(said: &[u8], came: &Said, case: &str) -> Heard {
    let (requests, rest) = strictly(&came.heard, Kind::Request, case);
    let (meant, unread) = read_all(said, Kind::Request, Manner::Lenient);
    let statuses = statuses(&came.got, &meant, case);
    assert!(requests.len() <= meant.len(), "{requests:?} of {meant:?}\n{case}");
    for (request, meant) in requests.iter().zip(&meant) {
        assert_eq!(request.end_to_end(), meant.end_to_end(), "{case}");
    }
    // What was broken off is the beginning of what was meant.
    if let Read::Part(Some(part)) = &rest {
        let whole = meant.get(requests.len()).or(match &unread {
            Read::Part(whole) | Read::Bad(whole, _) => whole.as_ref(),
            Read::Whole(..) => None,
        });
        let whole = whole.unwrap_or_else(|| panic!("{part:?} of nothing\n{case}"));
        assert!(part.end_to_end().begins(&whole.end_to_end()), "{part:?}\n{case}");
    }
    // What nobody can misread is passed on.
    let plain = |message: &&Message| {
        let target = message.first.split(' ').nth(1).unwrap_or_default();
        target.starts_with('/') && target.bytes().all(|b| b.is_ascii_alphanumeric() || b"/?=".contains(&b))
    };
    let clear = read_all(said, Kind::Request, Manner::Strict).0;
    let due = clear.iter().take_while(plain).count();
    let due = clear[..due].iter().position(Message::is_last).map_or(due, |last| last + 1);
    assert!(requests.len() >= due, "{} of {due} passed on\n{case}", requests.len());
    // Each was answered by the service, and what follows is a refusal.
    let (served, refused) = statuses.split_at(requests.len().min(statuses.len()));
    assert!(
        served.len() == requests.len() && served.iter().all(|status| *status == 204),
        "{statuses:?}\n{case}"
    );
    assert!(
        refused.len() <= 1 && refused.iter().all(|status| (400..=505).contains(status)),
        "{statuses:?}\n{case}"
    );
    let is_refusable = requests.len() == meant.len() && matches!(unread, Read::Bad(None, _));
    let is_unsettled = matches!(unread, Read::Bad(None, _) | Read::Part(None));
    if requests.len() == meant.len() && is_unsettled && !has_a_head(said, Kind::Request) {
        // A mistake in a head that has no end yet may be seen at once, or with its end.
        return Heard { statuses: served.to_vec(), requests, closed: false };
    }
    let has_ended = meant.last().is_some_and(Message::is_last);
    if came.closed && is_refusable && !has_ended {
        assert_eq!(refused.len(), 1, "closed without a word\n{case}");
    }
    Heard { requests, statuses, closed: came.closed }
}

#[tokio::test]
async fn requests_have_one_reading_and_the_same_in_any_pieces() {
    let ends = Arc::new(Ends::default());
    let counts = Arc::clone(&ends);
    let one = move |number: u64, clear: Arc<Lane>, sliced: Arc<Lane>| {
        let ends = Arc::clone(&counts);
        async move {
            let mut dice = dice("requests", number);
            let said = make::requests(&mut dice);
            let case = format!("case {number}: {}", said.escape_ascii());
            let (whole, pieces) = (vec![said.clone()], make::pieces(&mut dice, &said));
            let other = if dice.below(2) == 0 { &sliced } else { &clear };
            let mut calm = Calm::Turns;
            loop {
                let at_once = judge_requests(&said, &clear.ask(&whole, calm).await, &case);
                let by_and_by = judge_requests(&said, &other.ask(&pieces, calm).await, &case);
                match calm {
                    // Perhaps one of them was not over yet.
                    Calm::Turns if at_once != by_and_by => calm = Calm::Seconds,
                    _ => {
                        assert_eq!(at_once, by_and_by, "{case}");
                        if !at_once.requests.is_empty() {
                            ends.passed_on.fetch_add(1, Ordering::Relaxed);
                        }
                        if at_once.statuses.len() > at_once.requests.len() {
                            ends.refused.fetch_add(1, Ordering::Relaxed);
                        }
                        return;
                    }
                }
            }
        }
    };
    ends.judge(until(one).await);
}

/// What a caller was told in the end: a status, and a body that is whole or not.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    /// Nothing, or that the answer is not HTTP: which of the two depends on whether its head had come to an end.
    NoAnswer,
    Whole(Message),
    Cut(u16),
}

/// Holds what came of an answer against what was said.
fn judge_answer(said: &[u8], kind: Kind, came: &Said, case: &str) -> Told {
    let got = read_final(&came.got, kind, Manner::Strict);
    let (answer, is_whole) = match got {
        Read::Whole(answer, length) => {
            assert_eq!(length, came.got.len(), "more than an answer: {}\n{case}", came.got.escape_ascii());
            (answer, true)
        }
        Read::Part(Some(answer)) => (answer, false),
        Read::Part(None) => {
            let (_, left) = strictly(&came.got, kind, case);
            assert_eq!(left, Read::Part(None), "half a head\n{case}");
            let clear = read_final(said, kind, Manner::Strict);
            assert!(!matches!(clear, Read::Whole(..)), "no answer\n{case}");
            return Told::NoAnswer;
        }
        Read::Bad(_, why) => panic!("{why}: {}\n{case}", came.got.escape_ascii()),
    };
    if answer.status() == 502 && answer.body.starts_with(b"murphy: ")
        || kind == Kind::AnswerToHead && answer.status() == 502
    {
        let clear = read_final(said, kind, Manner::Strict);
        assert!(!matches!(clear, Read::Whole(..)), "refused what was clear\n{case}");
        return Told::NoAnswer;
    }
    let (meant, was_whole) = match read_final(said, kind, Manner::Lenient) {
        Read::Whole(meant, _) => (meant, true),
        Read::Part(Some(meant)) | Read::Bad(Some(meant), _) => (meant, false),
        other => panic!("{answer:?} out of {other:?}\n{case}"),
    };
    // What is forgiven by some may be broken off; what nobody can misread is not, and nothing becomes whole on the way.
    let is_clear = matches!(read_final(said, kind, Manner::Strict), Read::Whole(..));
    assert!(
        if is_whole { was_whole || meant.odd_trailers } else { !is_clear },
        "{answer:?} of {meant:?}\n{case}"
    );
    assert!(!answer.until_close || meant.until_close, "an end that nobody can see: {answer:?}\n{case}");
    assert_eq!(answer.status(), meant.status(), "{case}");
    let (got, wanted) = (answer.end_to_end(), meant.end_to_end());
    assert_eq!(got.headers, wanted.headers, "{case}");
    if is_whole {
        assert!(got.body == wanted.body, "{answer:?} of {meant:?}\n{case}");
        Told::Whole(Message { first: String::new(), until_close: false, ..answer })
    } else {
        assert!(wanted.body.starts_with(got.body), "{answer:?} of {meant:?}\n{case}");
        Told::Cut(answer.status())
    }
}

#[tokio::test]
async fn answers_have_one_reading_and_the_same_in_any_pieces() {
    let ends = Arc::new(Ends::default());
    let counts = Arc::clone(&ends);
    let one = move |number: u64, clear: Arc<Lane>, sliced: Arc<Lane>| {
        let ends = Arc::clone(&counts);
        async move {
            let mut dice = dice("answers", number);
            let said = make::answers(&mut dice);
            let (method, kind) =
                if dice.below(5) == 0 { ("HEAD", Kind::AnswerToHead) } else { ("GET", Kind::Answer) };
            let case = format!("case {number}, to {method}: {}", said.escape_ascii());
            let (whole, pieces) = (vec![said.clone()], make::pieces(&mut dice, &said));
            let request = format!("{method} /x HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
            let at_once = clear.answer(&request, &whole).await;
            let other = if dice.below(2) == 0 { &sliced } else { &clear };
            let by_and_by = other.answer(&request, &pieces).await;
            let told = [&at_once, &by_and_by].map(|came| judge_answer(&said, kind, came, &case));
            assert_eq!(told[0], told[1], "{at_once:?} {by_and_by:?}\n{case}");
            let count = if matches!(told[0], Told::Whole(_)) { &ends.passed_on } else { &ends.refused };
            count.fetch_add(1, Ordering::Relaxed);
        }
    };
    ends.judge(until(one).await);
}

#[tokio::test]
async fn frames_of_http_2_in_any_shape_end_with_the_callers_leaving() {
    let ends = Arc::new(Ends::default());
    let counts = Arc::clone(&ends);
    let one = move |number: u64, clear: Arc<Lane>, sliced: Arc<Lane>| {
        let ends = Arc::clone(&counts);
        async move {
            let mut dice = dice("frames", number);
            let said = make::frames(&mut dice);
            let pieces = make::pieces(&mut dice, &said);
            let lane = if dice.below(2) == 0 { &sliced } else { &clear };
            // Whether it is let go, and without a panic, is looked at there.
            let got = lane.ask(&pieces, Calm::Turns).await.got;
            // Whoever is taken for a caller of HTTP/2 is greeted in frames; others get nothing, or a refusal in lines.
            let is_refused = got.is_empty() || got.starts_with(b"HTTP/");
            let count = if is_refused { &ends.refused } else { &ends.passed_on };
            count.fetch_add(1, Ordering::Relaxed);
        }
    };
    ends.judge(until(one).await);
}
