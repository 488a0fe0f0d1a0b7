//! The reference model: one element per character, a real tree, and the rules as they are stated.
//!
//! It is slow and shares nothing with the window but [`Author::knows`], so that the two can be compared.

use super::{Character, Decision, Engine};
use crate::causality::{Author, Seq, Stamp};
use crate::merge::text::{Hunk, TextError, TextOp};
use std::collections::BTreeSet;

const ROOT: usize = 0;

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Left,
    Right,
}

struct Element {
    ch: char,
    op: Option<usize>,
    parent: Option<usize>,
    left: Vec<usize>,
    right: Vec<usize>,
    key: (Seq, usize, usize),
    suppressed_by: Option<Seq>,
    /// Operation, hunk, suppressor.
    deletions: Vec<(usize, usize, Option<Seq>)>,
}

struct Settled {
    stamp: Stamp,
    hunks: Vec<Hunk>,
}

pub(super) struct Doc {
    elements: Vec<Element>,
    ops: Vec<Settled>,
}

struct Planned {
    left: usize,
    deleted: Vec<usize>,
    suppressed_by: Option<Seq>,
}

impl Doc {
    fn add(
        &mut self,
        ch: char,
        op: Option<usize>,
        at: (usize, Side),
        key: (Seq, usize, usize),
        suppressed_by: Option<Seq>,
    ) -> usize {
        let index = self.elements.len();
        let (parent, side) = at;
        self.elements.push(Element {
            ch,
            op,
            parent: Some(parent),
            left: Vec::new(),
            right: Vec::new(),
            key,
            suppressed_by,
            deletions: Vec::new(),
        });
        let mut siblings = match side {
            Side::Left => std::mem::take(&mut self.elements[parent].left),
            Side::Right => std::mem::take(&mut self.elements[parent].right),
        };
        siblings.push(index);
        siblings.sort_by_key(|sibling| self.elements[*sibling].key);
        match side {
            Side::Left => self.elements[parent].left = siblings,
            Side::Right => self.elements[parent].right = siblings,
        }
        index
    }

    /// All elements in order, the root included.
    fn walk(&self) -> Vec<usize> {
        enum Step {
            Enter(usize),
            Emit(usize),
        }
        let mut order = Vec::with_capacity(self.elements.len());
        let mut stack = vec![Step::Enter(ROOT)];
        while let Some(step) = stack.pop() {
            match step {
                Step::Emit(index) => order.push(index),
                Step::Enter(index) => {
                    let element = &self.elements[index];
                    stack.extend(element.right.iter().rev().map(|&e| Step::Enter(e)));
                    stack.push(Step::Emit(index));
                    stack.extend(element.left.iter().rev().map(|&e| Step::Enter(e)));
                }
            }
        }
        order
    }

    fn known(&self, op: usize, author: &Author) -> bool {
        author.knows(&self.ops[op].stamp)
    }

    fn in_effect(&self, op: usize, suppressed_by: Option<Seq>, author: &Author) -> bool {
        self.known(op, author) && suppressed_by.is_none_or(|seq| seq > author.base_seq)
    }

    fn visible_to(&self, index: usize, author: &Author) -> bool {
        let e = &self.elements[index];
        let inserted = e.op.is_none_or(|op| self.in_effect(op, e.suppressed_by, author));
        let mut deletions = e.deletions.iter();
        inserted && !deletions.any(|&(op, _, sup)| self.in_effect(op, sup, author))
    }

    fn in_trunk(&self, index: usize) -> bool {
        let e = &self.elements[index];
        e.suppressed_by.is_none() && e.deletions.iter().all(|(_, _, sup)| sup.is_some())
    }

    fn view(&self, author: &Author) -> Vec<usize> {
        let mut order = self.walk();
        order.retain(|&e| e != ROOT && self.visible_to(e, author));
        order
    }

    fn string(&self, elements: &[usize]) -> String {
        elements.iter().map(|&e| self.elements[e].ch).collect()
    }

    fn is_descendant(&self, index: usize, ancestor: usize) -> bool {
        let mut at = Some(index);
        while let Some(element) = at {
            if element == ancestor {
                return true;
            }
            at = self.elements[element].parent;
        }
        false
    }

    /// Deletions of an element that are in force and unknown to the author, as (operation, hunk).
    fn unknown_deletions(&self, index: usize, author: &Author) -> BTreeSet<(usize, usize)> {
        self.elements[index]
            .deletions
            .iter()
            .filter(|(op, _, sup)| sup.is_none() && !self.known(*op, author))
            .map(|&(op, hunk, _)| (op, hunk))
            .collect()
    }

