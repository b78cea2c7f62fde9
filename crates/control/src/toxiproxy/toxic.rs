//! A toxic as a client names it: its type, its numbers, its stream, its share of connections.
//!
//! Plain data and its reading and writing. What it does to bytes is in `harm`; nothing here knows a socket.

use std::fmt;

use crate::json::{DecodeError, Field, Kind, Writer};

/// The type of a toxic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ToxicType {
    /// Bytes arrive later.
    Latency,
    /// Bytes pass at a rate.
    Bandwidth,
    /// The end arrives later.
    SlowClose,
    /// Nothing arrives, and the connection closes after a while.
    Timeout,
    /// The connection is reset.
    ResetPeer,
    /// Bytes arrive in small pieces.
    Slicer,
    /// The connection closes after so many bytes.
    LimitData,
    /// Some bytes arrive late, as after a retransmission.
    PacketLoss,
    /// Nothing happens.
    Noop,
}

/// How a number of a toxic is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Integer,
    Int,
    Double,
}

impl ToxicType {
    /// All, in the order of the documentation.
    pub const ALL: [ToxicType; 9] = [
        ToxicType::Latency,
        ToxicType::Bandwidth,
        ToxicType::SlowClose,
        ToxicType::Timeout,
        ToxicType::ResetPeer,
        ToxicType::Slicer,
        ToxicType::LimitData,
        ToxicType::PacketLoss,
        ToxicType::Noop,
    ];

    /// The type with that name, exactly.
    pub fn named(name: &str) -> Option<ToxicType> {
        ToxicType::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            ToxicType::Latency => "latency",
            ToxicType::Bandwidth => "bandwidth",
            ToxicType::SlowClose => "slow_close",
            ToxicType::Timeout => "timeout",
            ToxicType::ResetPeer => "reset_peer",
            ToxicType::Slicer => "slicer",
            ToxicType::LimitData => "limit_data",
            ToxicType::PacketLoss => "packet_loss",
            ToxicType::Noop => "noop",
        }
    }

    /// What its attributes are called in messages.
    fn path(self) -> &'static str {
        match self {
            ToxicType::Latency => "LatencyToxic.attributes",
            ToxicType::Bandwidth => "BandwidthToxic.attributes",
            ToxicType::SlowClose => "SlowCloseToxic.attributes",
            ToxicType::Timeout => "TimeoutToxic.attributes",
            ToxicType::ResetPeer => "ResetToxic.attributes",
            ToxicType::Slicer => "SlicerToxic.attributes",
            ToxicType::LimitData => "LimitDataToxic.attributes",
            ToxicType::PacketLoss => "PacketLossToxic.attributes",
            ToxicType::Noop => "NoopToxic.attributes",
        }
    }

    /// Its type in Go.
    fn go_type(self) -> &'static str {
        match self {
            ToxicType::Latency => "toxics.LatencyToxic",
            ToxicType::Bandwidth => "toxics.BandwidthToxic",
            ToxicType::SlowClose => "toxics.SlowCloseToxic",
            ToxicType::Timeout => "toxics.TimeoutToxic",
            ToxicType::ResetPeer => "toxics.ResetToxic",
            ToxicType::Slicer => "toxics.SlicerToxic",
            ToxicType::LimitData => "toxics.LimitDataToxic",
            ToxicType::PacketLoss => "toxics.PacketLossToxic",
            ToxicType::Noop => "toxics.NoopToxic",
        }
    }

    /// The names of its numbers, in the order in which they are written.
    fn attributes(self) -> &'static [(&'static str, Form)] {
        match self {
            ToxicType::Latency => &[("latency", Form::Integer), ("jitter", Form::Integer)],
            ToxicType::Bandwidth => &[("rate", Form::Integer)],
            ToxicType::SlowClose => &[("delay", Form::Integer)],
            ToxicType::Timeout | ToxicType::ResetPeer => &[("timeout", Form::Integer)],
            ToxicType::Slicer => {
                &[("average_size", Form::Int), ("size_variation", Form::Int), ("delay", Form::Int)]
            }
            ToxicType::LimitData => &[("bytes", Form::Integer)],
            ToxicType::PacketLoss => &[("loss_rate", Form::Double), ("correlation", Form::Double)],
            ToxicType::Noop => &[],
        }
    }
}

