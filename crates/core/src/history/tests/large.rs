//! Ten million operations: what checking them costs.

use crate::causality::{Counter, Seq};
use std::time::Instant;

use uuid::Uuid;

use crate::hash::{CHAIN_START, chain, hash, operation_hash};
use crate::history::{
    Answer, Entry, Expectations, FeedRecorder, History, Log, Made, Outcome, Place, Recorder, check,
};
use crate::ids::{Dot, Epoch, ReplicaId};

const EPOCH: Epoch = Epoch(7);
const REPLICAS: u64 = 1_000;
const FEEDS: usize = 2;
const FRAME_CHANGES: u64 = 100;

/// `make bench-history`; `SYNCLINE_OPERATIONS=n` for another number.
#[test]
#[ignore = "large: make bench-history"]
fn ten_million_operations_are_checked() {
    let operations: u64 =
        std::env::var("SYNCLINE_OPERATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000_000);
    let started = Instant::now();
    let history = recorded(operations);
    println!("recorded in {:.1} s, resident {} MiB", started.elapsed().as_secs_f64(), resident_mib("VmRSS"));
    let started = Instant::now();
    let report = check(&history);
    let seconds = started.elapsed().as_secs_f64();
    println!("{report}");
    println!("checked in {seconds:.1} s, resident at most {} MiB", resident_mib("VmHWM"));
    assert!(report.is_content());
    assert_eq!(report.counts.delivered, operations * FEEDS as u64);
}

fn recorded(operations: u64) -> History {
    let mut recorders = vec![Recorder::default(), Recorder::default()];
    let mut feeds: Vec<_> = (0..FEEDS).map(|n| FeedRecorder::new(format!("feed {n}"), false)).collect();
    let mut log = Log::new(EPOCH);
    let place = |seq, chain| Place { epoch: EPOCH, seq, chain: Some(chain) };
    feeds.iter_mut().for_each(|f| f.asked_anew(0, place(Seq(0), CHAIN_START)));
    let (mut before, mut frame) = (CHAIN_START, Vec::new());
    for seq in 1..=operations {
        let replica = ReplicaId(Uuid::from_u64_pair(1, seq % REPLICAS));
        let dot = Dot { replica, counter: Counter((seq - 1) / REPLICAS + 1) };
        let (at, base_seq) = (seq * 10, seq.saturating_sub(2 * REPLICAS));
        let (content_hash, hash_salt) = (hash(&seq.to_le_bytes()), [6; 16]);
        let operation_hash = operation_hash(&hash_salt, &content_hash);
        before = chain(&before, &operation_hash);
        let context = Some((EPOCH, Seq(base_seq)));
        let recorder = &mut recorders[(seq % 2) as usize];
        recorder.made(&Made { dot, context, extras: &[], depends_on: &[], content_hash: Some(content_hash) });
        let sent = recorder.sent(dot, at);
        recorder.answered(sent, at + 5, Answer { outcome: Outcome::Settled(Seq(seq)), repeated: false });
        let entry = Entry {
            seq: Seq(seq),
            dot,
            base_seq: Seq(base_seq),
            extras: &[],
            operation_hash,
            chain: before,
            hash_salt,
        };
        log.push(&entry);
        frame.push(entry);
        if seq % FRAME_CHANGES == 0 || seq == operations {
            let from = seq - frame.len() as u64;
            feeds
                .iter_mut()
                .for_each(|f| f.changes(at + 6, Seq(from), place(Seq(seq), before), frame.iter().cloned()));
            frame.clear();
        }
    }
    log.head(Seq(operations), Some(before));
    let mut history = History::new(log, Expectations::default());
    recorders.into_iter().for_each(|r| history.add(r));
    for mut feed in feeds {
        feed.must_be_at_head();
        history.add_feed(feed);
    }
    history
}

/// A figure of this process in MiB, where the system tells it.
fn resident_mib(figure: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(figure)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}
