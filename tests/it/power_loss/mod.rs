//! Power loss: nothing that was acknowledged or delivered is lost, and nothing is torn, when a disk stops in the middle
//! of writing and everything that was not synced is gone.
//!
//! A small ext4 file system on a loop device ([`disk`]) is cut off with the shutdown ioctl while a process writes to a
//! database on it ([`author`]); what it told before ([`victim`], [`ledger`]) is compared with what is there after the
//! disk was mounted again. The control is the same with SQLite's weaker setting, which must lose: it proves that the
//! cut takes away what was not synced. The same with the real program is in [`program`], full disks are in [`full`].

mod author;
mod disk;
mod full;
mod ledger;
mod program;
mod victim;

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use author::{Task, WRITERS};
use disk::Disk;
use ledger::{Ledger, Loss};
use victim::Victim;

/// Room for the database and a write-ahead log at its longest before it is copied back.
const DISK_MIB: u64 = 512;
/// A new disk after so many cuts, so that histories stay short and the first opening is cut as well.
const CUTS_PER_DISK: usize = 50;
/// Every page is looked at after one cut of so many, and when a disk is done with.
const CUTS_PER_INTEGRITY_CHECK: usize = 5;

#[test]
fn nothing_acknowledged_is_lost_when_the_power_goes_again_and_again() {
    if disk::is_missing() {
        return;
    }
    cut_again_and_again(40);
}

/// `make power-loss CUTS=1000`.
#[test]
#[ignore = "long: make power-loss"]
fn nothing_acknowledged_is_lost_in_a_thousand_power_cuts() {
    disk::possible().unwrap_or_else(|reason| panic!("this machine cannot cut power: {reason}"));
    cut_again_and_again(from_environment("CUTS", 1_000) as usize);
}

/// The control: what a commit without a sync leaves is gone. If it were not, the tests above would prove nothing.
#[test]
fn a_commit_that_does_not_wait_for_the_disk_is_lost_when_the_power_goes() {
    if disk::is_missing() {
        return;
    }
    const ROUNDS: usize = 5;
    let mut random = seeded();
    let (mut acknowledged, mut lost) = (0, Vec::new());
    for _ in 0..ROUNDS {
        let mut trial = Trial::new(false);
        trial.end_in_order();
        let loss = trial.cut(Moment::Writing(delay(&mut random, 60)), false);
        assert_eq!(loss, Loss::default(), "what was closed in order is there");
        let loss = trial.look();
        assert!(!loss.delivered.is_empty(), "feeds told of what was lost");
        acknowledged += trial.ledger.acknowledged();
        lost.push(loss.acknowledged.len());
    }
    println!("control without syncs: {acknowledged} operations acknowledged, lost in each cut: {lost:?}");
    assert!(
        lost.iter().all(|lost| *lost > 0),
        "the control lost {lost:?}: cuts do not take away what is not synced"
    );
}

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

fn seeded() -> StdRng {
    let seed = from_environment("SYNCLINE_SEED", 7);
    println!("replay with SYNCLINE_SEED={seed} (the same moments; the machine's own timing differs)");
    StdRng::seed_from_u64(seed)
}

fn delay(random: &mut StdRng, below_ms: u64) -> Duration {
    Duration::from_micros(random.random_range(0..below_ms * 1_000))
}

