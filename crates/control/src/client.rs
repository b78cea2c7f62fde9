//! A small client of the control API, for the command line. It works on Toxiproxy's own server as well.
//!
//! One connection for each call, and a bound on how long each may take.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::json::{DecodeError, Json, Kind, Object, Writer, first_value};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not an address of an API.
    #[error("`{url}` is not the address of a control API; write for example http://127.0.0.1:8474")]
    BadUrl {
        /// As given.
        url: String,
    },
    /// Nobody answers there.
    #[error(
        "no control API at {authority}: {why}; start one with `murphy serve`, or give another address with --host"
    )]
    Unreachable {
        /// Host and port.
        authority: String,
        /// What the system said.
        why: String,
    },
    /// The API said no.
    #[error("{message} (HTTP {status})")]
    Refused {
        /// The status.
        status: StatusCode,
        /// Its words.
        message: String,
    },
    /// What answers there is not such an API.
    #[error("{authority} does not answer as a control API does: {why}")]
    NotAnApi {
        /// Host and port.
        authority: String,
        /// What was wrong.
        why: String,
    },
}

/// A proxy as the API shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct ProxyView {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub listen: String,
    /// Where it connects to.
    pub upstream: String,
    /// Whether it listens.
    pub enabled: bool,
    /// In the order of the API.
    pub toxics: Vec<ToxicView>,
}

/// A toxic as the API shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToxicView {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// Its stream, as it was written.
    pub stream: String,
    /// The share of connections.
    pub toxicity: f32,
    /// Its numbers as text.
    pub attributes: BTreeMap<String, String>,
}

/// A toxic to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct ToxicOrder {
    /// Its name; the API gives one if there is none.
    pub name: Option<String>,
    /// Its type.
    pub kind: String,
    /// Its stream.
    pub stream: &'static str,
    /// What it has of its own.
    pub settings: ToxicSettings,
}

/// What can be changed of a toxic.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ToxicSettings {
    /// The share of connections, if it is given.
    pub toxicity: Option<f32>,
    /// The numbers that are given.
    pub attributes: BTreeMap<String, f64>,
}

impl ToxicSettings {
    fn write(&self, writer: &mut Writer) {
        if let Some(toxicity) = self.toxicity {
            writer.field("toxicity").single(toxicity);
        }
        writer.field("attributes").object(|w| {
            for (name, number) in &self.attributes {
                w.field(name).double(*number);
            }
        });
    }
}

/// A client of one API.
#[derive(Debug, Clone)]
pub struct Client {
    authority: String,
}

/// The longest that a call may take: longer than a look-up of a name by the daemon.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest answer that is read.
const ANSWER: usize = 64 * 1024 * 1024;

impl Client {
    /// A client of the API at `http://host:port`; `host:port` alone will do.
    pub fn new(url: &str) -> Result<Client, ClientError> {
        let bad = || ClientError::BadUrl { url: url.to_owned() };
        let rest = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
        let (host, port) = rest.rsplit_once(':').ok_or_else(bad)?;
        let plain = !host.is_empty() && !rest.contains(['/', '?', '#', '@', ' ']);
        if !plain || port.parse::<u16>().is_err() {
            return Err(bad());
        }
        Ok(Client { authority: rest.to_owned() })
    }

    /// All proxies, by name.
    pub async fn list(&self) -> Result<Vec<ProxyView>, ClientError> {
        match self.call(Method::GET, "/proxies", None).await? {
            Json::Object(proxies) => {
                proxies.iter().map(|(_, proxy)| proxy_view(proxy).map_err(|error| self.odd(&error))).collect()
            }
            _ => Err(self.odd(&"the list of proxies is not an object")),
        }
    }

    /// One proxy.
    pub async fn show(&self, proxy: &str) -> Result<ProxyView, ClientError> {
        let json = self.call(Method::GET, &path(&["proxies", proxy]), None).await?;
        proxy_view(&json).map_err(|error| self.odd(&error))
    }

    /// Makes a proxy and starts it.
    pub async fn create(&self, name: &str, listen: &str, upstream: &str) -> Result<ProxyView, ClientError> {
        let body = body(|w| {
            w.field("name").text(name);
            w.field("listen").text(listen);
            w.field("upstream").text(upstream);
            w.field("enabled").boolean(true);
        });
        let json = self.call(Method::POST, "/proxies", Some(body)).await?;
        proxy_view(&json).map_err(|error| self.odd(&error))
    }

    /// Enables or disables a proxy.
    pub async fn set_enabled(&self, proxy: &str, enabled: bool) -> Result<(), ClientError> {
        let body = body(|w| {
            w.field("enabled").boolean(enabled);
        });
        self.call(Method::POST, &path(&["proxies", proxy]), Some(body)).await.map(|_| ())
    }

    /// Takes a proxy away.
    pub async fn delete(&self, proxy: &str) -> Result<(), ClientError> {
        self.call(Method::DELETE, &path(&["proxies", proxy]), None).await.map(|_| ())
    }

    /// Puts a toxic on a proxy.
    pub async fn add_toxic(&self, proxy: &str, order: &ToxicOrder) -> Result<ToxicView, ClientError> {
        let body = body(|w| {
            if let Some(name) = &order.name {
                w.field("name").text(name);
            }
            w.field("type").text(&order.kind);
            w.field("stream").text(order.stream);
            order.settings.write(w);
        });
        let json = self.call(Method::POST, &path(&["proxies", proxy, "toxics"]), Some(body)).await?;
        toxic_view(&json).map_err(|error| self.odd(&error))
    }

