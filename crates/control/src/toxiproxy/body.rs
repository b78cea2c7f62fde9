//! What clients send: bodies to specifications, with Toxiproxy's defaults, messages and order of checks.

use murphy_core::Protocol;

use crate::json::{DecodeError, Json, Kind, Object, first_value, list_of};
use crate::proxies::{MOST_PROXIES, ProxyChange, ProxySpec};

use super::compat::Compat;
use super::refusal::Refusal;
use super::toxic::{Attributes, Stream, Toxic, ToxicType};

const PROXY: Kind = Kind::Struct("toxiproxy.Proxy");
const TOXIC: Kind = Kind::Struct("toxics.ToxicWrapper");

/// The longest name or address: longer than any that can be meant, and short enough for as many as may be kept.
pub const LONGEST: usize = 1024;

fn parse(body: &[u8]) -> Result<Json, Refusal> {
    first_value(body).map_err(|error| Refusal::BadBody(error.into()))
}

fn check_length(field: &'static str, text: &str) -> Result<(), Refusal> {
    let length = text.len();
    if length > LONGEST { Err(Refusal::LongText { field, length, most: LONGEST }) } else { Ok(()) }
}

/// The fields of a proxy, checked for kind only.
fn proxy_fields(object: Object<'_>, compat: Compat) -> Result<(ProxySpec, Vec<Json>), DecodeError> {
    let text = |name| object.field(name).text().map(|text| text.unwrap_or_default().to_owned());
    let spec = ProxySpec {
        name: text("name")?,
        listen: text("listen")?,
        upstream: text("upstream")?,
        protocol: Protocol::Tcp,
        tls: None,
        enabled: object.field("enabled").boolean()?.unwrap_or(true),
        toxics: Vec::new(),
    };
    let toxics = match compat {
        Compat::Strict => Vec::new(),
        Compat::Better => {
            let list = object.field("toxics").list(Kind::List("[]toxics.ToxicWrapper"))?;
            list.unwrap_or_default().to_vec()
        }
    };
    Ok((spec, toxics))
}

fn with_toxics((mut spec, toxics): (ProxySpec, Vec<Json>), compat: Compat) -> Result<ProxySpec, Refusal> {
    for (field, text) in [("name", &spec.name), ("listen", &spec.listen), ("upstream", &spec.upstream)] {
        check_length(field, text)?;
    }
    for json in &toxics {
        let mut toxic = toxic_of(json, compat)?;
        fill(&mut toxic, json)?;
        spec.toxics.push(toxic);
    }
    Ok(spec)
}

/// The body of `POST /proxies`.
pub fn proxy(body: &[u8], compat: Compat) -> Result<ProxySpec, Refusal> {
    let json = parse(body)?;
    let object = Object::of(&json, "Proxy", PROXY)?;
    let fields = proxy_fields(object, compat)?;
    if fields.0.name.is_empty() {
        return Err(Refusal::Missing { field: "name", item: None });
    }
    if fields.0.upstream.is_empty() {
        return Err(Refusal::Missing { field: "upstream", item: None });
    }
    with_toxics(fields, compat)
}

/// The body of `POST /populate` and the configuration file: all are checked before any is touched.
pub fn proxies(body: &[u8], compat: Compat) -> Result<Vec<ProxySpec>, Refusal> {
    let json = parse(body)?;
    let items = list_of(&json, Kind::List("[]toxiproxy.Proxy"))?;
    if items.len() > MOST_PROXIES {
        return Err(Refusal::ManyProxies { items: items.len(), most: MOST_PROXIES });
    }
    let mut specs = Vec::with_capacity(items.len());
    for item in items {
        specs.push(proxy_fields(Object::of(item, "Proxy", PROXY)?, compat)?);
    }
    for (index, (spec, _)) in specs.iter().enumerate() {
        let item = Some(index + 1);
        if spec.name.is_empty() {
            return Err(Refusal::Missing { field: "name", item });
        }
        if spec.upstream.is_empty() {
            return Err(Refusal::Missing { field: "upstream", item });
        }
    }
    specs.into_iter().map(|fields| with_toxics(fields, compat)).collect()
}