fn cut_again_and_again(cuts: usize) {
    let (mut random, started) = (seeded(), Instant::now());
    let (mut done, mut acknowledged, mut log, mut too_late) = (0, 0, 0, (0, 0));
    while done < cuts {
        let mut trial = Trial::new(true);
        for _ in 0..CUTS_PER_DISK.min(cuts - done) {
            let moment = match random.random_range(0..10) {
                0 => Moment::Opening(delay(&mut random, 40)),
                1 => Moment::Closing(delay(&mut random, 10)),
                _ => Moment::Writing(delay(&mut random, 60)),
            };
            let loss = trial.cut(moment, done % CUTS_PER_INTEGRITY_CHECK == 0);
            done += 1;
            assert_eq!(
                loss,
                Loss::default(),
                "lost when cut {done} or the one before took place ({moment:?})"
            );
        }
        assert_eq!(trial.look(), Loss::default(), "lost in cut {done}");
        trial.end_in_order();
        assert_eq!(trial.look(), Loss::default(), "lost in an orderly end");
        trial.doctor_is_content();
        acknowledged += trial.ledger.acknowledged();
        log += trial.ledger.head();
        let (told, gone) = trial.ledger.too_late();
        too_late = (too_late.0 + told, too_late.1 + gone);
        if cuts > CUTS_PER_DISK {
            println!("{done} cuts, {acknowledged} acknowledged, {:?}", started.elapsed());
        }
    }
    println!(
        "{done} cuts, {acknowledged} operations acknowledged, {log} in the logs, 0 lost, {:?}",
        started.elapsed()
    );
    let (told, gone) = too_late;
    println!("not counted: {told} acknowledged after the power was cut, of which {gone} are gone");
    assert!(acknowledged > cuts, "so few operations were acknowledged that hardly anything was at stake");
}

/// When the power goes, and how long after that has begun.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// While the program starts, migrates, recovers the write-ahead log.
    Opening(Duration),
    /// While operations are written, after the first acknowledgement.
    Writing(Duration),
    /// While it ends in order, which copies the write-ahead log into the database.
    Closing(Duration),
}

/// A disk with a database, and what was told of it.
struct Trial {
    disk: Disk,
    ledger: Ledger,
    synchronous_full: bool,
}

impl Trial {
    fn new(synchronous_full: bool) -> Trial {
        let disk = Disk::make(DISK_MIB).unwrap_or_else(|reason| panic!("{reason}"));
        Trial { disk, ledger: Ledger::default(), synchronous_full }
    }

    fn start(&self, integrity: bool) -> Victim {
        Victim::start(&Task {
            database: self.disk.path("power.db"),
            synchronous_full: self.synchronous_full,
            integrity,
            from_seq: self.ledger.head(),
            counters: (1..=WRITERS).map(|writer| self.ledger.next_counter(writer)).collect(),
        })
    }

    /// One run that ends with a cut; what the cut before it took away, as this run found it.
    fn cut(&mut self, moment: Moment, integrity: bool) -> Loss {
        let mut victim = self.start(integrity);
        let delay = match moment {
            Moment::Opening(delay) => delay,
            Moment::Writing(delay) => {
                victim.until("ready");
                victim.until("ack");
                delay
            }
            Moment::Closing(delay) => {
                victim.until("ready");
                victim.until("ack");
                victim.close();
                delay
            }
        };
        // The moment itself is what is random here; nothing waits for this.
        std::thread::sleep(delay);
        victim.power_goes();
        self.disk.cut_power().expect("the cut");
        let told = victim.kill();
        self.disk.remount().expect("the power comes back");
        self.ledger.take(told)
    }

    /// A run that only opens the database and reads all of it.
    fn look(&mut self) -> Loss {
        let mut victim = self.start(true);
        victim.until("opened");
        self.ledger.take(victim.kill())
    }

    /// A run that writes and ends in order.
    fn end_in_order(&mut self) {
        let mut victim = self.start(true);
        victim.until("ready");
        victim.until("ack");
        victim.close();
        victim.until("closed");
        assert_eq!(self.ledger.take(victim.kill()), Loss::default());
    }

    /// The program's own check of the database.
    fn doctor_is_content(&self) {
        let url = format!("sqlite:{}", self.disk.path("power.db").display());
        let listen = format!("127.0.0.1:{}", super::process::free_port());
        let output = std::process::Command::new(super::process::program())
            .args(["doctor", "--listen", &listen, "--metrics-listen", "", "--database-url", &url])
            .args(["--max-connections", "256"])
            .output()
            .expect("doctor runs");
        assert!(output.status.success(), "doctor: {}", String::from_utf8_lossy(&output.stdout));
    }
}
