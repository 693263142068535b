# `make test-node`: the tests on both back ends. node's packages go into bindings/node/node_modules, which is untracked;
# FFI_NAPI=1 is what ffi-napi's install script wants, and no other script is run.
.PHONY: test-node
NODE_LIB_DIR = $(if $(X402_LIB_DIR),$(X402_LIB_DIR),$(CURDIR)/$(BUILD)/release/lib)
test-node: library
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory run-test-node; else \
		echo "make test-node: skipped, because Node 20 or later and npm are missing" >&2; test -z "$(CI)"; fi

.PHONY: run-test-node
run-test-node:
	$(CARGO) build --locked --quiet --example paying_server
	cd bindings/node && FFI_NAPI=1 npm ci --silent && X402_LIB_DIR=$(NODE_LIB_DIR) node build.js
	cd bindings/node && for backend in addon ffi-napi; do X402_BACKEND=$$backend X402_LIB_DIR=$(NODE_LIB_DIR) \
	    X402_PAYING_SERVER=$(CURDIR)/target/debug/examples/paying_server node --test tests/*.test.js || exit 1; done
