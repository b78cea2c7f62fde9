//! What a machine has to spare, and how much of it may be taken. The arithmetic is pure; the readers only read.

use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use murphy_core::{Amount, Chance, Cpus, Size};
use nix::sys::statvfs::statvfs;

use super::{Load, PressureError};

/// This much always stays free of what the whole machine lives on, whatever is asked for.
pub(super) const LAST: Size = Size::from_mib(64);
/// What stays free if nothing is said: this part of the whole, but no more than that.
const PART: u64 = 20;
const PART_AT_MOST: Size = Size::from_mib(1024);

/// How much there is of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// In all.
    pub total: Size,
    /// Not in use.
    pub free: Size,
    /// What stays free whatever is asked for.
    pub last: Size,
}

/// What could be taken of this machine now, where no reserve is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spare {
    /// Processors.
    pub processors: NonZeroUsize,
    /// Memory.
    pub memory: Size,
    /// Room in the file system of `/`.
    pub disk: Size,
}

impl Spare {
    /// Looks; takes nothing.
    pub fn of_this_machine() -> io::Result<Spare> {
        let most = |room: Room| readable(room.most(room.usual_reserve()));
        Ok(Spare {
            processors: std::thread::available_parallelism()?,
            memory: most(memory()?),
            disk: most(disk(Path::new("/"))?),
        })
    }
}

impl Room {
    fn usual_reserve(self) -> Size {
        Size::from_bytes(self.total.as_bytes() / PART).min(PART_AT_MOST).max(self.last)
    }

    fn most(self, reserve: Size) -> Size {
        Size::from_bytes(self.free.as_bytes().saturating_sub(reserve.as_bytes()))
    }
}

/// How many bytes are taken of what is free.
pub fn filling(
    pressure: &str,
    amount: Amount,
    room: Room,
    reserve: Option<Size>,
) -> Result<Size, PressureError> {
    let free = room.free;
    let reserve = reserve.map_or_else(|| room.usual_reserve(), |asked| asked.max(room.last));
    let most = room.most(reserve);
    let asked = amount.of(free);
    let pressure = || pressure.to_owned();
    if asked > most {
        Err(PressureError::TooMuch { pressure: pressure(), asked, free, reserve, most })
    } else if asked.as_bytes() == 0 {
        Err(PressureError::Nothing { pressure: pressure(), free, reserve })
    } else {
        Ok(asked)
    }
}

/// As many threads as there are whole and begun processors, all equally busy.
pub(super) fn busy(cpus: Option<Cpus>, load: Chance, there: NonZeroUsize) -> Result<Load, PressureError> {
    let there = there.get();
    let number = cpus.map_or(there as f64, Cpus::as_f64);
    match cpus {
        Some(asked) if number > there as f64 => Err(PressureError::TooManyCpus { asked, there }),
        _ => {
            let threads = number.ceil();
            let busy = Chance::from_fraction(number * load.as_fraction() / threads).unwrap_or(load);
            Ok(Load::Cpu { threads: threads as u32, busy })
        }
    }
}

/// The memory of this machine.
pub(super) fn memory() -> io::Result<Room> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse().ok()).map(Size::from_kib)
    };
    match (field("MemTotal"), field("MemAvailable")) {
        (Some(total), Some(free)) => Ok(Room { total, free, last: LAST }),
        _ => Err(io::Error::other("/proc/meminfo has no MemTotal and MemAvailable")),
    }
}

/// The file system of a folder.
pub(super) fn disk(folder: &Path) -> io::Result<Room> {
    let metadata = fs::metadata(folder)?;
    if !metadata.is_dir() {
        return Err(io::Error::from(io::ErrorKind::NotADirectory));
    }
    let (seen, root) = (statvfs(folder)?, statvfs("/")?);
    let bytes = |blocks: u64| Size::from_bytes(blocks.saturating_mul(seen.fragment_size()));
    // One that lies over the machine's own (as a container's does) has its numbers.
    let is_root = metadata.dev() == fs::metadata("/")?.dev()
        || (seen.blocks(), seen.fragment_size()) == (root.blocks(), root.fragment_size());
    let last = if is_root { LAST } else { Size::default() };
    Ok(Room { total: bytes(seen.blocks()), free: bytes(seen.blocks_available()), last })
}

