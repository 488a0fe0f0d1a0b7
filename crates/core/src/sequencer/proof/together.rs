//! Callers that write more than once on one reading, and calls that settle as a whole or not at all.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::desk::{RuleFixture, dot, operation, request};
use super::script::{create, mutation, set};
use super::server::EPOCH;
use super::{Check, ensure};
use crate::causality::{Counter, Seq};
use crate::hash::hash;
use crate::limits::{AFTER_REQUESTS_MAX, REQUEST_ID_MS};
use crate::merge::text::Hunk;
use crate::operation::{Action, CausalContext, Knowledge, Malformed, Mutation, Operation, Outcome, Receipt};
use crate::refusal::Refusal;
use crate::value::Value;

fn reading(base_seq: Seq) -> Knowledge {
    Knowledge::Context(CausalContext::at(EPOCH, base_seq))
}

/// A job's operation after those it names.
fn after(names: &[&str], operation: Operation) -> Operation {
    Operation { after_requests: names.iter().map(|name| (*name).into()).collect(), ..operation }
}

fn write(value: i64) -> Vec<Mutation> {
    vec![set("r0", "plain", value)]
}

/// A job that names its earlier operations does not clash with them, nor with what they knew; it clashes with all
/// others, also where these have request ids of about the same time.
pub(super) fn check_own_requests() -> Check {
    let mut desk = RuleFixture::new()?;
    let clashes = |desk: &mut RuleFixture, o: &Operation| desk.settled(o).map(|(_, s)| s.conflicts.len());
    ensure!(clashes(&mut desk, &request("a", reading(Seq(1)), write(1)))? == 0, "the first");
    desk.settled(&request("other", reading(Seq(1)), vec![set("r0", "latest", 1)]))?;
    let second = after(&["a"], request("b", reading(Seq(1)), write(2)));
    ensure!(clashes(&mut desk, &second)? == 0, "with itself");
    let third = after(&["b"], request("c", reading(Seq(1)), write(3)));
    ensure!(clashes(&mut desk, &third)? == 0, "with what the one it names knew");
    let fourth = after(&["c"], request("d", reading(Seq(1)), vec![set("r0", "min", 4)]));
    ensure!(clashes(&mut desk, &fourth)? == 0, "a field nobody else wrote");
    desk.settle(7, Seq(1), vec![set("r0", "min", 7)])?;
    let fifth =
        after(&["d"], request("e", reading(Seq(1)), vec![set("r0", "min", 5), set("r0", "latest", 5)]));
    ensure!(clashes(&mut desk, &fifth)? == 2, "with a replica, and with another job");

    let refused = |desk: &mut RuleFixture, o: &Operation| match desk.refused(o)? {
        Refusal::InvalidContext { .. } => Ok(()),
        other => Err(format!("{:?}: {other:?}", o.after_requests)),
    };
    refused(&mut desk, &after(&["nobody"], request("f", reading(Seq(1)), write(6))))?;
    desk.settled(&request("late", Knowledge::Latest, write(7)))?;
    // The operation `late` knew all that was there by then, which this reading has not seen.
    refused(&mut desk, &after(&["late"], request("g", reading(Seq(1)), write(8))))?;
    let base = desk.head();
    desk.settled(&after(&["late"], request("g", reading(base), write(8))))?;
    let by_dot =
        Operation { after_requests: vec!["a".into()], ..operation(dot(1, 1), Seq(1), vec![], write(9)) };
    ensure!(matches!(desk.rejected(&by_dot)?, Refusal::InvalidContext { .. }), "a dot with request ids");

    let mut last = "g".to_owned();
    for number in 0..AFTER_REQUESTS_MAX {
        let id = format!("long-{number}");
        desk.settled(&after(&[&last], request(&id, reading(base), write(number as i64))))?;
        last = id;
    }
    refused(&mut desk, &after(&[&last], request("too-long", reading(base), write(0))))?;
    let base = desk.head();
    desk.settled(&after(&[&last], request("read-again", reading(base), write(0))))?;
    desk.server.now_ms += REQUEST_ID_MS;
    refused(&mut desk, &after(&[&last], request("next-day", reading(base), write(0))))
}

