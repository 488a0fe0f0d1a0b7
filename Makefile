# Every target is one documented command; `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help dev test check docs fmt tools release coverage bench bench-history bench-scaling bench-pure ghz compare crash crash-servers crash-postgres power-loss proxies simulate

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

dev: ## Run a server on this machine with an example workspace (http://127.0.0.1:7447)
	scripts/dev.sh

test: ## Run all tests; installs what they need
	scripts/test.sh

check: ## Formatting, lints, protocol compatibility, dependencies, scripts, docs site
	scripts/check.sh

docs: ## Build the docs site into target/docs, with the reference of the protocol, and check its links
	scripts/docs.sh

fmt: ## Format the code and the protocol
	cargo fmt --all
	scripts/tools.sh buf
	.tools/bin/buf format -w proto

tools: ## Install the pinned tools of the tests and checks into .tools/bin
	scripts/tools.sh

release: ## Build what is released into dist/ (many minutes; ARGUMENTS="--profile dev" to try the packaging)
	scripts/release.sh $(ARGUMENTS)

coverage: ## Run the tests with instrumentation and print the lines they reach (long; HTML in target/llvm-cov)
	scripts/coverage.sh $(ARGUMENTS)

bench: ## Measure everything against the project's bars (a quarter of an hour; ARGUMENTS="--quick" for minutes)
	scripts/bench.sh $(ARGUMENTS)

bench-history: ## Measure what checking a history of 10 million operations costs (about 3 GiB of memory)
	cargo test --locked --release --package syncline-core --lib ten_million -- --ignored --nocapture

bench-scaling: ## Measure one workspace and several, one server and three, on SQLite and on Postgres
	cargo test --locked --release --test it scaling -- --ignored --nocapture

bench-pure: ## Measure the pure parts: causality, merging, encoding (SYNCLINE_TRACE=FILE for a recorded session)
	cargo bench --locked --package syncline-protocol --bench pure

ghz: ## Load a server of its own with ghz and check that all of it was done (GHZ_SECONDS, 5 each)
	scripts/ghz.sh

compare: ## Measure Syncline, etcd and NATS side by side (eight minutes; ARGUMENTS="--quick" for half a minute)
	scripts/compare.sh $(ARGUMENTS)

crash: ## Kill the server under load again and again and check the history each time (long)
	cargo test --locked --release --test it crash::nothing -- --ignored --nocapture

crash-servers: ## Kill servers that share a Postgres, with 3,000 feeds on them (long)
	cargo test --locked --release --test it crash::servers -- --ignored --nocapture --test-threads 1

crash-postgres: ## Kill Postgres under load a hundred times (long)
	cargo test --locked --release --test it crash::database -- --ignored --nocapture

power-loss: ## Cut the power of a disk under the SQLite store CUTS times (1000) and check each time (long; root)
	CUTS=$(or $(CUTS),1000) cargo test --locked --release --test it power_loss::nothing_acknowledged_is_lost_in_a_thousand -- --ignored --nocapture

proxies: ## Leave feeds idle for five minutes behind nginx, HAProxy and Caddy
	cargo test --locked --test it proxies::five -- --ignored --nocapture

simulate: ## Simulate SEEDS worlds (1000 unless given) from FROM (200) on, beyond those of the ordinary run (long)
	cargo run --locked --quiet --package syncline-simulation -- --seed $(or $(FROM),200) --seeds $(or $(SEEDS),1000)
