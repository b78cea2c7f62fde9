//! Questions about the JSON in an answer, over real sockets.

use murphy_core::{JsonTest, Span};
use murphy_load::{HttpRequest, Question, StatusSet, ask};
use murphy_testkit::{Answer, HttpServer};
use serde_json::json;

#[tokio::test]
async fn every_value_at_the_place_must_be_as_expected_and_there_must_be_one() {
    let server = HttpServer::start(|request| match request.path.as_str() {
        "/html" => Answer::new(200, "<p>ok</p>"),
        _ => Answer::new(
            200,
            r#"{"status":"ok","queue":[{"depth":3},{"depth":12}],"data":{"value":[1,"0.5"]}}"#,
        ),
    })
    .await;
    let ask_for = async |path: &str, place: &str, expected: serde_json::Value| {
        let question = Question::Http {
            request: Box::new(HttpRequest::new("GET", &server.url(path)).unwrap()),
            status: StatusSet::of([200]),
            header: Vec::new(),
            body: None,
            json: vec![(place.parse().unwrap(), JsonTest::of(&expected).unwrap())],
        };
        let reply = ask(&question, Span::from_secs(5)).await;
        (reply.ok, reply.saw)
    };
    assert_eq!(ask_for("/", "$.status", json!("ok")).await, (true, "200".into()));
    assert_eq!(
        ask_for("/", "$.status", json!("down")).await,
        (false, "200, $.status is \"ok\", not down".into())
    );
    assert_eq!(ask_for("/", "queue[0].depth", json!("<= 10")).await, (true, "200".into()));
    let all = ask_for("/", "$.queue[*].depth", json!("<= 10")).await;
    assert_eq!(all, (false, "200, $.queue[*].depth is 12, not <= 10".into()));
    // As Prometheus writes a sample.
    assert_eq!(ask_for("/", "$.data.value[1]", json!(">= 0.4")).await, (true, "200".into()));
    assert_eq!(ask_for("/", "$.gone", json!(1)).await, (false, "200, nothing at $.gone".into()));
    assert_eq!(ask_for("/html", "$.status", json!("ok")).await, (false, "200, body is not JSON".into()));
}
