# The interop suite. The including Makefile builds the library first: `interop` needs libx402.so in
# target/release or target/debug, or X402_LIB_DIR.
.PHONY: interop interop-reference

interop:
	tests/interop/run

# The control: the official clients through the same checks.
interop-reference:
	tests/interop/run --reference
