//! The one list of all faults. A new fault is a file and a line here; the line makes the variant, the YAML form, the
//! JSON Schema and the entry of the catalogue.

mod fault;

use std::collections::BTreeMap;
use std::fmt;

use murphy_docker::{Command, Limits};
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde_json::Value;

use crate::catalogue::{Entry, Field, entry};
use crate::check::Problems;
use crate::container::{Disconnect, Pause, Remove, Restart, Stop};
use crate::describe::{fields, needs_nothing, schema_of};
use crate::http::{
    Abort, Body, Delay, Drip, Hang, Headers, LoseResponse, Malform, RateLimit, StaleKeepAlive, Truncate,
};
use crate::network::Partition;
use crate::pressure::{CpuPressure, DiskPressure, MemoryPressure};
use crate::process::{Freeze, Kill, SendSignal};
use crate::read::{Settings, bare};
use crate::spec::{Effect, FaultSpec, Place};
use crate::stream::{
    Bandwidth, Blackhole, ConnectionLimit, Corrupt, Drop, Latency, Limit, Loss, Refuse, Reset, Slice,
    SlowClose, SlowOpen, Timeout, TlsHandshake,
};

macro_rules! registry {
    ($($(#[$doc:meta])* $variant:ident($type:ty),)+) => {
        /// A fault with its settings. Written `{ latency: { delay: 800ms } }`, in short `{ latency: 800ms }`, or by
        /// its name alone where it needs no setting.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Fault {
            $($(#[$doc])* $variant($type),)+
        }

        /// All names, in the order of the registry.
        pub const NAMES: &[&str] = &[$(<$type as FaultSpec>::NAME,)+];

        pub(crate) fn entries() -> Vec<Entry> {
            vec![$(entry::<$type>(),)+]
        }

        /// The fields of every fault by its name, made anew of the types: what `make schema` writes down for the
        /// catalogue.
        pub fn described() -> BTreeMap<&'static str, Vec<Field>> {
            BTreeMap::from([$((<$type as FaultSpec>::NAME, fields::<$type>()),)+])
        }

        impl Fault {
            /// The name in the catalogue.
            pub fn name(&self) -> &'static str {
                match self { $(Fault::$variant(_) => <$type as FaultSpec>::NAME,)+ }
            }

            /// The fault with its main settings, as printed: `latency 800ms ± 100ms`.
            pub fn text(&self) -> String {
                match self { $(Fault::$variant(spec) => spec.text(),)+ }
            }

            /// Reports settings that cannot be meant.
            pub fn check(&self, problems: &mut Problems) {
                match self { $(Fault::$variant(spec) => spec.check(problems),)+ }
            }

            /// Reports settings that mean nothing where it sits.
            pub fn check_on(&self, place: Place, problems: &mut Problems) {
                match self { $(Fault::$variant(spec) => spec.check_on(place, problems),)+ }
            }

            /// What it sits on.
            pub fn place(&self) -> Place {
                match self { $(Fault::$variant(_) => <$type as FaultSpec>::PLACE,)+ }
            }

            /// True if it can sit on this.
            pub fn sits_on(&self, place: Place) -> bool {
                match self {
                    $(Fault::$variant(_) =>
                        place == <$type as FaultSpec>::PLACE || <$type as FaultSpec>::ALSO.contains(&place),)+
                }
            }

            /// What it does to this; `None` where it cannot sit.
            pub fn effect_on(&self, place: Place) -> Option<Effect> {
                match self { $(Fault::$variant(spec) => spec.effect_on(place),)+ }
            }

            /// What it does.
            pub fn effect(&self) -> Effect {
                match self { $(Fault::$variant(spec) => spec.effect(),)+ }
            }

            fn to_value(&self) -> Result<Value, serde_json::Error> {
                match self { $(Fault::$variant(spec) => serde_json::to_value(spec),)+ }
            }
        }

        $(
            impl From<$type> for Fault {
                fn from(spec: $type) -> Fault {
                    Fault::$variant(spec)
                }
            }
        )+

        impl serde::Serialize for Fault {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(Some(1))?;
                match self { $(Fault::$variant(spec) => map.serialize_entry(self.name(), spec)?,)+ }
                map.end()
            }
        }

        impl<'de> Visitor<'de> for FaultVisitor {
            type Value = Fault;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one fault, for example `{ latency: 800ms }`")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Fault, E> {
                $(if name == <$type as FaultSpec>::NAME {
                    return bare::<$type, E>().map(Fault::$variant);
                })+
                Err(E::unknown_variant(name, NAMES))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fault, A::Error> {
                use de::Error;
                let Some(name) = map.next_key::<String>()? else {
                    return Err(A::Error::custom("an empty map is not a fault: write for example `{ latency: 800ms }`"));
                };
                let fault = match name.as_str() {
                    $(n if n == <$type as FaultSpec>::NAME =>
                        map.next_value_seed(Settings::<$type>::of()).map(Fault::$variant)?,)+
                    _ => return Err(A::Error::unknown_variant(&name, NAMES)),
                };
                match map.next_key::<String>()? {
                    None => Ok(fault),
                    Some(second) => Err(A::Error::custom(format!(
                        "`{second}` stands beside `{name}`, but this is one fault: make a second entry for a second \
                         fault, or indent a setting below `{name}`"
                    ))),
                }
            }
        }

        impl schemars::JsonSchema for Fault {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                "Fault".into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let mut forms = vec![$(schema_of::<$type>(generator).to_value(),)+];
                let mut alone: Vec<&str> = Vec::new();
                $(if needs_nothing::<$type>() {
                    alone.push(<$type as FaultSpec>::NAME);
                })+
                forms.push(serde_json::json!({ "enum": alone, "description": "a fault that needs no setting" }));
                schemars::json_schema!({ "oneOf": forms, "description": "A fault with its settings." })
            }
        }
    };
}

