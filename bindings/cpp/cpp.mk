# `make test-cpp`: the C++ tests alone; `make test` runs them among all others of ctest, also with the address sanitizer.
.PHONY: test-cpp
test-cpp: $(BUILD)/release/configured-tests
	$(CARGO) build --locked --quiet --example paying_server
	cmake --build $(BUILD)/release --parallel 2
	cd $(BUILD)/release && ctest --output-on-failure -L cpp --no-tests=error
