//! The arithmetic of limits: what to ask of the engine for less, and how to ask for what was there. Pure.
//!
//! An engine's update call reads 0 as "leave it", so there is no word for "no limit". What stands in for it was found out
//! on a real engine (20.10, cgroup v1): a quota of -1, 0 processes, and the most bytes that the kernel can count. The
//! kernel then has no limit, exactly as before; the engine's own record shows the stand-in instead of 0.

use bollard::models::{ContainerUpdateBody, HostConfig};
use murphy_core::{CpuRecord, LimitsRecord, MemoryRecord, PidsRecord};

use super::kind::Limits;

/// The most bytes that the kernel counts: `PAGE_COUNTER_MAX` pages of 4096 bytes. It reads this as "no limit".
const MOST_BYTES: i64 = i64::MAX - (i64::MAX % 4096);
/// The kernel's own period, in microseconds.
const USUAL_PERIOD: i64 = 100_000;

/// The limits of a container now, only those that a change touches.
pub(super) fn record(now: &HostConfig, change: &Limits) -> LimitsRecord {
    LimitsRecord {
        cpu: change.cpus.map(|_| CpuRecord {
            nano_cpus: now.nano_cpus.unwrap_or(0),
            quota: now.cpu_quota.unwrap_or(0),
            period: now.cpu_period.unwrap_or(0),
        }),
        memory: (change.memory.is_some()).then(|| MemoryRecord {
            memory: now.memory.unwrap_or(0),
            with_swap: now.memory_swap.unwrap_or(0),
        }),
        pids: change.pids.map(|_| PidsRecord { limit: now.pids_limit }),
    }
}

/// What to ask for, to give a container less than it has by this record.
pub(super) fn lessen(now: &LimitsRecord, change: &Limits) -> ContainerUpdateBody {
    let mut body = ContainerUpdateBody::default();
    if let Some(cpus) = change.cpus {
        let cpu = now.cpu.unwrap_or_default();
        // An engine refuses a quota where billionths are set, and the other way round: keep to what is in use. Where
        // nothing is, a quota, because that can be taken away again.
        if cpu.nano_cpus > 0 {
            body.nano_cpus = Some(cpus.as_nanos());
        } else {
            let period = if cpu.period > 0 { cpu.period } else { USUAL_PERIOD };
            body.cpu_quota = Some((cpus.as_nanos().saturating_mul(period) / 1_000_000_000).max(1_000));
        }
    }
    if let Some(memory) = change.memory {
        let memory = memory.as_bytes().min(MOST_BYTES as u64) as i64;
        let swap = change.swap.map_or(0, |swap| swap.as_bytes().min(MOST_BYTES as u64) as i64);
        body.memory = Some(memory);
        body.memory_swap = Some(memory.saturating_add(swap).min(MOST_BYTES));
    }
    body.pids_limit = change.pids.map(i64::from);
    body
}

/// What to ask for to have the old limits again: spellings to try one after the other. Kernels and engines differ in how
/// they want "no limit on swap" said: cgroup v1 wants the most bytes, v2 wants -1.
pub(super) fn restore(old: &LimitsRecord) -> Vec<ContainerUpdateBody> {
    let mut body = ContainerUpdateBody::default();
    if let Some(cpu) = old.cpu {
        if cpu.nano_cpus > 0 {
            body.nano_cpus = Some(cpu.nano_cpus);
        } else {
            body.cpu_quota = Some(if cpu.quota > 0 { cpu.quota } else { -1 });
        }
    }
    if let Some(pids) = old.pids {
        body.pids_limit = Some(pids.limit.filter(|limit| *limit > 0).unwrap_or(0));
    }
    let Some(memory) = old.memory else { return vec![body] };
    let bytes = if memory.memory > 0 { memory.memory } else { MOST_BYTES };
    let spelled =
        |swap: i64| ContainerUpdateBody { memory: Some(bytes), memory_swap: Some(swap), ..body.clone() };
    if memory.with_swap > 0 {
        vec![spelled(memory.with_swap)]
    } else {
        vec![spelled(-1), spelled(MOST_BYTES)]
    }
}

/// The options of `docker update` that ask for the old limits: spellings to try one after the other.
pub fn restoring_options(old: &LimitsRecord) -> Vec<Vec<String>> {
    restore(old).iter().map(options).collect()
}

fn options(body: &ContainerUpdateBody) -> Vec<String> {
    let cpus = body.nano_cpus.map(|nanos| {
        let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    });
    let all = [
        ("--cpus", cpus),
        ("--cpu-quota", body.cpu_quota.map(|quota| quota.to_string())),
        ("--memory", body.memory.map(|bytes| bytes.to_string())),
        ("--memory-swap", body.memory_swap.map(|bytes| bytes.to_string())),
        // Here "no limit" is -1 and not 0.
        ("--pids-limit", body.pids_limit.map(|limit| if limit > 0 { limit } else { -1 }.to_string())),
    ];
    let given = all.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?]));
    given.flatten().collect()
}

