//! The window against the reference model on arbitrary histories: any author may know anything, whether or
//! not a real client could.

use super::reference::Doc;
use super::session::{BASE_TEXT, random_hunks};
use super::{Engine, for_seeds};
use crate::causality::{Author, Counter, Extra, ReplicaNo, Seq};
use crate::merge::text::Window;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const REPLICAS: u32 = 4;

fn random_author(rng: &mut StdRng, counters: &mut [u64], base: Seq, head: Seq) -> Author {
    let number = rng.random_range(0..REPLICAS);
    let replica_no = ReplicaNo(number);
    counters[number as usize] += 1;
    // Half of the authors are nearly up to date, as in life.
    let base_seq = if rng.random_bool(0.5) {
        Seq(rng.random_range(base.max(head.saturating_sub(2)).0..=head.0))
    } else {
        Seq(rng.random_range(base.0..=head.0))
    };
    let extras = (1..REPLICAS)
        .filter(|other| *other != number)
        .filter_map(|other| {
            let counter = rng.random_range(0..=counters[other as usize]);
            (counter > 0 && rng.random_bool(0.3))
                .then_some(Extra { replica_no: ReplicaNo(other), counter: Counter(counter) })
        })
        .collect();
    // A caller without a replica knows some of those that the server wrote before, in any choice.
    let counter = counters[number as usize];
    let earlier = if replica_no == ReplicaNo::SERVER { 1..counter } else { 0..0 };
    let own_requests = earlier.filter(|_| rng.random_bool(0.4)).map(Counter).collect();
    Author { replica_no, counter: Counter(counter), base_seq, extras, own_requests }
}

/// One random history through both; every observable thing must agree.
pub(super) fn check(seed: u64) -> Result<(), String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let base_len = rng.random_range(0..=BASE_TEXT.chars().count());
    let base_text: String = BASE_TEXT.chars().take(base_len).collect();
    let base_seq = rng.random_range(0..3);
    let mut window = Window::new(&base_text, Seq(base_seq));
    let mut model = Doc::open(&base_text, Seq(base_seq));
    let mut counters = [0; REPLICAS as usize];
    let mut seq = base_seq;
    // Mostly dense little histories, and now and then a long one.
    let longest = if seed % 16 == 15 { 50 } else { 16 };
    for _ in 0..rng.random_range(1..=longest) {
        seq += rng.random_range(1..=2);
        let author = random_author(&mut rng, &mut counters, Seq(base_seq), Seq(seq - 1));
        let view = model.seen_by(&author);
        if window.view(&author) != view {
            return Err(format!("view of {seq}: {:?}, should be {view:?}", window.view(&author)));
        }
        let view_len = view.chars().count() as u32;
        if window.view_len(&author) != view_len {
            return Err(format!("length of the view of {seq}"));
        }
        let hunks = random_hunks(&mut rng, view_len);
        let wanted = model.decide(&author, Seq(seq), &hunks).expect("model");
        let mut got = match window.decide(&author, Seq(seq), &hunks) {
            Ok(decision) => decision,
            Err(error) => return Err(format!("operation {seq}: {error}")),
        };
        (got.splices, got.regions) = (None, None);
        if got != wanted {
            return Err(format!("operation {seq}: {got:?}, should be {wanted:?}"));
        }
        if window.characters() != model.all_characters() {
            return Err(format!("order after {seq}: {:?}, should be {:?}", window.text(), model.trunk()));
        }
        if window.text() != model.trunk() {
            return Err(format!("trunk after {seq}"));
        }
    }
    Ok(())
}

#[test]
fn a_window_agrees_with_the_reference_model() {
    for_seeds("a_window_agrees_with_the_reference_model", 6, check);
}
