# What can be done with this repository. `make` alone tells.

.PHONY: help run test ui test-ui edits mutants check bench dist

help:
	@echo "make run    a server to try, with a fail2ban behind it (Ctrl-C ends both)"
	@echo "make test   every test; installs fail2ban and curl when they are missing"
	@echo "make ui     the page, from ui/src to ui/dist (Node 18 or newer)"
	@echo "make test-ui  the page in a browser, in front of a real fail2ban (Node, Chromium)"
	@echo "make edits  5 000 random edits of the configuration on real daemons (an hour or two)"
	@echo "make mutants  200 small mistakes in the program, one at a time: do the tests notice? (COUNT, SEED, MODULES, LIBRARY=1)"
	@echo "make check  format, lints, and the dependencies' licences and advisories"
	@echo "make bench  the figures of this machine"
	@echo "make dist   the static binaries of every target, in dist/"

run:
	@tests/demo/run

test:
	@tests/demo/need --lean fail2ban-client=fail2ban curl=curl
	cargo test --locked

ui:
	@tests/demo/need --lean node=nodejs npm=npm
	cd ui && npm ci --ignore-scripts --no-audit --no-fund && npm run --silent build

test-ui:
	@tests/demo/need --lean fail2ban-client=fail2ban python3=python3 node=nodejs npm=npm chromium=chromium
	cd ui && npm ci --ignore-scripts --no-audit --no-fund
	cargo build --locked
	cd ui && npm test --silent

edits:
	BANGUI_SEED=time BANGUI_EDITS=5000 cargo test --locked --test it -- random_edits:: --nocapture

mutants:
	@tests/demo/need --lean python3=python3 fail2ban-client=fail2ban curl=curl
	@tests/mutants/run

check:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	@tests/demo/deny

bench:
	cargo build --locked --release
	tests/bench/run

dist:
	@bash -c 'set -e; . cross/toolchain.sh; for target in $$TARGETS; do cross/build $$target; done'
