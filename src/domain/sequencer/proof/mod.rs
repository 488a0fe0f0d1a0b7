//! Proof of the engine's rules.

mod client;
mod fold;
mod inbox;
mod network;
mod reference;
mod refusals;
mod replay;
mod script;
mod server;
mod texts;
mod truth;
mod values;

/// What a check says: nothing, or what is wrong.
type Check = Result<(), String>;

#[test]
fn random_runs() {
    let from: u64 = std::env::var("SYNCLINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
    let runs: u64 = std::env::var("SYNCLINE_MODEL_RUNS").ok().and_then(|s| s.parse().ok()).unwrap_or(30);
    let mut bad = 0;
    for seed in from..from + runs {
        if let Err(e) = network::run(seed) {
            let e: String = e.chars().take(1500).collect();
            eprintln!("seed {seed}: {e}\n"); bad += 1;
            if bad > 5 { break; }
        }
    }
    assert_eq!(bad, 0);
}