/// The body of an update of a proxy.
pub fn change(body: &[u8]) -> Result<ProxyChange, Refusal> {
    let json = parse(body)?;
    let object = Object::of(&json, "Proxy", PROXY)?;
    // Read for its kind only: a name cannot be changed.
    object.field("name").text()?;
    let text = |name: &'static str| -> Result<Option<String>, Refusal> {
        let field = object.field(name);
        let text = field.text()?;
        text.map_or(Ok(()), |text| check_length(name, text))?;
        Ok(text.map(str::to_owned))
    };
    Ok(ProxyChange {
        listen: text("listen")?,
        upstream: text("upstream")?,
        enabled: object.field("enabled").boolean()?,
    })
}

/// The body of `POST /proxies/{proxy}/toxics`: everything but the numbers, which are read when the name is known to be
/// free.
pub struct NewToxic {
    /// With all numbers 0.
    pub toxic: Toxic,
    json: Json,
}

impl NewToxic {
    /// Reads the body.
    pub fn read(body: &[u8], compat: Compat) -> Result<NewToxic, Refusal> {
        let json = parse(body)?;
        Ok(NewToxic { toxic: toxic_of(&json, compat)?, json })
    }

    /// Gives the toxic its numbers.
    pub fn fill(&self, toxic: &mut Toxic) -> Result<(), Refusal> {
        fill(toxic, &self.json)
    }
}

fn fill(toxic: &mut Toxic, json: &Json) -> Result<(), Refusal> {
    Ok(toxic.attributes.merge(&Object::of(json, "ToxicWrapper", TOXIC)?.field("attributes"))?)
}

fn toxic_of(json: &Json, compat: Compat) -> Result<Toxic, Refusal> {
    let object = Object::of(json, "ToxicWrapper", TOXIC)?;
    // Attributes are read as those of any type first: a list or a number cannot be any.
    object.field("attributes").object("", Kind::Struct("toxics.NoopToxic"))?;
    let name = object.field("name").text()?.unwrap_or_default();
    let kind = object.field("type").text()?.unwrap_or_default();
    let stream = object.field("stream").text()?;
    // What the client of noxious calls it.
    let alias = match compat {
        Compat::Strict => None,
        Compat::Better => object.field("direction").text()?,
    };
    let stream_as_written = stream.or(alias).unwrap_or("downstream");
    let toxicity = object.field("toxicity").single()?.unwrap_or(1.0);
    let stream = Stream::named(stream_as_written)
        .filter(|stream| *stream != Stream::Both || compat == Compat::Better)
        .ok_or(Refusal::BadStream)?;
    let name = if name.is_empty() { format!("{kind}_{stream_as_written}") } else { name.to_owned() };
    let kind = ToxicType::named(kind).ok_or(Refusal::BadType)?;
    check_length("name", &name)?;
    let attributes = Attributes::of(kind);
    Ok(Toxic { name, stream, stream_as_written: stream_as_written.to_owned(), toxicity, attributes })
}

/// The body of an update of a toxic, to be laid over the one that is there.
pub struct ToxicChange {
    json: Json,
}

impl ToxicChange {
    /// Reads the body; what its attributes may be is known only with the toxic.
    pub fn read(body: &[u8]) -> Result<ToxicChange, Refusal> {
        let json = parse(body)?;
        Object::of(&json, "", TOXIC)?.field("toxicity").single()?;
        Ok(ToxicChange { json })
    }

    /// Lays it over a toxic.
    pub fn apply(&self, toxic: &mut Toxic) -> Result<(), Refusal> {
        let object = Object::of(&self.json, "", TOXIC)?;
        toxic.attributes.merge(&object.field("attributes"))?;
        toxic.toxicity = object.field("toxicity").single()?.unwrap_or(toxic.toxicity);
        Ok(())
    }
}
