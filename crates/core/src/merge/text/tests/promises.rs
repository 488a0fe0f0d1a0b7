//! The promises of the module documentation, on random sessions.

use super::reference::Doc;
use super::session::{BASE_TEXT, Client, Edit, Server, random_session};
use super::{Engine, for_seeds, hunk};
use crate::causality::{Author, Seq};
use crate::merge::text::{Hunk, Window, critical_base};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Promises 1 to 5. The view (1) and the effects are checked while the session runs.
pub(super) fn check_session<E: Engine>(seed: u64, with_extras: bool) -> Result<(), String> {
    let (server, clients) = random_session::<E>(seed, with_extras)?;
    check_convergence(&server, clients)?;
    check_partners(&server)?;
    check_nothing_lost(&server)?;
    check_replay(&server)
}

/// Promise 2.
fn check_convergence<E: Engine>(server: &Server<E>, clients: Vec<Client>) -> Result<(), String> {
    for mut client in clients {
        client.advance(server, server.head());
        let (shown, text) = (client.overlay(server)?, server.text());
        if shown != text {
            let who = client.replica_no;
            return Err(format!("client {who} shows {shown:?}, the trunk is {text:?}"));
        }
    }
    Ok(())
}

/// Promise 3. An author with extras may know the partner beyond its base, and then only as the suppressor
/// of text it also knew and still saw (c4).
fn check_partners<E: Engine>(server: &Server<E>) -> Result<(), String> {
    for logged in &server.log {
        let author = &logged.op.author;
        for &partner in logged.decision.partners.iter().flat_map(|(_, p)| p) {
            let known = author.knows(&server.log[partner.0 as usize - 1].stamp());
            let suppresses_known_text = server.log.iter().any(|w| {
                let mut hunks = w.op.hunks.iter();
                author.knows(&w.stamp()) && hunks.any(|h| h.suppressed_by == Some(partner))
            });
            let only_ground = suppresses_known_text && !author.extras.is_empty();
            if partner <= author.base_seq || (known && !only_ground) {
                return Err(format!("operation {} clashes with {partner}", logged.op.seq));
            }
        }
    }
    Ok(())
}

/// Promise 4.
fn check_nothing_lost<E: Engine>(server: &Server<E>) -> Result<(), String> {
    for character in server.doc.all_characters() {
        let Some(inserted_by) = character.inserted_by else {
            continue;
        };
        let stamp = server.log[inserted_by.0 as usize - 1].stamp();
        let deleted_knowingly = character.deletions.iter().any(|(seq, suppressed_by)| {
            let author = &server.log[seq.0 as usize - 1].op.author;
            suppressed_by.is_none() && author.knows(&stamp)
        });
        if !character.in_trunk && character.suppressed_by.is_none() && !deleted_knowingly {
            return Err(format!("lost: {character:?}"));
        }
    }
    Ok(())
}

/// Promise 5.
fn check_replay<E: Engine>(server: &Server<E>) -> Result<(), String> {
    for logged in &server.log {
        let seq = logged.op.seq;
        let earlier = &server.log[..seq.0 as usize - 1];
        let descending = earlier.iter().rev();
        let start =
            critical_base(logged.op.author.base_seq, descending.map(|z| (z.op.seq, z.op.author.base_seq)));
        let mut doc = E::open(&server.texts[start.0 as usize], start);
        let fail = |error| format!("replay for {seq} from {start}: {error}");
        for z in &earlier[start.0 as usize..] {
            doc.repeat(&z.op).map_err(fail)?;
        }
        let decision = doc.decide(&logged.op.author, seq, &logged.edit.hunks).map_err(fail)?;
        let wanted = &server.texts[seq.0 as usize];
        if decision != logged.decision || doc.trunk() != *wanted {
            let text = doc.trunk();
            return Err(format!("replay for {seq} from {start}: {text:?}, should be {wanted:?}"));
        }
    }
    Ok(())
}

/// Two or three clients type a run at one place, a character an operation, forward or backward, in any
/// order of arrival; the runs must come out contiguous.
pub(super) fn check_contiguous_runs<E: Engine>(seed: u64) -> Result<(), String> {
    const RUNS: [&str; 3] = ["abcd", "wxyz", "1234"];
    let mut rng = StdRng::seed_from_u64(seed);
    let mut server = Server::<E>::new("[]");
    let mut clients: Vec<Client> = (1..=rng.random_range(2..=3)).map(Client::new).collect();
    let deliver = rng.random_bool(0.5);
    // Backward typing after somebody else's text arrived may split a run, by nature of the order.
    let forward: Vec<bool> = clients.iter().map(|_| deliver || rng.random_bool(0.5)).collect();
    let mut queues: Vec<Vec<Edit>> = clients.iter().map(|_| Vec::new()).collect();
    let mut typed = vec![0; clients.len()];
    while typed.iter().any(|n| *n < 4) || queues.iter().any(|queue| !queue.is_empty()) {
        let i = rng.random_range(0..clients.len());
        let dice = rng.random_range(0..10);
        if dice < 5 && typed[i] < 4 {
            let seen = clients[i].overlay(&server)?;
            let run: Vec<char> = RUNS[i].chars().collect();
            let index_of = |wanted: char| {
                let found = seen.chars().position(|ch| ch == wanted);
                found.ok_or_else(|| format!("{wanted} is missing in {seen:?}"))
            };
            let (pos, ch) = match (typed[i], forward[i]) {
                (0, true) => (1, run[0]),
                (0, false) => (1, run[3]),
                (n, true) => (index_of(run[n - 1])? + 1, run[n]),
                (n, false) => (index_of(run[4 - n])?, run[3 - n]),
            };
            typed[i] += 1;
            let hunks = vec![hunk(pos as u32, 0, &ch.to_string())];
            let edit = clients[i].write(seen, hunks);
            queues[i].push(edit);
        } else if dice < 8 && !queues[i].is_empty() {
            server.submit(queues[i].remove(0))?;
        } else if deliver && typed[i] > 0 && clients[i].base_seq() < server.head() {
            let seq = Seq(rng.random_range(clients[i].base_seq().0 + 1..=server.head().0));
            clients[i].advance(&server, seq);
        }
    }
    let text = server.text();
    match RUNS[..clients.len()].iter().find(|run| !text.contains(**run)) {
        Some(run) => Err(format!("{run} is divided in {text:?}")),
        None => Ok(()),
    }
}

