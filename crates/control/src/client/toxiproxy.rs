//! The calls of Toxiproxy's API. They work on Toxiproxy's own server as well.

use std::collections::BTreeMap;

use hyper::Method;

use crate::json::{DecodeError, Json, Kind, Object, Writer, first_value};

use super::connection::{Client, ClientError, path};

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

impl Client {
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

    async fn call(&self, method: Method, path: &str, body: Option<String>) -> Result<Json, ClientError> {
        let bytes = self.exchange(method, path, body.unwrap_or_default()).await?;
        if bytes.is_empty() {
            return Ok(Json::Null);
        }
        first_value(&bytes).map_err(|error| self.odd(&error))
    }
}

fn body(fields: impl FnOnce(&mut Writer)) -> String {
    let mut writer = Writer::new();
    writer.object(fields);
    writer.finish()
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
    let mut numbers = BTreeMap::new();
    for (name, value) in attributes {
        if let Json::Number(text) = value {
            numbers.insert(name.clone(), text.clone());
        }
    }
    Ok(ToxicView {
        name: text("name")?,
        kind: text("type")?,
        stream: text("stream")?,
        toxicity: object.field("toxicity").single()?.unwrap_or(1.0),
        attributes: numbers,
    })
}
