//! `tls-handshake`: what callers meet when they shake hands. It shows whether a caller checks whom it talks to, and what it does when
//! that is not who it should be.

use murphy_proxy::{EdgeEffect, HandshakeEffect};
use murphy_tls::Flaw;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spec::{Effect, FaultSpec, Place};

/// What callers meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Meets {
    /// A certificate whose time is over, since yesterday.
    Expired,
    /// A certificate whose time begins tomorrow.
    NotYetValid,
    /// A certificate for another host.
    WrongHost,
    /// A certificate that is signed by itself.
    SelfSigned,
    /// A certificate of an authority that nobody trusts.
    Untrusted,
    /// A fatal alert.
    Refused,
    /// No answer to their greeting.
    Stalled,
}

/// Breaks the TLS handshakes of callers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TlsHandshake {
    /// What callers meet when they shake hands.
    pub meets: Meets,
}

impl FaultSpec for TlsHandshake {
    const NAME: &'static str = "tls-handshake";
    const ABOUT: &'static str = "New connections meet a bad certificate, a refused or a stalled TLS handshake; those that are open stay.";
    const EXAMPLE: &'static str = "{ tls-handshake: { meets: expired } }";
    const PLACE: Place = Place::Edge;
    const SHORTHAND: Option<&'static str> = Some("meets");

    fn text(&self) -> String {
        let meets = match self.meets {
            Meets::Expired => "expired certificate",
            Meets::NotYetValid => "certificate not yet valid",
            Meets::WrongHost => "certificate for another host",
            Meets::SelfSigned => "self-signed certificate",
            Meets::Untrusted => "certificate of an untrusted authority",
            Meets::Refused => "refused",
            Meets::Stalled => "stalled",
        };
        format!("tls-handshake: {meets}")
    }

    fn effect(&self) -> Effect {
        Effect::Edge(EdgeEffect::Handshake(match self.meets {
            Meets::Expired => HandshakeEffect::Show(Flaw::Expired),
            Meets::NotYetValid => HandshakeEffect::Show(Flaw::NotYetValid),
            Meets::WrongHost => HandshakeEffect::Show(Flaw::WrongHost),
            Meets::SelfSigned => HandshakeEffect::Show(Flaw::SelfSigned),
            Meets::Untrusted => HandshakeEffect::Show(Flaw::Untrusted),
            Meets::Refused => HandshakeEffect::Refuse,
            Meets::Stalled => HandshakeEffect::Stall,
        }))
    }
}
