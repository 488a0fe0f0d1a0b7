//! Directories that are removed with their owner.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::CompareError;

/// How many names are tried; some may be left from runs that were killed.
const NAMES_MAX: u32 = 10_000;

/// A directory with what is in it.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
}

impl Directory {
    /// A new one.
    pub(crate) fn create(parent: &Path, name: &str) -> Result<Directory, CompareError> {
        let mut path = parent.to_owned();
        for number in 0..NAMES_MAX {
            path = parent.join(format!("{name}-{}-{number}", std::process::id()));
            match std::fs::create_dir(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(source) => return Err(CompareError::File { path, source }),
                Ok(()) => return Ok(Directory { path }),
            }
        }
        Err(CompareError::File { path, source: ErrorKind::AlreadyExists.into() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it, and reports when that does not work.
    pub(crate) fn remove(mut self) -> Result<(), CompareError> {
        let path = std::mem::take(&mut self.path);
        std::fs::remove_dir_all(&path).map_err(|source| CompareError::File { path, source })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.path.as_os_str().is_empty() {
            return;
        }
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            eprintln!("compare: {} stays behind: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_goes_with_its_owner_and_everything_in_it() {
        let parent = Directory::create(&std::env::temp_dir(), "compare-test").expect("a directory");
        let one = Directory::create(parent.path(), "one").expect("a directory");
        let other = Directory::create(parent.path(), "one").expect("another of that name");
        assert_ne!(one.path(), other.path());
        std::fs::write(other.path().join("file"), "text").expect("written");
        let (gone, path) = (other.path().to_owned(), parent.path().to_owned());
        other.remove().expect("removed");
        assert!(!gone.exists());
        drop(one);
        drop(parent);
        assert!(!path.exists());
    }
}