    fn partners(
        &self,
        author: &Author,
        order: &[usize],
        view: &[usize],
        hunk: &Hunk,
    ) -> (usize, Vec<usize>, BTreeSet<Seq>) {
        let (from, to) = (hunk.pos as usize, (hunk.pos + hunk.del) as usize);
        let deleted = view[from..to].to_vec();
        let left = if from > 0 { view[from - 1] } else { ROOT };
        let right = view.get(to).copied();
        let inserts = !hunk.ins.is_empty();
        let mut partners = BTreeSet::new();

        for &d in &deleted {
            for (op, h) in self.unknown_deletions(d, author) {
                if inserts || !self.ops[op].hunks[h].ins.is_empty() {
                    partners.insert(self.ops[op].stamp.seq); // c1
                }
            }
            partners.extend(self.elements[d].suppressed_by); // c4
        }
        if let (Some(first), Some(last)) = (deleted.first(), deleted.last()) {
            let position = |e: &usize| order.iter().position(|o| o == e).expect("in the order");
            for &e in &order[position(first) + 1..position(last).max(position(first) + 1)] {
                let element = &self.elements[e];
                if let Some(op) = element.op
                    && !self.known(op, author)
                    && element.suppressed_by.is_none()
                {
                    partners.insert(self.ops[op].stamp.seq); // c2
                }
            }
        }
        if inserts && deleted.is_empty() {
            // c3
            let around_left = self.unknown_deletions(left, author);
            let around_right = right.map(|right| self.unknown_deletions(right, author));
            for deletion in around_left.intersection(&around_right.unwrap_or_default()) {
                partners.insert(self.ops[deletion.0].stamp.seq);
            }
        }
        if inserts {
            // c4
            partners.extend(self.elements[left].suppressed_by);
            if deleted.is_empty() {
                partners.extend(right.and_then(|right| self.elements[right].suppressed_by));
            }
        }
        // c4: where a suppressed deletion of the author's took text away
        let position = |e: usize| order.iter().position(|o| *o == e).expect("in the order");
        let end = right.map_or(order.len(), position);
        for &e in &order[position(left) + 1..end] {
            for &(op, _, sup) in &self.elements[e].deletions {
                partners.extend(sup.filter(|_| self.in_effect(op, sup, author)));
            }
        }
        (left, deleted, partners)
    }
}

impl Engine for Doc {
    fn open(text_at_base: &str, _base_seq: Seq) -> Self {
        let mut doc = Self {
            elements: vec![Element {
                ch: '\0',
                op: None,
                parent: None,
                left: Vec::new(),
                right: Vec::new(),
                key: (Seq(0), 0, 0),
                suppressed_by: None,
                deletions: Vec::new(),
            }],
            ops: Vec::new(),
        };
        let mut last = ROOT;
        for (offset, ch) in text_at_base.chars().enumerate() {
            last = doc.add(ch, None, (last, Side::Right), (Seq(0), 0, offset), None);
        }
        doc
    }

    fn decide(&mut self, author: &Author, seq: Seq, hunks: &[Hunk]) -> Result<Decision, TextError> {
        let order = self.walk();
        let view = self.view(author);
        let mut decision =
            Decision { suppressed_by: Vec::new(), partners: Vec::new(), splices: None, regions: None };
        let mut plan = Vec::new();
        for (h, hunk) in hunks.iter().enumerate() {
            let (left, deleted, partners) = self.partners(author, &order, &view, hunk);
            let suppressed_by = partners.first().copied();
            decision.suppressed_by.push(suppressed_by);
            if suppressed_by.is_some() {
                decision.partners.push((h, partners.into_iter().collect()));
            }
            plan.push(Planned { left, deleted, suppressed_by });
        }

        let op = self.ops.len();
        for (h, planned) in plan.into_iter().enumerate() {
            let Planned { left, deleted, suppressed_by } = planned;
            for d in deleted {
                self.elements[d].deletions.push((op, h, suppressed_by));
            }
            let behind_left = order.iter().position(|&e| e == left).expect("left") + 1;
            // The right origin: the next element its author knew, tombstones included.
            let right = order[behind_left..]
                .iter()
                .copied()
                .find(|&e| self.elements[e].op.is_none_or(|other| self.known(other, author)));
            let mut at = match right {
                Some(right) if self.is_descendant(right, left) => (right, Side::Left),
                _ => (left, Side::Right),
            };
            for (offset, ch) in hunks[h].ins.chars().enumerate() {
                let element = self.add(ch, Some(op), at, (seq, h, offset), suppressed_by);
                at = (element, Side::Right);
            }
        }
        self.ops.push(Settled {
            stamp: Stamp { seq, replica_no: author.replica_no, counter: author.counter },
            hunks: hunks.to_vec(),
        });
        Ok(decision)
    }

    /// The model decides anew: that it comes to the same decision is part of what is checked.
    fn repeat(&mut self, op: &TextOp) -> Result<(), TextError> {
        let hunks: Vec<Hunk> = op.hunks.iter().map(|h| h.hunk.clone()).collect();
        self.decide(&op.author, op.seq, &hunks).map(|_| ())
    }

    fn seen_by(&self, author: &Author) -> String {
        self.string(&self.view(author))
    }

    fn trunk(&self) -> String {
        let mut order = self.walk();
        order.retain(|&e| e != ROOT && self.in_trunk(e));
        self.string(&order)
    }

    fn all_characters(&self) -> Vec<Character> {
        let seq = |op: usize| self.ops[op].stamp.seq;
        let order = self.walk();
        let elements = order.iter().filter(|&&e| e != ROOT);
        elements
            .map(|&e| Character {
                ch: self.elements[e].ch,
                inserted_by: self.elements[e].op.map(seq),
                suppressed_by: self.elements[e].suppressed_by,
                deletions: self.elements[e].deletions.iter().map(|&(op, _, sup)| (seq(op), sup)).collect(),
                in_trunk: self.in_trunk(e),
            })
            .collect()
    }
}
