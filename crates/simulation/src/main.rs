//! `simulate`: one seed of the simulation, or many of them, each in a process of its own.

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("simulate: it replaces functions of the C library, which it does on Linux only");
    std::process::ExitCode::FAILURE
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::path::Path;
    use std::process::ExitCode;

    use clap::Parser;
    use syncline_core::seeded_faults::SeededFault;
    use syncline_simulation::{each, named, run_alone, simulate, tell};

    /// Simulates servers, clients, a network and everything that goes wrong, as a seed decides.
    #[derive(Debug, Parser)]
    #[command(name = "simulate")]
    struct Args {
        /// The seed, or the first of several
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        seed: u64,
        /// How many seeds to run, each in a process of its own
        #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
        seeds: u64,
        /// A fault that is planted in the service, as `SeededFault` names it
        #[arg(long, value_name = "NAME", value_parser = fault)]
        fault: Option<SeededFault>,
        /// Print what happens; for a single seed
        #[arg(long, conflicts_with = "seeds")]
        trace: bool,
        /// Run the seed in this very process and print the verdict for the one that started it
        #[arg(long, hide = true)]
        alone: bool,
    }

    fn fault(name: &str) -> Result<SeededFault, String> {
        named(name)
            .ok_or_else(|| "there is no such fault in the table of the simulation (faults.rs)".to_owned())
    }

    pub(super) fn main() -> ExitCode {
        let args = Args::parse();
        if args.trace {
            tracing_subscriber::fmt()
                .without_time()
                .with_max_level(tracing::Level::WARN)
                .with_ansi(false)
                .init();
        }
        if args.alone || args.trace {
            let verdict = simulate(args.seed, args.fault, args.trace);
            tell(&verdict);
            return exit_code(verdict.violation.is_none());
        }
        match std::env::current_exe() {
            Ok(program) => many(&program, &args),
            Err(error) => {
                eprintln!("simulate: this program cannot be found again: {error}");
                ExitCode::FAILURE
            }
        }
    }

    fn many(program: &Path, args: &Args) -> ExitCode {
        let wrong = each(args.seed..args.seed + args.seeds, |seed| {
            let verdict = run_alone(program, seed, args.fault);
            if args.seeds == 1 {
                println!("seed {seed}: {}", verdict.counts);
            }
            verdict.violation.map(|wrong| format!("seed {seed}: {wrong}\nagain: {}", again(seed, args.fault)))
        });
        for complaint in &wrong {
            eprintln!("{complaint}\n");
        }
        println!("seeds {} to {}: {} wrong", args.seed, args.seed + args.seeds - 1, wrong.len());
        exit_code(wrong.is_empty())
    }

    /// The command that runs a seed again and shows what happens.
    fn again(seed: u64, fault: Option<SeededFault>) -> String {
        let fault = fault.map(|fault| format!(" --fault {fault:?}")).unwrap_or_default();
        format!("cargo run -p syncline-simulation -- --seed {seed}{fault} --trace")
    }

    fn exit_code(sound: bool) -> ExitCode {
        if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
