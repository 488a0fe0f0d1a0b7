//! One directory for the data of all servers, so that they all write to the same disk.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Instant;

use crate::directory::Directory;
use crate::error::CompareError;
use serde::Serialize;

/// What is written and synced, and how often, to learn how long the disk takes for it.
const PROBE_BYTES: usize = 4_096;
const PROBES: usize = 100;

/// The directory. It is removed with its owner, and its owner must outlive the servers.
pub(crate) struct Disk {
    directory: Directory,
    description: DiskDescription,
}

/// What a reader of durable figures asks about the disk.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DiskDescription {
    pub file_system: String,
    /// Median time of a bare write of 4 KiB in place with its sync.
    pub write_and_sync_us: u64,
}

impl Disk {
    pub(crate) async fn create(parent: &Path) -> Result<Disk, CompareError> {
        let file = |path: &Path| {
            let path = path.to_owned();
            move |source| CompareError::File { path, source }
        };
        std::fs::create_dir_all(parent).map_err(file(parent))?;
        let parent = std::fs::canonicalize(parent).map_err(file(parent))?;
        let directory = Directory::create(&parent, "compare")?;
        let file_system = file_system(directory.path())?;
        let path = directory.path().join("probe");
        let probed = tokio::task::spawn_blocking({
            let path = path.clone();
            move || probe(&path)
        });
        let write_and_sync_us = match probed.await {
            Ok(probed) => probed.map_err(file(&path))?,
            Err(join) => return Err(CompareError::File { path, source: std::io::Error::other(join) }),
        };
        Ok(Disk { directory, description: DiskDescription { file_system, write_and_sync_us } })
    }

    /// A new directory in it.
    pub(crate) fn directory(&self, name: &str) -> Result<Directory, CompareError> {
        Directory::create(self.directory.path(), name)
    }

    pub(crate) fn description(&self) -> DiskDescription {
        self.description.clone()
    }

    /// Removes it, and reports when that does not work.
    pub(crate) fn remove(self) -> Result<(), CompareError> {
        self.directory.remove()
    }
}

/// Median time of a small write with its sync, in microseconds.
fn probe(path: &Path) -> std::io::Result<u64> {
    let mut file = std::fs::File::create(path)?;
    let mut took = Vec::with_capacity(PROBES);
    for _ in 0..PROBES {
        // In place, so that the length of the file and what the file system notes of it stay out of the figure.
        file.seek(SeekFrom::Start(0))?;
        let begun = Instant::now();
        file.write_all(&[0x5a; PROBE_BYTES])?;
        file.sync_data()?;
        took.push(begun.elapsed());
    }
    drop(file);
    std::fs::remove_file(path)?;
    took.sort_unstable();
    Ok(took.get(PROBES / 2).map_or(0, |t| u64::try_from(t.as_micros()).unwrap_or(u64::MAX)))
}

/// The kind of file system; one in memory is refused. Unknown where the system does not list what is mounted.
fn file_system(path: &Path) -> Result<String, CompareError> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    match kind_of(path, &mounts) {
        Some("tmpfs" | "ramfs") => Err(CompareError::NoDisk { path: path.to_owned() }),
        kind => Ok(kind.unwrap_or("unknown").to_owned()),
    }
}

/// The kind of the file system that is mounted nearest above a path; the last one if several are mounted there.
fn kind_of<'a>(path: &Path, mounts: &'a str) -> Option<&'a str> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    let above = mounts.filter(|(mounted_at, _)| path.starts_with(mounted_at));
    above.max_by_key(|(mounted_at, _)| mounted_at.len()).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_system_is_the_nearest_one_above() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmp/disk xfs rw 0 0\n";
        let kind = |path: &str| kind_of(Path::new(path), mounts);
        assert_eq!(kind("/home/target"), Some("ext4"));
        assert_eq!(kind("/tmp/target"), Some("tmpfs"));
        assert_eq!(kind("/tmpfiles"), Some("ext4"));
        assert_eq!(kind("/tmp/disk/target"), Some("xfs"));
        assert_eq!(kind_of(Path::new("/"), ""), None);
    }
}
