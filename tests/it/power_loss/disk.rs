//! A small ext4 file system in a file, on a loop device, whose power can be cut.
//!
//! Needs root, a loop device, and the Debian packages mount and e2fsprogs. What a cut does: ext4 stops at once and
//! writes nothing more, not even its journal; what was not synced is only in memory, and unmounting drops it. What it
//! does not do: the image is a file, so nothing is proved about a drive that claims to have written and has not. And the
//! process goes on after the cut, as no process does: a sync that runs into it can be reported as done and is not. So
//! only what was told before the cut counts.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// `EXT4_IOC_SHUTDOWN`, `_IOR('X', 125, __u32)`.
const SHUTDOWN: u32 = 0x8004_587d;
/// Without writing the journal out first.
const NOLOGFLUSH: u32 = 2;
/// A killed process may hold its files a moment longer.
const UNMOUNT_TIMEOUT: Duration = Duration::from_secs(10);
const PREFIX: &str = "syncline-disk-";
const PROBE_MIB: u64 = 16;

/// Whether this machine can do it; a test that returns because of this has said so where the summary finds it.
pub fn is_missing() -> bool {
    match possible() {
        Ok(()) => false,
        Err(reason) => {
            // Not `println!`: that is shown for failed tests only.
            let thread = std::thread::current();
            let line = format!("SKIPPED: {}: {reason}\n", thread.name().unwrap_or("power_loss"));
            std::io::stderr().write_all(line.as_bytes()).expect("standard error");
            true
        }
    }
}

/// Tries once whether disks can be made and cut here; otherwise what is missing.
pub fn possible() -> Result<(), String> {
    static TRIED: OnceLock<Result<(), String>> = OnceLock::new();
    TRIED
        .get_or_init(|| {
            let mut disk = Disk::make(PROBE_MIB)?;
            std::fs::write(disk.path("unsynced"), "x").map_err(|e| e.to_string())?;
            disk.cut_power()?;
            disk.unmount()?;
            disk.mount()?;
            match disk.path("unsynced").exists() {
                true => Err("a cut keeps what was not synced".to_owned()),
                false => Ok(()),
            }
        })
        .clone()
}

/// A mounted file system. Dropping it unmounts and removes it; after a failed test the image is kept.
pub struct Disk {
    home: PathBuf,
    /// Held as long as the disk is in use, so that a later run knows what was left over by a killed one.
    _lock: File,
    mounted: bool,
}

impl Disk {
    /// A fresh file system of this size; its blocks are taken from the disk below only when they are written.
    pub fn make(size_mib: u64) -> Result<Disk, String> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let place = std::env::temp_dir();
        let one_at_a_time = lock_file(&place.join(format!("syncline-disks-{}.lock", user())))?;
        one_at_a_time.lock().map_err(|e| e.to_string())?;
        remove_leftovers(&place)?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let home = place.join(format!("{PREFIX}{}-{number}", std::process::id()));
        let mount = home.join("mount");
        std::fs::create_dir_all(&mount).map_err(|e| format!("{}: {e}", mount.display()))?;
        let lock = lock_file(&home.join("lock"))?;
        lock.try_lock().map_err(|e| e.to_string())?;
        let mut disk = Disk { home, _lock: lock, mounted: false };
        let image = disk.image();
        File::create(&image).and_then(|f| f.set_len(size_mib << 20)).map_err(|e| e.to_string())?;
        run("mkfs.ext4", "e2fsprogs", &["-q", "-F", &text(&image)])?;
        disk.mount()?;
        Ok(disk)
    }

    fn image(&self) -> PathBuf {
        self.home.join("image")
    }

    fn mount_point(&self) -> PathBuf {
        self.home.join("mount")
    }

    /// A file on the disk.
    pub fn path(&self, name: &str) -> PathBuf {
        self.mount_point().join(name)
    }

    /// Nothing reaches the disk from here on. Whoever has files open gets errors, or is killed by a page fault.
    pub fn cut_power(&self) -> Result<(), String> {
        let root = File::open(self.mount_point()).map_err(|e| format!("{}: {e}", self.home.display()))?;
        shut_down(&root).map_err(|e| format!("the shutdown ioctl of ext4: {e}"))
    }

    /// Drops all that is only in memory, and the loop device with it.
    pub fn unmount(&mut self) -> Result<(), String> {
        let started = Instant::now();
        while let Err(reason) = run("umount", "mount", &[&text(&self.mount_point())]) {
            if started.elapsed() > UNMOUNT_TIMEOUT {
                return Err(reason);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.mounted = false;
        Ok(())
    }

    /// Mounts it (again), which replays its journal.
    pub fn mount(&mut self) -> Result<(), String> {
        let (image, mount) = (text(&self.image()), text(&self.mount_point()));
        run("mount", "mount", &["-t", "ext4", "-o", "loop,noatime", &image, &mount])?;
        self.mounted = true;
        Ok(())
    }

    /// The power comes back.
    pub fn remount(&mut self) -> Result<(), String> {
        self.unmount()?;
        self.mount()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted && self.unmount().is_err() {
            let _ = run("umount", "mount", &["-l", &text(&self.mount_point())]);
        }
        if std::thread::panicking() {
            let kept = std::env::temp_dir().join(format!("syncline-power-loss-{}.ext4", std::process::id()));
            if std::fs::rename(self.image(), &kept).is_ok() {
                println!("the disk is kept: mount -o loop {} /mnt", kept.display());
            }
        }
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

/// Disks of runs that were killed: nobody holds their lock.
fn remove_leftovers(place: &Path) -> Result<(), String> {
    for entry in std::fs::read_dir(place).map_err(|e| e.to_string())?.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let home = entry.path();
        if lock_file(&home.join("lock")).is_ok_and(|lock| lock.try_lock().is_ok()) {
            // Lazily: a server of that run may still have files open.
            let _ = run("umount", "mount", &["-l", &text(&home.join("mount"))]);
            let _ = std::fs::remove_dir_all(&home);
        }
    }
    Ok(())
}

fn lock_file(path: &Path) -> Result<File, String> {
    let mut options = File::options();
    options.write(true).create(true).truncate(false);
    options.open(path).map_err(|e| format!("{}: {e}", path.display()))
}

/// The number of the user this runs as: everybody has a lock of their own.
fn user() -> u32 {
    #[cfg(unix)]
    return std::fs::metadata("/proc/self").map_or(0, |own| std::os::unix::fs::MetadataExt::uid(&own));
    #[cfg(not(unix))]
    0
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Runs a command; what it complained about if it failed.
fn run(command: &str, package: &str, arguments: &[&str]) -> Result<(), String> {
    // Some of them are not on the path of users.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = Command::new(command).args(arguments).env("PATH", path).output();
    let output = output.map_err(|e| format!("{command} (Debian package {package}): {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let root = "; this needs root, a loop device and the right to mount";
    Err(format!("{}{root}", complaint.trim().lines().next().unwrap_or(command)))
}

#[cfg(target_os = "linux")]
fn shut_down(root: &File) -> std::io::Result<()> {
    use std::os::fd::AsRawFd as _;
    // SAFETY: the ioctl reads one u32 behind the pointer, which outlives the call, and the file is open.
    let done = unsafe { libc::ioctl(root.as_raw_fd(), SHUTDOWN as _, &NOLOGFLUSH) };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

#[cfg(not(target_os = "linux"))]
fn shut_down(_: &File) -> std::io::Result<()> {
    let _ = (SHUTDOWN, NOLOGFLUSH);
    Err(std::io::ErrorKind::Unsupported.into())
}