fn positions(receipts: &[Receipt]) -> Vec<Option<Seq>> {
    let position = |receipt: &Receipt| match receipt.outcome {
        Outcome::Accepted { seq, .. } => Some(seq),
        _ => None,
    };
    receipts.iter().map(position).collect()
}

/// Nothing comes between operations that settle together: who waited for the first of them follows the last one. One of
/// them may itself have waited for another.
pub(super) fn check_releasing() -> Check {
    let mut desk = RuleFixture::new()?;
    desk.held(&operation(dot(9, 1), Seq(1), vec![dot(1, 1)], write(9)))?;
    let second = operation(dot(1, 2), Seq(1), vec![], write(2));
    desk.held(&second)?;
    let call =
        [operation(dot(1, 1), Seq(1), vec![], write(1)), second, request("a", Knowledge::Latest, write(3))];
    let (receipts, _) = desk.server.submit_together(&call)?;
    ensure!(positions(&receipts) == [Some(Seq(2)), Some(Seq(3)), Some(Seq(4))], "{receipts:?}");
    ensure!(desk.head() == 5, "who waited has followed: {}", desk.head());
    let waits =
        [request("b", Knowledge::Latest, write(4)), operation(dot(2, 1), Seq(1), vec![dot(3, 1)], write(5))];
    let (receipts, wrote) = desk.server.submit_together(&waits)?;
    ensure!(wrote.is_empty() && positions(&receipts) == [None, None], "{receipts:?}");
    let refusals: Vec<_> = receipts.iter().map(|r| refusal_of(r).cloned()).collect();
    let not_all = Some(Refusal::NotAllSettled { operation_index: 1 });
    let waited = matches!(refusals[1], Some(Refusal::InvalidContext { .. }));
    ensure!(refusals[0] == not_all && waited, "{refusals:?}");
    Ok(())
}

fn refusal_of(receipt: &Receipt) -> Option<&Refusal> {
    match &receipt.outcome {
        Outcome::NotSettled { refusal, .. } => refusal.as_ref(),
        _ => None,
    }
}

/// What had settled before, accepted or rejected, counts as settled, and keeps its receipt whatever becomes of the call.
pub(super) fn check_settled_before() -> Check {
    let mut desk = RuleFixture::new()?;
    let accepted = operation(dot(1, 1), Seq(1), vec![], write(1));
    let rejected = operation(dot(2, 1), Seq(1), vec![], vec![set("nothing", "plain", 1)]);
    desk.settled(&accepted)?;
    desk.rejected(&rejected)?;
    let bad = request("bad", Knowledge::Latest, vec![set("r0", "plain", 1), set("nothing", "plain", 1)]);
    let new = operation(dot(1, 2), Seq(1), vec![], write(2));
    let call = [new.clone(), accepted.clone(), bad, rejected.clone()];
    let (receipts, wrote) = desk.server.submit_together(&call)?;
    ensure!(wrote.is_empty(), "{wrote:?}");
    let said: Vec<_> = receipts.iter().map(|r| (r.duplicate, r.outcome.is_terminal())).collect();
    ensure!(said == [(false, false), (true, true), (false, false), (true, true)], "{receipts:?}");
    let own = matches!(
        &receipts[2].outcome,
        Outcome::NotSettled { refusal: Some(Refusal::RecordNotFound { .. }), mutation_index: Some(1), .. }
    );
    ensure!(own, "its own reason: {:?}", receipts[2]);
    let told = refusal_of(&receipts[0]) == Some(&Refusal::NotAllSettled { operation_index: 2 });
    let expected = matches!(receipts[0].outcome, Outcome::NotSettled { expected_counter: Counter(2), .. });
    ensure!(told && expected, "{:?}", receipts[0]);
    let (receipts, _) = desk.server.submit_together(&[accepted, new, rejected])?;
    ensure!(receipts[1].outcome.is_terminal() && desk.head() == 3, "{receipts:?}");
    Ok(())
}

/// Operations of all kinds by three replicas and by jobs.
struct Source {
    dice: StdRng,
    counters: [u64; 3],
    requests: u32,
    sent: Vec<Operation>,
}

