//! The payments service: charges, once for each idempotency key, and shows its ledger, so that lost and doubled charges
//! can be counted from outside.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use hyper::body::Incoming;
use hyper::header::HeaderName;
use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};

use crate::reply::{Reply, json_body, json_reply, problem};
use crate::server::{Handler, not_found, segments};

/// Names the charge, so that asking twice charges once.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The most charges that are kept. The oldest go first, and with them the memory of their keys.
const KEPT: usize = 100_000;

/// `POST /charge`, `GET /ledger`, `GET /ledger/totals`, `GET /live`.
#[derive(Debug, Default)]
pub(crate) struct Payments {
    ledger: Mutex<Ledger>,
}

#[derive(Debug, Default)]
struct Ledger {
    charges: VecDeque<Charge>,
    by_key: BTreeMap<String, u64>,
    next: u64,
    repeats: u64,
    /// Orders that were charged, and charges for orders that had been charged before.
    orders: BTreeSet<u64>,
    doubled: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Charge {
    id: u64,
    key: Option<String>,
    cents: u64,
}

impl Charge {
    fn json(&self) -> Value {
        json!({ "charge": self.id, "key": self.key, "amount_cents": self.cents })
    }
}

/// What a request to charge led to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Charged {
    New(Charge),
    /// The key was used before: this is what it bought then.
    Before(Charge),
    /// The key was used before, for another amount.
    Differs(Charge),
}

impl Ledger {
    fn charge(&mut self, key: Option<String>, order: Option<u64>, cents: u64) -> Charged {
        if let Some(id) = key.as_ref().and_then(|key| self.by_key.get(key))
            && let Some(charge) = self.charges.iter().rev().find(|charge| charge.id == *id).cloned()
        {
            self.repeats += 1;
            return if charge.cents == cents { Charged::Before(charge) } else { Charged::Differs(charge) };
        }
        if self.charges.len() >= KEPT
            && let Some(oldest) = self.charges.pop_front()
            && let Some(key) = oldest.key
        {
            self.by_key.remove(&key);
        }
        if let Some(order) = order
            && !self.orders.insert(order)
        {
            self.doubled += 1;
        }
        if self.orders.len() > KEPT {
            self.orders.pop_first();
        }
        self.next += 1;
        let charge = Charge { id: self.next, key: key.clone(), cents };
        if let Some(key) = key {
            self.by_key.insert(key, charge.id);
        }
        self.charges.push_back(charge.clone());
        Charged::New(charge)
    }

    fn totals(&self) -> Value {
        json!({
            "charges": self.charges.len(),
            "total_cents": self.charges.iter().map(|charge| charge.cents).sum::<u64>(),
            "repeats": self.repeats,
            "doubled": self.doubled,
        })
    }

    fn json(&self) -> Value {
        let mut json = self.totals();
        json["entries"] = self.charges.iter().map(Charge::json).collect();
        json
    }
}

impl Payments {
    async fn charge(&self, request: Request<Incoming>) -> Reply {
        let key = request.headers().get(IDEMPOTENCY_KEY).and_then(|key| key.to_str().ok()).map(str::to_owned);
        let body = match json_body(request.into_body()).await {
            Ok(body) => body,
            Err(reply) => return reply,
        };
        let Some(cents) = body["amount_cents"].as_u64() else {
            return problem(StatusCode::BAD_REQUEST, "wants a body like {\"amount_cents\": 500}");
        };
        let order = body["order"].as_u64();
        let charged = self.ledger.lock().unwrap_or_else(PoisonError::into_inner).charge(key, order, cents);
        match charged {
            Charged::New(charge) => json_reply(StatusCode::CREATED, &charge.json()),
            Charged::Before(charge) => json_reply(StatusCode::OK, &charge.json()),
            Charged::Differs(charge) => problem(
                StatusCode::UNPROCESSABLE_ENTITY,
                &format!("this idempotency key has bought {} cents before", charge.cents),
            ),
        }
    }
}

impl Handler for Payments {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        match (request.method(), segments(request.uri().path()).as_slice()) {
            (&Method::POST, ["charge"]) => self.charge(request).await,
            (&Method::GET, ["ledger"]) => {
                let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner).json();
                json_reply(StatusCode::OK, &ledger)
            }
            (&Method::GET, ["ledger", "totals"]) => {
                let totals = self.ledger.lock().unwrap_or_else(PoisonError::into_inner).totals();
                json_reply(StatusCode::OK, &totals)
            }
            (&Method::GET, ["live"]) => json_reply(StatusCode::OK, &json!({ "alive": true })),
            _ => not_found("POST /charge, GET /ledger, GET /ledger/totals, GET /live"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_charges_once() {
        let mut ledger = Ledger::default();
        let key = Some("order-1".to_owned());
        let Charged::New(first) = ledger.charge(key.clone(), Some(1), 500) else {
            panic!("the first is new")
        };
        assert_eq!(ledger.charge(key.clone(), Some(1), 500), Charged::Before(first.clone()));
        assert_eq!(ledger.charge(key, Some(1), 700), Charged::Differs(first));
        assert_eq!(
            (ledger.json()["charges"].clone(), ledger.json()["repeats"].clone()),
            (json!(1), json!(2))
        );
    }

    #[test]
    fn without_a_key_each_request_charges() {
        let mut ledger = Ledger::default();
        ledger.charge(None, Some(1), 500);
        ledger.charge(None, Some(1), 500);
        assert_eq!(
            (ledger.json()["total_cents"].clone(), ledger.json()["doubled"].clone()),
            (json!(1000), json!(1))
        );
    }
}
