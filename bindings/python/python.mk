# `make test-python`: the package as pip builds it, in an environment of its own under build/python.
# `make test-python-versions`: the wheel of that on every other Python that is found here.
PYTHON ?= python3
PYTHON_ENV = $(CURDIR)/$(BUILD)/python
PYTHON_RUN = $(PYTHON_ENV)/bin/python
PYTHON_PIP = -m pip --quiet --disable-pip-version-check
PYTHON_VERSIONS ?= 3.9 3.10 3.11 3.12 3.13
PYTHON_TESTS = bindings/python/tests
.PHONY: test-python test-python-versions python-package
python-package: library
	test -x $(PYTHON_RUN) || $(PYTHON) -m venv $(PYTHON_ENV)
	$(PYTHON_RUN) $(PYTHON_PIP) install -r bindings/python/requirements.txt
	rm -rf $(PYTHON_ENV)/wheels
	X402_LIB_DIR=$(CURDIR)/$(BUILD)/release/lib $(PYTHON_RUN) $(PYTHON_PIP) wheel --no-build-isolation --no-deps \
		-w $(PYTHON_ENV)/wheels bindings/python
	$(PYTHON_RUN) $(PYTHON_PIP) install --no-deps --force-reinstall $(PYTHON_ENV)/wheels/*.whl

test-python: python-package
	$(CARGO) build --locked --quiet --example paying_server
	cd bindings/python && $(PYTHON_RUN) -m mypy
	$(PYTHON_RUN) -m pytest -q $(PYTHON_TESTS)
	@# The cases and the recorded exchanges, which the runner judges. None run is not a pass.
	X402_DRIVERS="python=$(PYTHON_RUN) $(CURDIR)/$(PYTHON_TESTS)/cases_driver.py; \
		python-async=$(PYTHON_RUN) $(CURDIR)/$(PYTHON_TESTS)/cases_driver.py --async" \
		$(CARGO) test --locked --quiet --test cases --test fetch_behaviour every_driver > $(PYTHON_ENV)/cases.log 2>&1; \
		said=$$?; cat $(PYTHON_ENV)/cases.log; \
		test $$said -eq 0 && test `grep -c 'test result: ok\. [1-9]' $(PYTHON_ENV)/cases.log` -eq 2

# With the newest packages that each of them can have, where the pinned ones are for newer Pythons; shorter soaks.
test-python-versions:
	@for version in $(PYTHON_VERSIONS); do \
		found=; \
		for one in python$$version $$HOME/.pyenv/versions/$$version.*/bin/python; do \
			if $$one -c "" 2>/dev/null; then found=$$one; fi; \
		done; \
		test -n "$$found" || { echo "make test-python-versions: Python $$version is not here, and not tested"; continue; }; \
		own=$(PYTHON_ENV)-$$version; run=$$own/bin/python; \
		echo "Python $$version"; \
		{ test -x $$run || $$found -m venv $$own; } && \
		$$run $(PYTHON_PIP) install cffi httpx httpx2 openai pytest requests urllib3 && \
		$$run $(PYTHON_PIP) install --no-deps --force-reinstall $(PYTHON_ENV)/wheels/*.whl && \
		X402_SOAK_CALLS=500 $$run -m pytest -q $(PYTHON_TESTS) --ignore $(PYTHON_TESTS)/test_package.py || exit 1; \
	done
