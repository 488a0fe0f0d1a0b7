//! One directory for the data of all servers, so that they all write to the same disk.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use tempfile::TempDir;

use crate::error::CompareError;

/// What is written and synced to learn what the disk takes for it.
const PROBE_BYTES: usize = 4_096;
const PROBES: usize = 100;

/// The directory; it goes with its owner, and its owner must outlive the servers.
pub(crate) struct Disk {
    directory: TempDir,
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
        let directory =
            tempfile::Builder::new().prefix("compare-").tempdir_in(&parent).map_err(file(&parent))?;
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
    pub(crate) fn directory(&self, name: &str) -> Result<TempDir, CompareError> {
        tempfile::Builder::new()
            .prefix(&format!("{name}-"))
            .tempdir_in(self.directory.path())
            .map_err(|source| CompareError::File { path: self.directory.path().to_owned(), source })
    }

    pub(crate) fn description(&self) -> DiskDescription {
        self.description.clone()
    }

    /// Removes it, and tells when that does not work.
    pub(crate) fn remove(self) -> Result<(), CompareError> {
        let path: PathBuf = self.directory.path().to_owned();
        self.directory.close().map_err(|source| CompareError::File { path, source })
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

/// The kind of file system; one in memory is refused.
#[cfg(target_os = "linux")]
fn file_system(path: &Path) -> Result<String, CompareError> {
    const TMPFS: i64 = 0x0102_1994;
    const RAMFS: i64 = 0x8584_58f6;
    let found = rustix::fs::statfs(path)
        .map_err(|source| CompareError::File { path: path.to_owned(), source: source.into() })?;
    #[allow(clippy::unnecessary_cast, reason = "its size differs between architectures")]
    let kind = found.f_type as i64;
    Ok(match kind {
        TMPFS | RAMFS => return Err(CompareError::NoDisk { path: path.to_owned() }),
        0xef53 => "ext4".to_owned(),
        0x5846_5342 => "xfs".to_owned(),
        0x9123_683e => "btrfs".to_owned(),
        0x2fc1_2fc1 => "zfs".to_owned(),
        0x794c_7630 => "overlay".to_owned(),
        other => format!("kind {other:#x}"),
    })
}

#[cfg(not(target_os = "linux"))]
fn file_system(_: &Path) -> Result<String, CompareError> {
    Ok("unknown".to_owned())
}