struct FaultVisitor;

impl<'de> serde::Deserialize<'de> for Fault {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Fault, D::Error> {
        deserializer.deserialize_any(FaultVisitor)
    }
}

registry! {
    /// Bytes arrive later.
    Latency(Latency),
    /// Bytes pass at a rate.
    Bandwidth(Bandwidth),
    /// Bytes arrive in small pieces.
    Slice(Slice),
    /// Some bytes come a retransmission later.
    Loss(Loss),
    /// Bits flip.
    Corrupt(Corrupt),
    /// Nothing comes through.
    Blackhole(Blackhole),
    /// Nothing comes through, then connections close.
    Timeout(Timeout),
    /// So many bytes pass.
    Limit(Limit),
    /// Connections close.
    Drop(Drop),
    /// Connections break.
    Reset(Reset),
    /// The end of a stream is passed on late.
    SlowClose(SlowClose),
    /// The dependency is dialled late.
    SlowOpen(SlowOpen),
    /// New connections are refused.
    Refuse(Refuse),
    /// TLS handshakes go wrong.
    TlsHandshake(TlsHandshake),
    /// Only so many connections at a time.
    ConnectionLimit(ConnectionLimit),
    /// Requests are answered with an error.
    Abort(Abort),
    /// Answers come late.
    Delay(Delay),
    /// Requests are not answered.
    Hang(Hang),
    /// Bodies come in drops.
    Drip(Drip),
    /// Bodies end too early.
    Truncate(Truncate),
    /// Answers break the rules.
    Malform(Malform),
    /// Headers change.
    Headers(Headers),
    /// Bodies change.
    Body(Body),
    /// Requests above a rate are refused.
    RateLimit(RateLimit),
    /// The work is done, and its answer is lost.
    LoseResponse(LoseResponse),
    /// A kept-alive connection closes as it is used again.
    StaleKeepAlive(StaleKeepAlive),
    /// A process or container ends.
    Kill(Kill),
    /// A process stands still.
    Freeze(Freeze),
    /// A process or container is sent a signal.
    Signal(SendSignal),
    /// A container is stopped in order.
    Stop(Stop),
    /// A container is stopped and started again.
    Restart(Restart),
    /// A container stands still.
    Pause(Pause),
    /// A container is gone.
    Remove(Remove),
    /// A container is off its network.
    Disconnect(Disconnect),
    /// A container gets less.
    Limits(Limits),
    /// A command runs in a container.
    Exec(Command),
    /// No packet passes.
    Partition(Partition),
    /// Processors are busy.
    CpuPressure(CpuPressure),
    /// Memory is held.
    MemoryPressure(MemoryPressure),
    /// A file system is filled.
    DiskPressure(DiskPressure),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;

    fn read(yaml: &str) -> Result<Fault, String> {
        serde_yaml::from_str(yaml).map_err(|error| error.to_string())
    }

    #[test]
    fn every_example_is_read_passes_its_check_and_is_written_back() {
        for entry in catalogue() {
            let fault = read(entry.example).unwrap_or_else(|error| panic!("{}: {error}", entry.example));
            assert_eq!(fault.name(), entry.name);
            assert_eq!(fault.place(), entry.place);
            for place in [Place::Edge, Place::Process, Place::Container, Place::Network, Place::Host] {
                let can = place == entry.place || entry.also.contains(&place);
                assert_eq!(fault.sits_on(place), can, "{}", entry.name);
                assert_eq!(fault.effect_on(place).is_some(), can, "{}", entry.name);
            }
            assert!(fault.problems().is_empty(), "{}: {:?}", entry.name, fault.problems());
            assert!(fault.text().starts_with(entry.name), "{}", fault.text());
            let yaml = serde_yaml::to_string(&fault).unwrap();
            assert_eq!(read(&yaml).as_ref(), Ok(&fault), "{yaml}");
            let json = serde_json::to_string(&fault).unwrap();
            assert_eq!(serde_json::from_str::<Fault>(&json).unwrap(), fault, "{json}");
            assert_eq!(
                fault.acts_on_requests(),
                entry.grain == crate::spec::Grain::Requests,
                "{}",
                entry.name
            );
            for setting in fault.settings().keys() {
                assert!(entry.fields.iter().any(|field| field.name == *setting), "{} {setting}", entry.name);
            }
        }
    }

    #[test]
    fn every_field_says_what_it_means() {
        for entry in catalogue() {
            assert!(entry.about.ends_with('.') && !entry.about.contains("  "), "{}", entry.about);
            for field in &entry.fields {
                assert!(!field.about.is_empty(), "{}.{}", entry.name, field.name);
                assert_ne!(field.form, "value", "{}.{}", entry.name, field.name);
            }
            if let Some(short) = entry.shorthand {
                assert!(entry.fields.iter().any(|field| field.name == short), "{}", entry.name);
            }
        }
    }

    #[test]
    fn the_short_form_is_the_long_form() {
        assert_eq!(read("latency: 800ms"), read("latency: { delay: 800ms }"));
        assert_eq!(read("freeze"), read("freeze: {}"));
        assert_eq!(read("refuse"), read("refuse:"));
        assert_eq!(read("reset"), read("reset: {}"));
        assert_eq!(read("connection-limit: 3"), read("connection-limit: { max: 3, then: refuse }"));
        assert_eq!(read("disconnect: back"), read("disconnect: { network: back }"));
        assert_eq!(read("limits: 64MiB"), read("limits: { memory: 64MiB }"));
        assert_eq!(read("kill: SIGTERM"), read("kill: { signal: SIGTERM }"));
    }

    #[test]
    fn errors_say_what_to_write() {
        for (yaml, wanted) in [
            ("latncy: 800ms", "latency"),
            ("latncy", "unknown variant `latncy`"),
            ("latency: 800", "`800ms`?"),
            ("latency: { delay: 800 }", "`800ms`?"),
            ("latency: { dealy: 800ms }", "unknown field `dealy`"),
            ("latency", "missing field `delay`"),
            ("latency: [800ms]", "`latency`"),
            ("{ latency: 1s, kill: SIGTERM }", "stands beside `latency`"),
            ("{}", "write for example"),
            ("freeze: 10s", "no short form"),
            ("kill: { signal: SIGFOO }", "SIGKILL"),
            ("7", "one fault"),
        ] {
            let error = read(yaml).unwrap_err();
            assert!(error.contains(wanted), "{yaml}: {error}");
        }
    }

    #[test]
    fn the_schema_knows_every_fault() {
        let schema = serde_json::to_value(schemars::schema_for!(Fault)).unwrap().to_string();
        for name in NAMES {
            assert!(schema.contains(&format!("\"{name}\"")), "{name}");
        }
    }
}
