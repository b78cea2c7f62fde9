# What people type. `make demo` and `make test` need a Rust toolchain and nothing else.
CARGO ?= cargo

PYTHON ?= python3

.PHONY: storm fuzz compose help demo demo-ten score test ci lint fmt bench soak doc schema reference build clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

build: ## the release binary: target/release/murphy
	$(CARGO) build --release -p murphy

demo: ## build, then run the embedded example: two shops, the same faults, both verdicts
	$(CARGO) run --release -q -p murphy -- demo

demo-ten: ## the demo ten times beside a busy program: each weakness of the careless shop named, none of the careful one (five minutes)
	$(CARGO) build -q -p murphy
	MURPHY_DEMO=$${MURPHY_DEMO:-10} $(CARGO) test -q -p murphy-tests --test demo -- --nocapture

test: ## all tests; those that need Docker or a Redis say so when there is none
	$(CARGO) build -q -p murphy
	$(CARGO) test --workspace

score: ## hold the detectors to services whose truth is known (an hour); needs Python, nginx, HAProxy, Redis, PostgreSQL
	$(CARGO) build -q -p murphy
	$(CARGO) build -q -p murphy-tests --example score_service
	$(PYTHON) -m venv target/score-venv
	target/score-venv/bin/pip install -q -r tests/score/requirements.txt
	target/score-venv/bin/python -B tests/score/score.py --murphy target/debug/murphy --table docs/detectors.md

lint: ## formatting, clippy without warnings, dependency policy where cargo-deny is installed
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -q -- -D warnings
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny check bans licenses sources; \
	else echo "skipped: cargo-deny is not installed"; fi

doc: ## the API documentation, without warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps -q

schema: ## write what is made of the types: fields of faults, JSON Schema of scenarios, OpenAPI document
	$(CARGO) run -q -p murphy --example made_of_types fields > target/made && mv target/made crates/faults/src/fields.json
	$(CARGO) run -q -p murphy --example made_of_types schema > target/made && mv target/made docs/scenario.schema.json
	$(CARGO) run -q -p murphy --example made_of_types openapi > target/made && mv target/made docs/openapi.json

reference: ## write the reference page of the guide to docs/
	$(CARGO) run -q -p murphy -- reference > docs/reference.md

bench: build ## every row of docs/performance.md, against yardsticks in the same run (some minutes); fails on a missed bar
	@missed=0; for part in murphy-proxy murphy-load murphy-tests; do $(CARGO) bench -q -p $$part || missed=1; done; exit $$missed

soak: ## ten minutes of random edits, connects, resets and bulk traffic against a daemon, every byte checked
	$(CARGO) build -q --release -p murphy
	MURPHY_SOAK_SECONDS=$${MURPHY_SOAK_SECONDS:-600} $(CARGO) test -q --release -p murphy-tests --test soak -- --nocapture

fuzz: ## ten minutes for each reader of Murphy's own: HTTP, scenarios, both control APIs; `make test` with CI=true takes a minute or two of each
	$(CARGO) build -q -p murphy
	MURPHY_FUZZ_SECONDS=$${MURPHY_FUZZ_SECONDS:-600} $(CARGO) test -q -p murphy-proxy -p murphy-scenario -p murphy-control -p murphy-tests \
	  --test http_fuzz --test fuzz --test api_fuzz -- --nocapture

compose: ## every scenario on the example stack, and a whole CI job (Docker, root; ten minutes); `make test` runs three of them
	$(CARGO) build -q -p murphy
	MURPHY_COMPOSE=all $(CARGO) test -q -p murphy-tests --test docker --test ci_job -- --nocapture

storm: ## kill Murphy 1000 times in mid-run and look for what is left (Docker, root; a quarter of an hour)
	$(CARGO) build -q -p murphy
	MURPHY_STORM=$${MURPHY_STORM:-1000} $(CARGO) test -q -p murphy-tests --test storm -- --nocapture

fmt: ## format
	$(CARGO) fmt --all

ci: lint test doc ## all that must hold before a change lands