/// True if the limits that were recorded are in force, whichever way the engine spells "no limit".
pub(super) fn in_force(now: &HostConfig, old: &LimitsRecord) -> bool {
    let cpu = old.cpu.is_none_or(|cpu| {
        limited(now.nano_cpus) == limited(Some(cpu.nano_cpus))
            && limited(now.cpu_quota) == limited(Some(cpu.quota))
    });
    let memory = old.memory.is_none_or(|memory| {
        limited(now.memory) == limited(Some(memory.memory))
            && limited(now.memory_swap) == limited(Some(memory.with_swap))
    });
    let pids = old.pids.is_none_or(|pids| limited(now.pids_limit) == limited(pids.limit));
    cpu && memory && pids
}

/// Parts of the record that the engine now spells differently, though they mean the same.
pub(super) fn respelled(now: &HostConfig, old: &LimitsRecord) -> Vec<&'static str> {
    let mut parts = Vec::new();
    if old.cpu.is_some_and(|cpu| now.cpu_quota.unwrap_or(0) != cpu.quota) {
        parts.push("cpu quota");
    }
    if old
        .memory
        .is_some_and(|m| now.memory.unwrap_or(0) != m.memory || now.memory_swap.unwrap_or(0) != m.with_swap)
    {
        parts.push("memory");
    }
    if old.pids.is_some_and(|pids| now.pids_limit != pids.limit) {
        parts.push("pids");
    }
    parts
}

/// A limit, or `None` for any of the spellings of "no limit".
fn limited(value: Option<i64>) -> Option<i64> {
    value.filter(|value| (1..MOST_BYTES).contains(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use murphy_core::{Cpus, Size};
    use proptest::prelude::*;

    fn squeeze() -> Limits {
        Limits {
            cpus: Some(Cpus::new(0.5).unwrap()),
            memory: Some(Size::from_mib(64)),
            swap: None,
            pids: Some(20),
        }
    }

    #[test]
    fn what_is_not_changed_is_not_recorded_and_not_asked_for() {
        let change = Limits { pids: Some(5), ..Limits::default() };
        let record = record(&HostConfig { memory: Some(1 << 30), ..HostConfig::default() }, &change);
        assert_eq!(
            record,
            LimitsRecord { pids: Some(PidsRecord { limit: None }), ..LimitsRecord::default() }
        );
        assert_eq!(
            restore(&record),
            [ContainerUpdateBody { pids_limit: Some(0), ..ContainerUpdateBody::default() }]
        );
    }

    #[test]
    fn billionths_stay_billionths_and_a_period_of_the_owner_is_kept() {
        let nanos = HostConfig { nano_cpus: Some(2_000_000_000), ..HostConfig::default() };
        let body = lessen(&record(&nanos, &squeeze()), &squeeze());
        assert_eq!((body.nano_cpus, body.cpu_quota), (Some(500_000_000), None));
        let period =
            HostConfig { cpu_period: Some(50_000), cpu_quota: Some(100_000), ..HostConfig::default() };
        let body = lessen(&record(&period, &squeeze()), &squeeze());
        assert_eq!((body.nano_cpus, body.cpu_quota, body.cpu_period), (None, Some(25_000), None));
    }

    #[test]
    fn memory_is_squeezed_without_swap_unless_told() {
        let body = lessen(&LimitsRecord::default(), &squeeze());
        assert_eq!(body.memory, body.memory_swap);
        let with_swap = Limits { swap: Some(Size::from_mib(1)), ..squeeze() };
        assert_eq!(lessen(&LimitsRecord::default(), &with_swap).memory_swap, Some(65 << 20));
    }

    proptest! {
        #[test]
        fn after_the_restore_the_old_limits_are_in_force(
            memory in prop_oneof![Just(0i64), (6i64 << 20)..(1 << 40)],
            swap in prop_oneof![Just(-1i64), Just(0), (1i64 << 40)..(1 << 41)],
            cpu in prop_oneof![Just((0i64, 0i64)), (1i64..4_000_000_000).prop_map(|n| (n, 0)), (1_000i64..400_000).prop_map(|q| (0, q))],
            pids in prop_oneof![Just(None), Just(Some(0i64)), (1i64..9999).prop_map(Some)],
        ) {
            let before = HostConfig {
                memory: Some(memory), memory_swap: Some(swap), nano_cpus: Some(cpu.0), cpu_quota: Some(cpu.1),
                pids_limit: pids, ..HostConfig::default()
            };
            let old = record(&before, &squeeze());
            prop_assert!(in_force(&before, &old));
            // An engine's merge: what is 0 or absent stays.
            let mut now = before.clone();
            for body in [lessen(&old, &squeeze()), restore(&old).pop().unwrap()] {
                now.memory = body.memory.filter(|v| *v != 0).or(now.memory);
                now.memory_swap = body.memory_swap.filter(|v| *v != 0).or(now.memory_swap);
                now.nano_cpus = body.nano_cpus.filter(|v| *v != 0).or(now.nano_cpus);
                now.cpu_quota = body.cpu_quota.filter(|v| *v != 0).or(now.cpu_quota);
                now.pids_limit = body.pids_limit.or(now.pids_limit);
            }
            prop_assert!(in_force(&now, &old), "{now:?}");
        }
    }
}
