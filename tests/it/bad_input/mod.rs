//! Input that breaks a rule: each gets its documented, typed error, nothing is lost or half applied, and the same client
//! goes on over the same connection.

mod calls;
mod content;
mod extremes;
mod naughty;
mod newer;
mod operations;

use std::collections::BTreeMap;

use crate::harness::ops::card;
use crate::harness::receipts::applied;
use crate::harness::{Replica, TestServer, Workspace, pb};

/// A client that makes mistakes, in a workspace with one card.
struct Clumsy {
    server: TestServer,
    ws: Workspace,
    ada: Replica,
    /// The head as it has to be.
    head: u64,
}

impl Clumsy {
    async fn new() -> Clumsy {
        Clumsy::over(TestServer::in_memory().await).await
    }

    async fn over(server: TestServer) -> Clumsy {
        let ws = server.workspace("w").await;
        let mut ada = ws.replica(1, "ada");
        let head = ws.apply(ada.op(vec![card("c1").create()])).await;
        ada.saw(head);
        Clumsy { server, ws, ada, head }
    }

    /// Nothing was stored, and the client goes on with its next counter.
    async fn goes_on(&mut self) {
        assert_eq!(self.ws.head_seq().await, self.head, "something was stored");
        let operation = self.ada.op(vec![card("c1").increment("votes", 1)]);
        self.head = applied(&self.ws.submit(operation).await);
        self.ada.saw(self.head);
        let state = crate::harness::workspace::state(&self.ws.record("c1").await, "votes");
        assert!(matches!(state, pb::field_state::State::Counter(_)));
    }

    /// The receipt of the next operation, which is expected to leave no trace but its counter.
    async fn tries(&mut self, mutations: Vec<pb::Mutation>) -> pb::Receipt {
        let operation = self.ada.op(mutations);
        self.ws.submit(operation).await
    }
}

/// A receipt's metadata by key.
fn parts<const N: usize>(metadata: &BTreeMap<String, String>, keys: [&str; N]) -> [String; N] {
    keys.map(|key| metadata[key].clone())
}