    /// Edits a toxic; what is not given stays.
    pub async fn edit_toxic(
        &self,
        proxy: &str,
        toxic: &str,
        settings: &ToxicSettings,
    ) -> Result<ToxicView, ClientError> {
        let path = path(&["proxies", proxy, "toxics", toxic]);
        let json = self.call(Method::POST, &path, Some(body(|w| settings.write(w)))).await?;
        toxic_view(&json).map_err(|error| self.odd(&error))
    }

    /// Takes a toxic off a proxy.
    pub async fn remove_toxic(&self, proxy: &str, toxic: &str) -> Result<(), ClientError> {
        let path = path(&["proxies", proxy, "toxics", toxic]);
        self.call(Method::DELETE, &path, None).await.map(|_| ())
    }

    fn odd(&self, why: &dyn std::fmt::Display) -> ClientError {
        ClientError::NotAnApi { authority: self.authority.clone(), why: why.to_string() }
    }

    async fn call(&self, method: Method, path: &str, body: Option<String>) -> Result<Json, ClientError> {
        match tokio::time::timeout(PATIENCE, self.exchange(method, path, body)).await {
            Ok(answer) => answer,
            Err(_) => Err(ClientError::Unreachable {
                authority: self.authority.clone(),
                why: format!("no answer within {} s", PATIENCE.as_secs()),
            }),
        }
    }

    async fn exchange(&self, method: Method, path: &str, body: Option<String>) -> Result<Json, ClientError> {
        let unreachable = |why: String| ClientError::Unreachable { authority: self.authority.clone(), why };
        let stream =
            TcpStream::connect(&self.authority).await.map_err(|error| unreachable(error.to_string()))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| unreachable(error.to_string()))?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.authority)
            .header(USER_AGENT, concat!("murphy/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::<Bytes>::from(body.unwrap_or_default()))
            .map_err(|error| self.odd(&error))?;
        let talk = async {
            let answer = sender.send_request(request).await.map_err(|error| self.odd(&error))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER).collect().await;
            Ok((status, body.map_err(|error| self.odd(&error))?.to_bytes()))
        };
        // The connection is driven until the answer is there, then dropped.
        let (status, bytes): (StatusCode, Bytes) = tokio::select! {
            biased;
            answer = talk => answer?,
            Err(error) = connection => return Err(unreachable(error.to_string())),
        };
        if !status.is_success() {
            return Err(ClientError::Refused { status, message: message(&bytes) });
        }
        if bytes.is_empty() {
            return Ok(Json::Null);
        }
        first_value(&bytes).map_err(|error| self.odd(&error))
    }
}

/// The words of an error answer.
fn message(bytes: &[u8]) -> String {
    let text = || String::from_utf8_lossy(bytes).trim().to_owned();
    let Ok(json) = first_value(bytes) else { return text() };
    let Ok(object) = Object::of(&json, "", Kind::Struct("")) else { return text() };
    match object.field("error").text() {
        Ok(Some(message)) => message.to_owned(),
        _ => text(),
    }
}

fn body(fields: impl FnOnce(&mut Writer)) -> String {
    let mut writer = Writer::new();
    writer.object(fields);
    writer.finish()
}

/// A path of escaped segments.
fn path(segments: &[&str]) -> String {
    use std::fmt::Write as _;
    let mut path = String::new();
    for segment in segments {
        path.push('/');
        for byte in segment.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                path.push(char::from(byte));
            } else {
                let _ = write!(path, "%{byte:02X}");
            }
        }
    }
    path
}

fn proxy_view(json: &Json) -> Result<ProxyView, DecodeError> {
    let object = Object::of(json, "proxy", Kind::Struct("proxy"))?;
    let text = |name| object.field(name).text().map(|text| text.unwrap_or_default().to_owned());
    let toxics = object.field("toxics").list(Kind::List("list of toxics"))?.unwrap_or_default();
    Ok(ProxyView {
        name: text("name")?,
        listen: text("listen")?,
        upstream: text("upstream")?,
        enabled: object.field("enabled").boolean()?.unwrap_or_default(),
        toxics: toxics.iter().map(toxic_view).collect::<Result<_, _>>()?,
    })
}

fn toxic_view(json: &Json) -> Result<ToxicView, DecodeError> {
    let object = Object::of(json, "toxic", Kind::Struct("toxic"))?;
    let text = |name| object.field(name).text().map(|text| text.unwrap_or_default().to_owned());
    let attributes = match object.field("attributes").json() {
        Some(Json::Object(fields)) => fields.as_slice(),
        _ => &[],
    };
    let number = |(name, value): &(String, Json)| match value {
        Json::Number(text) => Some((name.clone(), text.clone())),
        _ => None,
    };
    Ok(ToxicView {
        name: text("name")?,
        kind: text("type")?,
        stream: text("stream")?,
        toxicity: object.field("toxicity").single()?.unwrap_or(1.0),
        attributes: attributes.iter().filter_map(number).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_a_port_and_no_path() {
        for good in ["http://localhost:8474", "127.0.0.1:8474", "http://[::1]:1/"] {
            assert!(Client::new(good).is_ok(), "{good}");
        }
        for bad in ["", "localhost", "https://a:1", "http://a:x", "http://a:1/b", "http://:1", "http://u@a:1"]
        {
            assert!(Client::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_escaped_and_errors_keep_their_words() {
        assert_eq!(path(&["proxies", "<a b>/ü"]), "/proxies/%3Ca%20b%3E%2F%C3%BC");
        assert_eq!(message(br#"{"error":"proxy not found","status":404}"#), "proxy not found");
        assert_eq!(message(b"404 page not found\n"), "404 page not found");
    }
}
