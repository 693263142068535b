# `make test-node`: the tests on both back ends. node's packages go into bindings/node/node_modules, which is untracked;
# FFI_NAPI=1 is what ffi-napi's install script wants, and no other script is run.
.PHONY: test-node node-packages
NODE_LIB_DIR = $(or $(X402_LIB_DIR),$(CURDIR)/$(BUILD)/release/lib)
NODE_DRIVER = X402_LIB_DIR='$(NODE_LIB_DIR)' node '$(CURDIR)/bindings/node/tests/cases/driver.js'
node-packages: library
	cd bindings/node && FFI_NAPI=1 npm ci --silent && X402_LIB_DIR=$(NODE_LIB_DIR) node build.js

test-node: node-packages
	$(CARGO) build --locked --quiet --example paying_server
	cd bindings/node && for backend in addon ffi-napi; do X402_BACKEND=$$backend X402_LIB_DIR=$(NODE_LIB_DIR) \
	    X402_PAYING_SERVER=$(CURDIR)/target/debug/examples/paying_server node --test tests/*.test.js || exit 1; done
	@# The cases that every language runs, on both back ends; cargo's runner judges.
	@mkdir -p $(BUILD)/node
	X402_DRIVERS="node=env X402_BACKEND=addon $(NODE_DRIVER); node-ffi-napi=env X402_BACKEND=ffi-napi $(NODE_DRIVER)" \
		$(CARGO) test --locked --quiet --test cases --test fetch_behaviour every_driver >$(BUILD)/node/cases.txt 2>&1 \
		&& test $$(grep -c "ok. 1 passed" $(BUILD)/node/cases.txt) = 2 || { cat $(BUILD)/node/cases.txt; exit 1; }
