//! What a container feels: the processors and the memory that it uses, and how much it waits for them, as the kernel counts it
//! in its control groups. Reads only.

use std::time::Duration;

use murphy_core::Size;

use super::inside::{Inside, field};

/// What the kernel counted of a container so far, and what it holds now. What a kernel does not count is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Felt {
    /// Processor time that it has used since it was started.
    pub used: Option<Duration>,
    /// Stretches of time in which it wanted a processor, and those of them in which its limit held it back.
    pub held_back: Option<(u64, u64)>,
    /// Memory in use, without files that the kernel drops as soon as something else needs the room.
    pub memory: Option<Size>,
    /// The most that it may use, if there is such a limit.
    pub limit: Option<Size>,
    /// The share of the last ten seconds in which something in it stood still for want of processors, memory or disks: the
    /// worst of the three. Version 2 of the control groups only.
    pub stalled: Option<f64>,
}

impl Inside {
    /// Looks now.
    pub fn felt(&self) -> Felt {
        let cpu = self.text("cpu.stat").unwrap_or_default();
        let used = match self.number("cpuacct.usage") {
            Some(nanos) => Some(Duration::from_nanos(nanos)),
            None => field(&cpu, "usage_usec").map(Duration::from_micros),
        };
        let stalls = ["cpu.pressure", "memory.pressure", "io.pressure"];
        Felt {
            used,
            held_back: field(&cpu, "nr_periods").zip(field(&cpu, "nr_throttled")),
            memory: self.used_bytes().map(Size::from_bytes),
            limit: self.limit_bytes().filter(|bytes| *bytes < 1 << 60).map(Size::from_bytes),
            stalled: stalls.iter().filter_map(|name| stalled(&self.text(name)?)).reduce(f64::max),
        }
    }
}

/// `some avg10=1.50 avg60=…`: as a share.
fn stalled(text: &str) -> Option<f64> {
    let some = text.lines().find(|line| line.starts_with("some "))?;
    let percent: f64 = some.split(' ').find_map(|word| word.strip_prefix("avg10="))?.parse().ok()?;
    Some(percent / 100.0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn inside(files: &[(&str, &str)]) -> (tempfile::TempDir, Inside) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let inside = Inside::in_groups(vec![dir.path().to_owned()]);
        (dir, inside)
    }

    #[test]
    fn version_2_tells_of_use_of_limits_and_of_standing_still() {
        let (_dir, inside) = inside(&[
            ("cpu.stat", "usage_usec 1500000\nuser_usec 1\nnr_periods 10\nnr_throttled 4\n"),
            ("memory.current", "5000\n"),
            ("memory.max", "max\n"),
            ("memory.stat", "anon 1\ninactive_file 1000\n"),
            ("cpu.pressure", "some avg10=12.50 avg60=0.00 avg300=0.00 total=1\nfull avg10=99.0\n"),
            ("memory.pressure", "some avg10=3.00 avg60=0.00 avg300=0.00 total=1\n"),
        ]);
        let felt = inside.felt();
        assert_eq!((felt.used, felt.held_back), (Some(Duration::from_millis(1500)), Some((10, 4))));
        assert_eq!((felt.memory, felt.limit), (Some(Size::from_bytes(4000)), None));
        assert_eq!(felt.stalled, Some(0.125));
    }

    #[test]
    fn version_1_has_no_share_of_standing_still_and_its_endless_limit_is_none() {
        let (_dir, inside) = inside(&[
            ("cpuacct.usage", "2000000000\n"),
            ("cpu.stat", "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n"),
            ("memory.usage_in_bytes", "7000\n"),
            ("memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory.stat", "total_inactive_file 500\n"),
        ]);
        let felt = inside.felt();
        assert_eq!(felt.used, Some(Duration::from_secs(2)));
        assert_eq!((felt.memory, felt.limit, felt.stalled), (Some(Size::from_bytes(6500)), None, None));
        let (_dir, nothing) = super::tests::inside(&[]);
        assert_eq!(nothing.felt(), Felt::default());
    }
}
