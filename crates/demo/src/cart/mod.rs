//! The cart service: shopping carts in a real Redis, through a real client library, in two builds of one behaviour. A cart
//! is a hash, sku → quantity; adding sets the quantity, so that a repeated write does no harm.

mod careful;
mod careless;
mod redis_pool;

use std::collections::BTreeMap;

use hyper::body::Incoming;
use hyper::{Method, Request};
use redis::Cmd;
use serde_json::{Value, json};

pub(crate) use careful::CarefulCart;
pub(crate) use careless::CarelessCart;
pub(crate) use redis_pool::client;

use crate::reply::{Reply, json_body, problem};
use crate::server::{not_found, segments};

/// What is in a cart: sku → quantity.
type Lines = BTreeMap<String, u64>;

/// What a user asks of the cart service.
enum Errand {
    Show(String),
    Add {
        cart: String,
        sku: String,
        quantity: u64,
    },
    Live,
    Ready,
    /// Answered already.
    Nothing(Reply),
}

/// Reads a request.
async fn errand(request: Request<Incoming>) -> Errand {
    let path = request.uri().path().to_owned();
    match (request.method(), segments(&path).as_slice()) {
        (&Method::GET, ["cart", id]) => Errand::Show((*id).to_owned()),
        (&Method::POST, ["cart", id, "items"]) => match json_body(request.into_body()).await {
            Ok(body) => match body["sku"].as_str() {
                Some(sku) => Errand::Add {
                    cart: (*id).to_owned(),
                    sku: sku.to_owned(),
                    quantity: body["quantity"].as_u64().unwrap_or(1),
                },
                None => Errand::Nothing(problem(
                    hyper::StatusCode::BAD_REQUEST,
                    "wants a body like {\"sku\": \"a1\", \"quantity\": 2}",
                )),
            },
            Err(reply) => Errand::Nothing(reply),
        },
        (&Method::GET, ["live"]) => Errand::Live,
        (&Method::GET, ["ready"]) => Errand::Ready,
        _ => Errand::Nothing(not_found("GET /cart/{id}, POST /cart/{id}/items, GET /live, GET /ready")),
    }
}

/// Reads a cart.
fn read(cart: &str) -> Cmd {
    let mut command = redis::cmd("HGETALL");
    command.arg(format!("cart:{cart}"));
    command
}

/// Sets a line of a cart.
fn write(cart: &str, sku: &str, quantity: u64) -> Cmd {
    let mut command = redis::cmd("HSET");
    command.arg(format!("cart:{cart}")).arg(sku).arg(quantity);
    command
}

/// The body of a cart.
fn body(cart: &str, lines: &Lines) -> Value {
    json!({ "cart": cart, "lines": lines })
}
