# What a person or a machine does with this repository. `make demo` first.
#
#   make demo      builds the library and a C program, starts a paying test server, pays it
#   make test      everything: Rust, C and C++, valgrind, address sanitizer, installation, Python, Go, Node
#   make check     formatting and lints
#   make bench     the table of numbers, against libcurl and raw sockets
#   make interop   pays official servers on a local chain
#   make header    include/x402.h anew from src/ffi
#   make install   [PREFIX=/usr/local] [DESTDIR=]
PREFIX ?= /usr/local
DESTDIR ?=
CARGO ?= cargo
CC ?= cc
BUILD = build

# What tests/tools.sh had to fetch, because the system's own is too old.
export PATH := $(CURDIR)/$(BUILD)/tools/bin:$(PATH)

# What an archive of Rust code needs from the system.
SYSTEM_LIBS = -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc

.PHONY: demo test check header install bench library tools test-rust test-c test-asan test-install clean
.NOTPARALLEL:

# One profile for the library, the server and later `make test`, so that nothing is built twice.
demo:
	$(CARGO) build --locked --quiet --lib --example paying_server
	@mkdir -p $(BUILD)
	$(CC) -std=c99 -O2 -Wall -Wextra -Iinclude tests/c/demo.c target/debug/libx402.a $(SYSTEM_LIBS) -o $(BUILD)/demo
	@sh tests/c/demo.sh target/debug/examples/paying_server $(BUILD)/demo /upload

test: tools check test-rust test-c test-asan test-install test-python test-go test-node
	@echo "make test: everything passed"

tools:
	@sh tests/tools.sh

check:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --quiet --all-targets -- -D warnings -A clippy::result_large_err

# Without doc tests: what the documentation shows is C.
test-rust:
	$(CARGO) test --locked --quiet --all-targets

# The library as it ships, in release; the server from the build that test-rust made.
test-c: $(BUILD)/release/configured-tests
	$(CARGO) build --locked --quiet --example paying_server
	cmake --build $(BUILD)/release --parallel 2
	cd $(BUILD)/release && ctest --output-on-failure --parallel 2

test-asan: $(BUILD)/asan/configured
	cmake --build $(BUILD)/asan --parallel 2
	cd $(BUILD)/asan && ctest --output-on-failure --parallel 2

test-install: library
	sh tests/install/run.sh $(BUILD)/release

bench:
	tests/bench/run

# `make interop`: its programs link the library as it ships.
include tests/interop/interop.mk
interop: export X402_LIB_DIR = $(CURDIR)/$(BUILD)/release/lib
interop: library

include bindings/cpp/cpp.mk
include bindings/go/go.mk
include bindings/python/python.mk
include bindings/node/node.mk

library: $(BUILD)/release/configured
	cmake --build $(BUILD)/release --target x402_cargo

header:
	@$(CARGO) test --locked --quiet --test header the_committed_header_is_what_the_code_says >/dev/null 2>&1 || true
	@$(CARGO) test --locked --quiet --test header

install: library
	DESTDIR="$(DESTDIR)" cmake --install $(BUILD)/release --prefix "$(PREFIX)"
	@# The loader's cache, where this is an installation and not a package, and may be written.
	@test -n "$(DESTDIR)" || ldconfig 2>/dev/null || true

# Marks of our own: cmake leaves its cache behind where it failed. Whoever builds or installs needs nothing that only the
# tests need.
$(BUILD)/release/configured:
	cmake -S . -B $(BUILD)/release -DCMAKE_BUILD_TYPE=Release -DX402_TESTS=OFF && touch $@

$(BUILD)/release/configured-tests: $(BUILD)/release/configured
	cmake -S . -B $(BUILD)/release -DX402_TESTS=ON && touch $@

# Instrumented code must not mix with other code, so cargo gets a target directory of its own.
$(BUILD)/asan/configured:
	cmake -S . -B $(BUILD)/asan -DX402_SANITIZE=address -Dx402_cargo_dir=$(CURDIR)/target/asan && touch $@

clean:
	rm -rf $(BUILD)
	$(CARGO) clean --quiet
