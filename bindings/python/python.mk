# `make test-python`: the package as pip builds it, in an environment of its own under build/python.
PYTHON ?= python3
PYTHON_ENV = $(CURDIR)/$(BUILD)/python
PYTHON_RUN = $(PYTHON_ENV)/bin/python
.PHONY: test-python
test-python: library
	$(CARGO) build --locked --quiet --example paying_server
	test -x $(PYTHON_RUN) || $(PYTHON) -m venv $(PYTHON_ENV)
	$(PYTHON_RUN) -m pip install --quiet --disable-pip-version-check -r bindings/python/requirements.txt
	X402_LIB_DIR=$(CURDIR)/$(BUILD)/release/lib $(PYTHON_RUN) -m pip install --quiet --disable-pip-version-check \
		--no-build-isolation --no-deps --force-reinstall bindings/python
	cd bindings/python && $(PYTHON_RUN) -m mypy
	$(PYTHON_RUN) -m pytest -q bindings/python/tests
	@# The cases and the recorded exchanges, which the runner judges. None run is not a pass.
	X402_DRIVERS="python=$(PYTHON_RUN) $(CURDIR)/bindings/python/tests/cases_driver.py; \
		python-async=$(PYTHON_RUN) $(CURDIR)/bindings/python/tests/cases_driver.py --async" \
		$(CARGO) test --locked --quiet --test cases --test fetch_behaviour every_driver > $(PYTHON_ENV)/cases.log 2>&1; \
		said=$$?; cat $(PYTHON_ENV)/cases.log; \
		test $$said -eq 0 && test `grep -c 'test result: ok\. [1-9]' $(PYTHON_ENV)/cases.log` -eq 2
