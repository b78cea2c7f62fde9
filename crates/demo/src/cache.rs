//! A small cache over HTTP: values with a time to live, answered with their `Age`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{AGE, CACHE_CONTROL, HeaderValue};
use hyper::{Method, Request, StatusCode};
use serde_json::json;
use tokio::time::Instant;

use crate::reply::{Reply, json_reply, problem, raw_reply, whole_body};
use crate::server::{Handler, not_found, segments};

/// The most values; when full, the one that expires first goes.
const KEPT: usize = 10_000;

/// `GET /k/{key}`, `PUT /k/{key}`, `GET /live`. The time to live of a value is the `max-age` of its `Cache-Control`.
#[derive(Debug)]
pub(crate) struct Cache {
    ttl: Duration,
    values: Mutex<BTreeMap<String, Entry>>,
}

#[derive(Debug, Clone)]
struct Entry {
    value: Bytes,
    at: Instant,
    until: Instant,
}

impl Cache {
    /// `ttl` is for values that come without a `max-age`.
    pub fn new(ttl: Duration) -> Cache {
        Cache { ttl, values: Mutex::new(BTreeMap::new()) }
    }

    fn put(&self, key: &str, value: Bytes, ttl: Duration) {
        let now = Instant::now();
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        if values.len() >= KEPT && !values.contains_key(key) {
            let first = values.iter().min_by_key(|(_, entry)| entry.until).map(|(key, _)| key.clone());
            first.map(|key| values.remove(&key));
        }
        values.insert(key.to_owned(), Entry { value, at: now, until: now + ttl });
    }

    fn get(&self, key: &str) -> Option<(Bytes, Duration)> {
        let now = Instant::now();
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = values.get(key)?;
        if now >= entry.until {
            values.remove(key);
            return None;
        }
        Some((entry.value.clone(), now - entry.at))
    }
}

/// `max-age` in a `Cache-Control` header.
fn max_age(header: Option<&HeaderValue>) -> Option<Duration> {
    let text = header?.to_str().ok()?;
    let seconds = text.split(',').find_map(|part| part.trim().strip_prefix("max-age="))?;
    // A week is longer than any demo; it keeps the arithmetic on instants sound.
    seconds.parse().ok().map(|seconds: u64| Duration::from_secs(seconds.min(7 * 24 * 3600)))
}

impl Handler for Cache {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let path = request.uri().path().to_owned();
        match (request.method(), segments(&path).as_slice()) {
            (&Method::GET, ["k", key]) => match self.get(key) {
                Some((value, age)) => {
                    let mut reply = raw_reply(StatusCode::OK, value);
                    reply.headers_mut().insert(AGE, HeaderValue::from(age.as_secs()));
                    reply
                }
                None => problem(StatusCode::NOT_FOUND, "not in the cache"),
            },
            (&Method::PUT, ["k", key]) => {
                let ttl = max_age(request.headers().get(CACHE_CONTROL)).unwrap_or(self.ttl);
                match whole_body(request.into_body()).await {
                    Ok(value) => {
                        self.put(key, value, ttl);
                        json_reply(StatusCode::OK, &json!({ "kept_s": ttl.as_secs() }))
                    }
                    Err(reply) => reply,
                }
            }
            (&Method::GET, ["live"]) => json_reply(StatusCode::OK, &json!({ "alive": true })),
            _ => not_found("GET /k/{key}, PUT /k/{key}, GET /live"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_value_ages_and_is_gone_after_its_time() {
        let cache = Cache::new(Duration::from_secs(5));
        cache.put("7", Bytes::from_static(b"1"), Duration::from_secs(2));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(cache.get("7"), Some((Bytes::from_static(b"1"), Duration::from_secs(1))));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(cache.get("7"), None);
    }

    #[test]
    fn max_age_is_read_among_others() {
        let read = |text| max_age(Some(&HeaderValue::from_static(text)));
        assert_eq!(read("public, max-age=5"), Some(Duration::from_secs(5)));
        assert_eq!(read("no-store"), None);
        assert_eq!(max_age(None), None);
    }
}
