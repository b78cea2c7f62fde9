//! The shop: the front that users see, in two builds of one behaviour.
//!
//! | request | calls |
//! |---|---|
//! | `GET /items/{id}` | the cache; on a miss the catalogue |
//! | `GET /cart/{id}` | the catalogue, always: prices in a cart must be today's |
//! | `POST /orders` | payments |
//! | `GET /live`, `GET /ready` | careful: nothing; careless: everything |

mod careful;
mod careless;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, HeaderValue};
use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};

pub(crate) use careful::CarefulShop;
pub(crate) use careless::CarelessShop;

use crate::link::{Answer, Call, LinkError};
use crate::payments::IDEMPOTENCY_KEY;
use crate::reply::{Reply, json_body};
use crate::server::{not_found, segments};

/// What a user asks of the shop.
enum Errand {
    Item(String),
    Cart(String),
    Order(Order),
    Live,
    Ready,
    /// Answered already: no such path, or a body that cannot be read.
    Nothing(Reply),
}

/// An order.
struct Order {
    sku: String,
    cents: u64,
    /// The user's own idempotency key, if one came.
    key: Option<HeaderValue>,
}

/// Reads a request.
async fn errand(request: Request<Incoming>) -> Errand {
    let path = request.uri().path().to_owned();
    match (request.method(), segments(&path).as_slice()) {
        (&Method::GET, ["items", id]) => Errand::Item((*id).to_owned()),
        (&Method::GET, ["cart", id]) => Errand::Cart((*id).to_owned()),
        (&Method::POST, ["orders"]) => {
            let key = request.headers().get(IDEMPOTENCY_KEY).cloned();
            match json_body(request.into_body()).await {
                Ok(body) => Errand::Order(Order {
                    sku: body["sku"].as_str().unwrap_or("a1").to_owned(),
                    cents: body["amount_cents"].as_u64().unwrap_or(1000),
                    key,
                }),
                Err(reply) => Errand::Nothing(reply),
            }
        }
        (&Method::GET, ["live"]) => Errand::Live,
        (&Method::GET, ["ready"]) => Errand::Ready,
        _ => {
            Errand::Nothing(not_found("GET /items/{id}, GET /cart/{id}, POST /orders, GET /live, GET /ready"))
        }
    }
}

/// The calls that both builds make, so that they differ in care only.
mod calls {
    use super::*;

    pub(super) fn cached(id: &str) -> Call {
        Call::get(format!("/k/item-{id}"))
    }

    pub(super) fn item(id: &str) -> Call {
        Call::get(format!("/items/{id}"))
    }

    pub(super) fn cache(id: &str, item: Bytes, fresh_for: std::time::Duration) -> Call {
        let age = HeaderValue::try_from(format!("max-age={}", fresh_for.as_secs()));
        Call {
            method: Method::PUT,
            path: format!("/k/item-{id}"),
            headers: age.map(|age| (CACHE_CONTROL, age)).into_iter().collect(),
            body: item,
        }
    }

    /// The order's number goes with each attempt, as a reference for the books; only a key keeps it from being
    /// charged twice.
    pub(super) fn charge(order: &Order, number: u64, key: Option<HeaderValue>) -> Call {
        Call {
            method: Method::POST,
            path: "/charge".to_owned(),
            headers: key.map(|key| (IDEMPOTENCY_KEY, key)).into_iter().collect(),
            body: Bytes::from(json!({ "amount_cents": order.cents, "order": number }).to_string()),
        }
    }
}

/// The body of a cart with one item in it.
fn cart(id: &str, item: &Value) -> Value {
    json!({ "cart": id, "lines": [item], "total_cents": item["price_cents"] })
}

/// The body of an order that was charged, and its status. What payments refuses is the user's to mend.
fn ordered(order: &Order, answer: &Answer) -> Result<(StatusCode, Value), LinkError> {
    let charge = answer.json()?;
    if answer.status.is_success() {
        Ok((StatusCode::CREATED, json!({ "sku": order.sku, "charge": charge })))
    } else {
        Ok((StatusCode::PAYMENT_REQUIRED, charge))
    }
}
