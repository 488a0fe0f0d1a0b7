//! A directory for what a command needs while it runs.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::BenchError;

/// A directory that is removed with its owner.
#[derive(Debug)]
pub(crate) struct ScratchDirectory {
    path: PathBuf,
}

impl ScratchDirectory {
    /// A new one among the system's temporary files (`TMPDIR`).
    pub(crate) fn create(name: &str) -> Result<ScratchDirectory, BenchError> {
        let path = std::env::temp_dir().join(format!("syncline-{name}-{}", fresh_id()));
        std::fs::create_dir(&path)
            .map_err(|error| BenchError::Other(format!("{}: {error}", path.display())))?;
        Ok(ScratchDirectory { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ScratchDirectory {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a temporary directory stays behind");
        }
    }
}

/// A random id.
#[allow(clippy::disallowed_methods, reason = "a command line tool is where randomness comes in")]
pub(crate) fn fresh_id() -> Uuid {
    Uuid::new_v4()
}
