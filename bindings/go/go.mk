# `make test-go`: the Go binding against the library as it ships. X402_LIB_DIR: another folder that holds it.
GO ?= go
GO_LIB_DIR = $(or $(X402_LIB_DIR),$(CURDIR)/$(BUILD)/release/lib)

.PHONY: test-go
test-go: library
	$(CARGO) build --locked --quiet --example paying_server
	@mkdir -p $(BUILD)/go
	@printf 'Name: x402\nDescription: as built\nVersion: 0\nCflags: -I%s\nLibs: -L%s -lx402\n' \
		"$(CURDIR)/include" "$(GO_LIB_DIR)" >$(BUILD)/go/x402.pc
	@test -z "$$(gofmt -l bindings/go)" || { gofmt -l bindings/go; exit 1; }
	@# CGO_LDFLAGS names the folder too, because Go's build cache does not see what pkg-config says.
	cd bindings/go && export GODEBUG=cgocheck=1 PKG_CONFIG_PATH="$(CURDIR)/$(BUILD)/go" \
		CGO_LDFLAGS="-O2 -L$(GO_LIB_DIR)" LD_LIBRARY_PATH="$(GO_LIB_DIR)" \
		X402_PAYING_SERVER="$(CURDIR)/target/debug/examples/paying_server" && \
		$(GO) vet ./... && $(GO) test -race -count=1 ./... && $(GO) build -o "$(CURDIR)/$(BUILD)/go/cases" ./cases && \
		cd examples/openai && $(GO) vet ./... && $(GO) test -race -count=1 ./...
	@# The archive, by the tag; without the race detector, so that memory is looked at. Its checksum is a define, because
	@# Go's build cache does not see into it: a program linked with an older one would be tested again.
	cd bindings/go && export GODEBUG=cgocheck=1 CGO_LDFLAGS="-O2 -L$(GO_LIB_DIR)" \
		CGO_CFLAGS="-O2 -I$(CURDIR)/include -DX402_ARCHIVE=$$(cksum <$(GO_LIB_DIR)/libx402.a | tr ' ' _)" \
		X402_PAYING_SERVER="$(CURDIR)/target/debug/examples/paying_server" && \
		$(GO) test -tags x402_static -count=1 -run 'Static|Pays|Soak' .
	@# The cases that every language runs, on the callers' own threads and through the queue; cargo's runner judges.
	X402_DRIVERS="go=env LD_LIBRARY_PATH='$(GO_LIB_DIR)' '$(CURDIR)/$(BUILD)/go/cases'; \
		go-queued=env LD_LIBRARY_PATH='$(GO_LIB_DIR)' '$(CURDIR)/$(BUILD)/go/cases' --queued" \
		$(CARGO) test --locked --quiet --test cases --test fetch_behaviour every_driver >$(BUILD)/go/cases.txt 2>&1 \
		&& test $$(grep -c "ok. 1 passed" $(BUILD)/go/cases.txt) = 2 || { cat $(BUILD)/go/cases.txt; exit 1; }
