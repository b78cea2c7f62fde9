//! One folder a run: plan, journal, output of services, reports. Everything that is needed to judge the run again.

use std::fmt;
use std::fs;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use murphy_core::{Secrets, Seed, ServiceName, Timestamp};

use crate::RunError;

/// The name of a run: sorts by time, unique on one machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunId(String);

impl RunId {
    /// From the start, the scenario's name, the seed and this process.
    pub fn new(started: &Timestamp, scenario: &str, seed: Seed) -> RunId {
        let mut slug: String = scenario
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        slug.truncate(40);
        let slug = slug.trim_matches('-');
        let slug = slug.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
        RunId(format!("{}-{slug}-s{seed}-{}", started.compact(), std::process::id()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The folder of one run.
#[derive(Debug, Clone)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Creates it below `parent`, which is created as needed. A second run of the same second and process (as in a list
    /// of scenarios) gets a suffix.
    pub fn create(parent: &Path, id: &RunId) -> Result<RunDir, RunError> {
        let failed = |path: &Path, source| RunError::RunDirectory { path: path.to_owned(), source };
        fs::create_dir_all(parent).map_err(|source| failed(parent, source))?;
        for suffix in 0..1000 {
            let name = if suffix == 0 { id.to_string() } else { format!("{id}.{suffix}") };
            let path = parent.join(name);
            match fs::create_dir(&path) {
                Ok(()) => {
                    fs::create_dir(path.join("services")).map_err(|source| failed(&path, source))?;
                    return Ok(RunDir { path });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(failed(&path, source)),
            }
        }
        Err(failed(parent, io::ErrorKind::AlreadyExists.into()))
    }

    /// An existing one, for `murphy report`.
    pub fn open(path: &Path) -> RunDir {
        RunDir { path: path.to_owned() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its last component: unique among the runs of one place.
    pub fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The event list.
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal.ndjson")
    }

    /// The resolved plan.
    pub fn plan(&self) -> PathBuf {
        self.path.join("plan.json")
    }

    /// What a service wrote on stdout and stderr.
    pub fn service_log(&self, service: &ServiceName) -> PathBuf {
        self.path.join("services").join(format!("{service}.log"))
    }

    /// Masks secrets in what a service wrote, once it has ended. The file is replaced as a whole or not at all.
    pub(crate) fn hide_in_service_log(
        &self,
        service: &ServiceName,
        secrets: &Secrets,
    ) -> Result<(), RunError> {
        let path = self.service_log(service);
        let masked = path.with_extension("masked");
        let write = || -> io::Result<()> {
            let mut log = match fs::File::open(&path) {
                Ok(log) => BufReader::new(log),
                // It was never started.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            };
            let mut out = BufWriter::new(fs::File::create(&masked)?);
            let mut line = Vec::new();
            while log.read_until(b'\n', &mut line)? > 0 {
                out.write_all(&secrets.hide_bytes(&line))?;
                line.clear();
            }
            out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
            fs::rename(&masked, &path)
        };
        write().map_err(|source| RunError::Write { path: path.clone(), source })
    }

    /// A report by its file name, such as `report.txt`.
    pub fn report(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_by_time_scenario_and_seed() {
        let id = RunId::new(&Timestamp::from_unix(0), "A slow cart/cache  ../x", Seed(7));
        assert!(id.as_str().starts_with("19700101-000000-a-slow-cart-cache-x-s7-"), "{id}");
    }

    #[test]
    fn two_runs_of_one_second_have_two_folders() {
        let parent = tempfile::tempdir().unwrap();
        let id = RunId::new(&Timestamp::from_unix(0), "x", Seed(1));
        let (first, second) =
            (RunDir::create(parent.path(), &id).unwrap(), RunDir::create(parent.path(), &id).unwrap());
        assert_ne!(first.path(), second.path());
    }
}
