//! What a person writes about TLS on an edge: plain data, the same in YAML, JSON and on the command line.

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, IntoDeserializer as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::upstream::{Identity, UpstreamSettings, Verify};

/// Murphy's own authority, where a file of authorities is asked for.
const OWN: &str = "murphy";

/// On which sides of an edge TLS is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// Callers speak TLS with Murphy, and Murphy with the dependency.
    #[default]
    Both,
    /// Callers speak TLS with Murphy, which dials the dependency without.
    Terminate,
    /// Callers speak without TLS, and Murphy dials the dependency with it.
    Originate,
}

impl TlsMode {
    /// True if callers speak TLS with Murphy.
    pub fn terminates(self) -> bool {
        self != TlsMode::Originate
    }

    /// True if Murphy speaks TLS with the dependency.
    pub fn originates(self) -> bool {
        self != TlsMode::Terminate
    }
}

/// TLS on an edge. In short its mode alone: `tls: terminate`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TlsSettings {
    /// On which sides; both if left out.
    pub mode: TlsMode,
    /// The name that the dependency's certificate must have; the host of `to` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A file with the authorities that are trusted instead of the system's, in PEM form; `murphy` is Murphy's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// A file with the certificate that Murphy shows the dependency, in PEM form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// A file with that certificate's key, in PEM form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// How far the dependency's certificate is checked; in full if left out.
    #[serde(skip_serializing_if = "is_full")]
    pub verify: Verify,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // what serde asks for
fn is_full(verify: &Verify) -> bool {
    *verify == Verify::Full
}

/// Settings that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsProblem {
    /// The field.
    pub field: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

impl TlsSettings {
    /// This mode, and all else as it is without a word.
    pub fn of(mode: TlsMode) -> TlsSettings {
        TlsSettings { mode, ..TlsSettings::default() }
    }

    /// Settings that cannot be meant.
    pub fn problems(&self) -> Vec<TlsProblem> {
        let mut problems = Vec::new();
        let mut problem = |field, message: String, help: &str| {
            problems.push(TlsProblem { field, message, help: help.to_owned() });
        };
        if !self.mode.originates() {
            let given = [
                ("name", self.name.is_some()),
                ("ca", self.ca.is_some()),
                ("cert", self.cert.is_some()),
                ("key", self.key.is_some()),
                ("verify", self.verify != Verify::Full),
            ];
            for (field, _) in given.into_iter().filter(|(_, given)| *given) {
                let message = format!("`{field}` is about the dependency, which is dialled without TLS");
                problem(field, message, "remove it, or write `mode: both`");
            }
            return problems;
        }
        match (&self.cert, &self.key) {
            (Some(_), None) => problem("cert", "`cert` without its `key`".into(), "write `key: client.key`"),
            (None, Some(_)) => problem("key", "`key` without its `cert`".into(), "write `cert: client.pem`"),
            _ => {}
        }
        if self.verify == Verify::Nothing {
            for (field, given) in [("ca", self.ca.is_some()), ("name", self.name.is_some())] {
                if given {
                    let message = format!("`{field}` says what is checked, and nothing is");
                    problem(field, message, "remove `verify`");
                }
            }
        }
        for (field, path) in [("ca", &self.ca), ("cert", &self.cert), ("key", &self.key)] {
            if path.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
                problem(field, format!("`{field}` is no file"), "write the path of a PEM file");
            }
        }
        problems
    }

    /// True if Murphy's own authority is trusted.
    pub fn trusts_murphy(&self) -> bool {
        self.ca.as_deref() == Some(Path::new(OWN))
    }

    /// The same with all files made relative to something.
    pub fn with_paths(mut self, relative: impl Fn(&Path) -> PathBuf) -> TlsSettings {
        for path in [&mut self.ca, &mut self.cert, &mut self.key].into_iter().flatten() {
            if path.as_os_str() != OWN {
                *path = relative(path);
            }
        }
        self
    }

    /// What is said of the dependency.
    pub fn upstream(&self) -> UpstreamSettings {
        let identity = self.cert.clone().zip(self.key.clone()).map(|(cert, key)| Identity { cert, key });
        UpstreamSettings { name: self.name.clone(), ca: self.ca.clone(), identity, verify: self.verify }
    }
}

impl fmt::Display for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.mode {
            TlsMode::Both => "TLS on both sides",
            TlsMode::Terminate => "TLS with callers",
            TlsMode::Originate => "TLS with the dependency",
        })?;
        f.write_str(if self.verify == Verify::Nothing { ", whose certificate is not checked" } else { "" })
    }
}

/// The long form.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "TlsFields")]
struct Fields {
    /// On which sides; both if left out.
    #[serde(default)]
    mode: TlsMode,
    /// The name that the dependency's certificate must have; the host of `to` if left out.
    name: Option<String>,
    /// A file with the authorities that are trusted instead of the system's, in PEM form; `murphy` is Murphy's own.
    ca: Option<PathBuf>,
    /// A file with the certificate that Murphy shows the dependency, in PEM form.
    cert: Option<PathBuf>,
    /// A file with that certificate's key, in PEM form.
    key: Option<PathBuf>,
    /// How far the dependency's certificate is checked; in full if left out.
    #[serde(default)]
    verify: Verify,
}

struct SettingsVisitor;

impl<'de> Visitor<'de> for SettingsVisitor {
    type Value = TlsSettings;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TLS, as `both`, `terminate`, `originate` or `{ mode: both, ca: ca.pem }`")
    }

    fn visit_str<E: de::Error>(self, mode: &str) -> Result<TlsSettings, E> {
        TlsMode::deserialize(mode.into_deserializer()).map(TlsSettings::of)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TlsSettings, A::Error> {
        let Fields { mode, name, ca, cert, key, verify } =
            Fields::deserialize(MapAccessDeserializer::new(map))?;
        Ok(TlsSettings { mode, name, ca, cert, key, verify })
    }
}

impl<'de> Deserialize<'de> for TlsSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TlsSettings, D::Error> {
        deserializer.deserialize_any(SettingsVisitor)
    }
}

impl JsonSchema for TlsSettings {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Tls".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let (short, long) = (generator.subschema_for::<TlsMode>(), generator.subschema_for::<Fields>());
        schemars::json_schema!({ "oneOf": [short, long], "description": "On which sides of an edge TLS is spoken." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(settings: &TlsSettings) -> Vec<&'static str> {
        settings.problems().iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn what_cannot_be_meant_is_found() {
        let path = || Some(PathBuf::from("x.pem"));
        assert_eq!(fields(&TlsSettings::default()), [""; 0]);
        assert_eq!(fields(&TlsSettings { cert: path(), ..Default::default() }), ["cert"]);
        assert_eq!(fields(&TlsSettings { key: path(), ..Default::default() }), ["key"]);
        assert_eq!(fields(&TlsSettings { cert: path(), key: path(), ..Default::default() }), [""; 0]);
        assert_eq!(
            fields(&TlsSettings { ca: path(), verify: Verify::Nothing, ..Default::default() }),
            ["ca"]
        );
        let terminate = TlsSettings { ca: path(), ..TlsSettings::of(TlsMode::Terminate) };
        assert_eq!(fields(&terminate), ["ca"]);
        assert_eq!(fields(&TlsSettings { ca: Some(PathBuf::new()), ..Default::default() }), ["ca"]);
    }
}