impl Source {
    fn next(&mut self, head: Seq) -> Operation {
        if !self.sent.is_empty() && self.dice.random_bool(0.1) {
            return self.sent[self.dice.random_range(0..self.sent.len())].clone();
        }
        let mutations = (0..self.dice.random_range(1..3)).map(|_| self.mutation()).collect();
        let operation = if self.dice.random_bool(0.3) {
            self.requests += 1;
            request(&format!("job-{}", self.requests), Knowledge::Latest, mutations)
        } else {
            let who = self.dice.random_range(0..self.counters.len());
            // Now and then one is lost on the way.
            self.counters[who] += if self.dice.random_bool(0.03) { 2 } else { 1 };
            let base_seq = if self.dice.random_bool(0.7) { head } else { Seq(1) };
            let dot = dot(who as u128 + 1, self.counters[who]);
            let malformed = self.dice.random_bool(0.02).then(|| Malformed {
                refusal: Refusal::UnknownAction,
                mutation_index: Some(0),
                content_hash: hash(b"newer"),
            });
            Operation { malformed, ..operation(dot, base_seq, vec![], mutations) }
        };
        self.sent.push(operation.clone());
        operation
    }

    fn mutation(&mut self) -> Mutation {
        let value = self.dice.random_range(0..3);
        let record = if self.dice.random_bool(0.04) { "nothing" } else { "r0" };
        let action = match self.dice.random_range(0..7) {
            0 => return create(&format!("r{}", self.dice.random_range(1..30))),
            1 => Action::Increment { field: "count".into(), by: value },
            2 => Action::AddElements { field: "tags".into(), elements: vec![Value::Int(value)] },
            3 => {
                let hunks = vec![Hunk { pos: 0, del: 0, ins: format!("{value}") }];
                Action::EditText { field: "text".into(), hunks }
            }
            4 => Action::Link { field: "many".into(), target: "r0".into() },
            _ => return set(record, "plain", value),
        };
        mutation(record, action)
    }
}

fn settled(receipt: &Receipt) -> bool {
    match receipt.outcome {
        Outcome::Accepted { .. } => true,
        Outcome::Rejected(_) => receipt.duplicate,
        Outcome::Held { .. } | Outcome::NotSettled { .. } => false,
    }
}

/// Compares a call that settles together with the same operations sent one by one elsewhere. If all of them settle
/// there, the call has the same receipts; otherwise it settles none, and sending them again one by one ends the same.
pub(super) fn check_random(seed: u64) -> Check {
    let (mut together, mut apart) = (RuleFixture::new()?, RuleFixture::new()?);
    let (dice, sent) = (StdRng::seed_from_u64(seed), Vec::new());
    let mut source = Source { dice, counters: [0; 3], requests: 0, sent };
    for _ in 0..10 {
        let count = source.dice.random_range(1..8);
        let call: Vec<Operation> = (0..count).map(|_| source.next(together.head())).collect();
        let mut one_by_one = Vec::with_capacity(count);
        for operation in &call {
            one_by_one.push(apart.submit(operation)?.0);
        }
        let before = *together.server.head();
        let (receipts, wrote) = together.server.submit_together(&call)?;
        match one_by_one.iter().position(|receipt| !settled(receipt)) {
            None => ensure!(receipts == one_by_one, "{call:?} came to {receipts:?}, apart {one_by_one:?}"),
            Some(first) => {
                ensure!(wrote.is_empty() && *together.server.head() == before, "{wrote:?} stays of {call:?}");
                for (index, receipt) in receipts.iter().enumerate() {
                    let all = Refusal::NotAllSettled { operation_index: first as u32 };
                    let told = refusal_of(receipt) == Some(&all);
                    let counts = if receipt.outcome.is_terminal() { receipt.duplicate } else { told };
                    ensure!(counts || index == first, "{index} of {call:?}: {receipt:?}");
                }
                ensure!(!receipts[first].outcome.is_terminal(), "{:?}", receipts[first]);
            }
        }
        for operation in &call {
            together.submit(operation)?;
        }
        ensure!(together.server.head().chain == apart.server.head().chain, "another history after {call:?}");
    }
    Ok(())
}