/// Rounded down to what a person reads; small numbers are whole.
pub(super) fn readable(size: Size) -> Size {
    match size.as_bytes() {
        bytes if bytes >= 1 << 20 => Size::from_mib(bytes >> 20),
        bytes if bytes >= 1 << 10 => Size::from_kib(bytes >> 10),
        _ => size,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(total: u64, free: u64, last: u64) -> Room {
        Room { total: Size::from_mib(total), free: Size::from_mib(free), last: Size::from_mib(last) }
    }

    fn take(amount: &str, room: Room, reserve: Option<&str>) -> Result<Size, PressureError> {
        let reserve = reserve.map(|text| text.parse().unwrap());
        filling("memory-pressure", amount.parse().unwrap(), room, reserve)
    }

    #[test]
    fn the_last_of_a_machine_is_never_taken() {
        let machine = room(2000, 500, 64);
        assert_eq!(take("400MiB", machine, None).unwrap(), Size::from_mib(400), "a twentieth stays");
        assert_eq!(take("80%", machine, None).unwrap(), Size::from_mib(400));
        assert_eq!(take("436MiB", machine, Some("0B")).unwrap(), Size::from_mib(436));
        let error = take("437MiB", machine, Some("0B")).unwrap_err().to_string();
        assert!(error.contains("437MiB") && error.contains("at most 436MiB"), "{error}");
        assert!(take("100%", machine, None).is_err() && take("401MiB", machine, None).is_err());
        assert!(take("1B", room(1000, 20, 64), None).is_err());
        assert!(matches!(take("0.00000001%", machine, None), Err(PressureError::Nothing { .. })));
        // Nobody lives on the whole of a file system of its own.
        assert_eq!(take("100%", room(16, 16, 0), Some("0B")).unwrap(), Size::from_mib(16));
    }

    #[test]
    fn a_huge_machine_keeps_no_more_than_a_gibibyte_free_by_itself() {
        let machine = room(1 << 20, 1 << 20, 64);
        let error = take("1048575MiB", machine, None).unwrap_err().to_string();
        assert!(error.contains("1GiB stay so"), "{error}");
        assert!(take("1047552MiB", machine, None).is_ok());
    }

    #[test]
    fn begun_processors_are_busy_in_equal_parts() {
        let there = NonZeroUsize::new(4).unwrap();
        let load = |cpus: Option<f64>, load: &str| {
            busy(cpus.map(|number| Cpus::new(number).unwrap()), load.parse().unwrap(), there)
        };
        let of = |threads: u32, share: &str| Load::Cpu { threads, busy: share.parse().unwrap() };
        assert_eq!(load(None, "50%").unwrap(), of(4, "50%"));
        assert_eq!(load(Some(1.5), "100%").unwrap(), of(2, "75%"));
        assert_eq!(load(Some(0.5), "50%").unwrap(), of(1, "25%"));
        assert_eq!(load(Some(4.0), "100%").unwrap(), of(4, "100%"));
        assert!(load(Some(4.5), "1%").unwrap_err().to_string().contains("there are 4"));
    }

    #[test]
    fn this_machine_says_what_it_has() {
        let memory = memory().unwrap();
        assert!(memory.total >= memory.free && memory.free.as_bytes() > 0);
        let root = disk(Path::new("/")).unwrap();
        assert!(root.total >= root.free && root.last == LAST);
        let spare = Spare::of_this_machine().unwrap();
        assert!(spare.memory < memory.total && spare.disk < root.total, "{spare:?}");
        assert!(disk(Path::new("/proc/self/stat")).is_err() && disk(Path::new("/no/such")).is_err());
    }
}