impl fmt::Display for ToxicType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A number of a toxic.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Amount {
    Whole(i64),
    Part(f64),
}

/// The numbers of a toxic, all 0 unless given.
#[derive(Debug, Clone, PartialEq)]
pub struct Attributes {
    kind: ToxicType,
    amounts: Vec<Amount>,
}

impl Attributes {
    /// All zero.
    pub fn of(kind: ToxicType) -> Attributes {
        let zero = |form: &(&str, Form)| match form.1 {
            Form::Integer | Form::Int => Amount::Whole(0),
            Form::Double => Amount::Part(0.0),
        };
        Attributes { kind, amounts: kind.attributes().iter().map(zero).collect() }
    }

    /// With the given numbers, in their order.
    #[cfg(test)]
    pub(super) fn with(kind: ToxicType, whole: [i64; 3], part: [f64; 2]) -> Attributes {
        let mut attributes = Attributes::of(kind);
        for (index, amount) in attributes.amounts.iter_mut().enumerate() {
            *amount = match amount {
                Amount::Whole(_) => Amount::Whole(whole[index]),
                Amount::Part(_) => Amount::Part(part[index]),
            };
        }
        attributes
    }

    /// The type whose attributes these are.
    pub fn kind(&self) -> ToxicType {
        self.kind
    }

    /// A whole number by its name; 0 for a name that the type does not have.
    pub fn whole(&self, name: &str) -> i64 {
        match self.amount(name) {
            Some(Amount::Whole(number)) => number,
            _ => 0,
        }
    }

    /// A fraction by its name; 0 for a name that the type does not have.
    pub fn part(&self, name: &str) -> f64 {
        match self.amount(name) {
            Some(Amount::Part(number)) => number,
            _ => 0.0,
        }
    }

    fn amount(&self, name: &str) -> Option<Amount> {
        let at = self.kind.attributes().iter().position(|(known, _)| *known == name)?;
        self.amounts.get(at).copied()
    }

    /// Takes over what an `attributes` field gives; what it does not give stays. On an error nothing is changed.
    pub fn merge(&mut self, field: &Field<'_>) -> Result<(), DecodeError> {
        let kind = Kind::Struct(self.kind.go_type());
        let Some(object) = field.object(self.kind.path(), kind)? else { return Ok(()) };
        let mut merged = self.amounts.clone();
        for ((name, form), amount) in self.kind.attributes().iter().zip(&mut merged) {
            let field = object.field(name);
            let given = match form {
                Form::Integer => field.integer_as(Kind::Integer)?.map(Amount::Whole),
                Form::Int => field.integer_as(Kind::Int)?.map(Amount::Whole),
                Form::Double => field.double()?.map(Amount::Part),
            };
            *amount = given.unwrap_or(*amount);
        }
        self.amounts = merged;
        Ok(())
    }

    fn write(&self, writer: &mut Writer) {
        writer.object(|w| {
            for ((name, _), amount) in self.kind.attributes().iter().zip(&self.amounts) {
                match amount {
                    Amount::Whole(number) => w.field(name).integer(*number),
                    Amount::Part(number) => w.field(name).double(*number),
                };
            }
        });
    }
}

/// The way of a proxy on which a toxic sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// From the client to the upstream.
    Upstream,
    /// Both ways. Toxiproxy does not have it.
    Both,
    /// From the upstream to the client.
    Downstream,
}

impl Stream {
    /// The stream with that name in any case.
    pub fn named(name: &str) -> Option<Stream> {
        match name.to_ascii_lowercase().as_str() {
            "upstream" => Some(Stream::Upstream),
            "both" => Some(Stream::Both),
            "downstream" => Some(Stream::Downstream),
            _ => None,
        }
    }
}

