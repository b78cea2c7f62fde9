//! `corrupt`: bits flip on the way, as behind a broken memory or a faulty middle box that repairs the checksum.

use bytes::{Bytes, BytesMut};
use murphy_core::{Chance, Dice};
use murphy_proxy::{Chunk, EdgeEffect, EffectFactory, Outbox, StreamEffect};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::Problems;
use crate::spec::{Effect, FaultSpec, Place};

/// Flips bits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Corrupt {
    /// The share of reads that are hit.
    pub rate: Chance,
    /// How many bytes of a read are changed, by one bit each; 1 if left out.
    #[serde(default = "one")]
    pub bytes: u32,
}

fn one() -> u32 {
    1
}

impl FaultSpec for Corrupt {
    const NAME: &'static str = "corrupt";
    const ABOUT: &'static str = "Some bytes change by one bit; nothing is lost and nothing is late.";
    const EXAMPLE: &'static str = "{ corrupt: { rate: 1%, bytes: 2 } }";
    const PLACE: Place = Place::Edge;
    const SHORTHAND: Option<&'static str> = Some("rate");

    fn text(&self) -> String {
        format!(
            "corrupt {} of {}",
            if self.bytes == 1 { "a byte".to_owned() } else { format!("{} bytes", self.bytes) },
            self.rate
        )
    }

    fn check(&self, problems: &mut Problems) {
        if self.bytes == 0 {
            problems.field("bytes", "no byte would change", "write at least 1");
        }
    }

    fn effect(&self) -> Effect {
        Effect::Edge(EdgeEffect::stream(self.clone()))
    }
}

impl EffectFactory for Corrupt {
    fn make(&self) -> Box<dyn StreamEffect> {
        Box::new(Flip { rate: self.rate, bytes: self.bytes as usize })
    }

    fn is_neutral(&self) -> bool {
        self.rate == Chance::NEVER || self.bytes == 0
    }
}

struct Flip {
    rate: Chance,
    bytes: usize,
}

impl StreamEffect for Flip {
    fn on_chunk(&mut self, chunk: Chunk, dice: &mut Dice, out: &mut Outbox) {
        if !dice.chance(self.rate) {
            return out.send(chunk);
        }
        let len = chunk.bytes.len();
        let hit = self.bytes.min(len);
        let mut bytes = BytesMut::from(&chunk.bytes[..]);
        // Distinct places: one in each of `hit` equal parts, so that two flips never undo each other.
        for part in 0..hit {
            let (from, to) = (part * len / hit, (part + 1) * len / hit);
            let place = from + dice.below((to - from) as u64) as usize;
            bytes[place] ^= 1 << dice.below(8);
        }
        out.acted(hit);
        out.send(Chunk { bytes: Bytes::from(bytes), due: chunk.due });
    }

    fn capacity(&self) -> usize {
        super::PASSING
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use murphy_core::Seed;
    use murphy_proxy::Due;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn exactly_the_wanted_number_of_bytes_change(data in prop::collection::vec(any::<u8>(), 1..500), bytes in 1u32..20, seed: u64) {
            let corrupt = Corrupt { rate: Chance::ALWAYS, bytes };
            let mut line = murphy_proxy::Line::new(murphy_core::Direction::ToClient);
            let mut table = murphy_proxy::Table::default();
            let now = Instant::now();
            let armed = murphy_proxy::Armed {
                id: murphy_core::FaultId::new("c").unwrap(),
                effect: EdgeEffect::stream(corrupt),
                directions: murphy_core::Directions::ToClient,
                chance: Chance::ALWAYS,
            };
            table.put(armed, now);
            line.sync(&table, &mut murphy_proxy::Draws::new(Seed(seed), murphy_core::ConnId(1)), now);
            line.push(Bytes::from(data.clone()), now);
            let murphy_proxy::Front::Bytes(got) = line.front(now) else { panic!("nothing came out") };
            let changed = got.iter().zip(&data).filter(|(a, b)| a != b).count();
            prop_assert_eq!(changed, (bytes as usize).min(data.len()));
            prop_assert_eq!(got.len(), data.len());
            prop_assert!(Due::At(now).has_come(now));
        }
    }
}