/// Promise 6, and the same text where neither insertions at one place nor touching edits decide by order.
/// Returns whether the pair clashed.
pub(super) fn check_symmetry<E: Engine>(seed: u64) -> Result<bool, String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let blank = Server::<E>::new(BASE_TEXT);
    let a = Client::new(1).edit(&mut rng, &blank)?;
    let b = Client::new(2).edit(&mut rng, &blank)?;
    let mut outcomes = Vec::new();
    for order in [[&a, &b], [&b, &a]] {
        let mut server = Server::<E>::new(BASE_TEXT);
        for edit in order {
            server.submit(edit.clone())?;
        }
        let clashed = server.log.iter().any(|l| !l.decision.partners.is_empty());
        outcomes.push((clashed, server.text().to_owned()));
    }
    let same_text = outcomes[0].1 == outcomes[1].1;
    let clashed = outcomes[0].0;
    if clashed != outcomes[1].0 || (!clashed && !touching(&a.hunks, &b.hunks) && !same_text) {
        let (a, b) = (&a.hunks, &b.hunks);
        return Err(format!("{a:?} and {b:?} give {outcomes:?}"));
    }
    Ok(clashed)
}

fn touching(a: &[Hunk], b: &[Hunk]) -> bool {
    a.iter().any(|x| {
        b.iter().any(|y| {
            let ends = [y.pos, y.pos + y.del];
            ends.contains(&x.pos) || ends.contains(&(x.pos + x.del))
        })
    })
}

#[test]
fn sessions_keep_their_promises() {
    for_seeds("sessions_keep_their_promises", 3, |seed| check_session::<Window>(seed, false));
}

#[test]
fn sessions_with_extras_keep_their_promises() {
    for_seeds("sessions_with_extras_keep_their_promises", 3, |seed| check_session::<Window>(seed, true));
}

/// Checks the reference model itself: if it were wrong, agreeing with it would mean little.
#[test]
fn the_reference_model_keeps_the_promises() {
    for_seeds("the_reference_model_keeps_the_promises", 1, |seed| {
        check_session::<Doc>(seed, seed.is_multiple_of(2))?;
        check_contiguous_runs::<Doc>(seed)?;
        check_symmetry::<Doc>(seed).map(|_| ())
    });
}

#[test]
fn concurrent_runs_are_not_interleaved() {
    for_seeds("concurrent_runs_are_not_interleaved", 5, check_contiguous_runs::<Window>);
}

#[test]
fn a_pair_clashes_in_both_orders_or_in_none() {
    for_seeds("a_pair_clashes_in_both_orders_or_in_none", 6, |seed| {
        check_symmetry::<Window>(seed).map(|_| ())
    });
    let clashing = (0..300).filter(|&seed| check_symmetry::<Window>(seed) == Ok(true));
    let clashing = clashing.count();
    assert!((30..270).contains(&clashing), "{clashing} of 300 clash");
}

/// An author who knew everything sees the trunk, and the fast path does what the window does.
#[test]
fn the_fast_path_agrees_with_the_window() {
    for_seeds("the_fast_path_agrees_with_the_window", 3, |seed| {
        let (mut server, clients) = random_session::<Window>(seed, false)?;
        let mut rng = StdRng::seed_from_u64(seed);
        for _ in 0..3 {
            let author = Author { base_seq: server.head(), ..clients[0].next_author() };
            let mut text = server.text().to_owned();
            let hunks = super::session::random_hunks(&mut rng, text.chars().count() as u32);
            let effect =
                crate::merge::text::apply_hunks(&mut text, &hunks).map_err(|error| error.to_string())?;
            let seq: Seq = server.head() + 1;
            let seen = server.text().to_owned();
            server.submit(Edit { author, hunks, seen })?;
            let logged = &server.log[seq.0 as usize - 1];
            if logged.decision.splices.as_ref() != Some(&effect) || text != server.text() {
                let wanted = &logged.decision.splices;
                return Err(format!("{effect:?}, the window says {wanted:?}"));
            }
        }
        Ok(())
    });
}