/// A toxic on a proxy.
#[derive(Debug, Clone, PartialEq)]
pub struct Toxic {
    /// Unique on its proxy, over both streams.
    pub name: String,
    /// Where it sits.
    pub stream: Stream,
    /// The same as the client wrote it, because it is echoed so.
    pub stream_as_written: String,
    /// The share of connections that it acts on, 0 to 1.
    pub toxicity: f32,
    /// Its numbers, and with them its type.
    pub attributes: Attributes,
}

impl Toxic {
    /// Writes it as an object.
    pub fn write(&self, writer: &mut Writer) {
        writer.object(|w| {
            w.field("attributes");
            self.attributes.write(w);
            w.field("name").text(&self.name);
            w.field("type").text(self.attributes.kind.name());
            w.field("stream").text(&self.stream_as_written);
            w.field("toxicity").single(self.toxicity);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Json, Object, first_value};

    fn merged(kind: ToxicType, json: &str) -> Result<Attributes, String> {
        let body = Json::Object(vec![("attributes".into(), first_value(json.as_bytes()).unwrap())]);
        let object = Object::of(&body, "", Kind::Struct("")).unwrap();
        let mut attributes = Attributes::of(kind);
        attributes.merge(&object.field("attributes")).map(|()| attributes).map_err(|error| error.to_string())
    }

    fn written(kind: ToxicType, json: &str) -> String {
        let mut writer = Writer::new();
        merged(kind, json).unwrap().write(&mut writer);
        writer.finish()
    }

    #[test]
    fn every_type_writes_all_its_numbers_in_order() {
        for (kind, wanted) in [
            (ToxicType::Latency, r#"{"latency":0,"jitter":0}"#),
            (ToxicType::Bandwidth, r#"{"rate":0}"#),
            (ToxicType::SlowClose, r#"{"delay":0}"#),
            (ToxicType::Timeout, r#"{"timeout":0}"#),
            (ToxicType::ResetPeer, r#"{"timeout":0}"#),
            (ToxicType::Slicer, r#"{"average_size":0,"size_variation":0,"delay":0}"#),
            (ToxicType::LimitData, r#"{"bytes":0}"#),
            (ToxicType::PacketLoss, r#"{"loss_rate":0,"correlation":0}"#),
            (ToxicType::Noop, "{}"),
        ] {
            assert_eq!(written(kind, "{}"), wanted);
            assert_eq!(ToxicType::named(kind.name()), Some(kind));
        }
        assert_eq!(
            written(ToxicType::Latency, r#"{"JITTER":5,"latency":100}"#),
            r#"{"latency":100,"jitter":5}"#
        );
        assert_eq!(
            written(ToxicType::PacketLoss, r#"{"loss_rate":0.25}"#),
            r#"{"loss_rate":0.25,"correlation":0}"#
        );
    }

    #[test]
    fn an_attribute_of_the_wrong_kind_is_named_and_changes_nothing() {
        assert_eq!(
            merged(ToxicType::Latency, r#"{"latency":1.5}"#).unwrap_err(),
            "json: cannot unmarshal number 1.5 into Go struct field LatencyToxic.attributes.latency of type int64"
        );
        assert_eq!(
            merged(ToxicType::Slicer, r#"{"delay":"1"}"#).unwrap_err(),
            "json: cannot unmarshal string into Go struct field SlicerToxic.attributes.delay of type int"
        );
        let body = first_value(br#"{"attributes":{"latency":99,"jitter":"x"}}"#).unwrap();
        let object = Object::of(&body, "", Kind::Struct("")).unwrap();
        let mut attributes = Attributes::of(ToxicType::Latency);
        assert!(attributes.merge(&object.field("attributes")).is_err());
        assert_eq!(attributes, Attributes::of(ToxicType::Latency));
    }
}
