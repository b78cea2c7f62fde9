//! `cpu-pressure`: processors that are busy with something else, as beside a noisy neighbour or a runaway job.

use murphy_core::{Chance, Cpus};
use murphy_host::Pressure;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::Problems;
use crate::spec::{Effect, FaultSpec, Place};

/// Keeps processors busy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CpuPressure {
    /// How many processors; all if left out. `0.5` is half of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Cpus>,
    /// The share of the time for which they are busy.
    #[serde(default = "always")]
    pub load: Chance,
}

fn always() -> Chance {
    Chance::ALWAYS
}

impl CpuPressure {
    fn pressure(&self) -> Pressure {
        Pressure::Cpu { cpus: self.cpus, load: self.load }
    }
}

impl FaultSpec for CpuPressure {
    const NAME: &'static str = "cpu-pressure";
    const ABOUT: &'static str = "Keeps processors busy: what runs beside it gets its turn late. It ends with Murphy, however that ends.";
    const EXAMPLE: &'static str = "{ cpu-pressure: { cpus: 2, load: 80% } }";
    const PLACE: Place = Place::Host;
    const ALSO: &'static [Place] = &[Place::Container];
    const SHORTHAND: Option<&'static str> = Some("cpus");

    fn text(&self) -> String {
        self.pressure().to_string()
    }

    fn check(&self, problems: &mut Problems) {
        if self.load.as_fraction() == 0.0 {
            problems.field(
                "load",
                "a load of 0% is no pressure",
                "write for example `load: 80%`, or leave it out",
            );
        }
    }

    fn effect(&self) -> Effect {
        Effect::Pressure(self.pressure())
    }
}
