#!/bin/sh
# parity.sh X402_H INCLUDE TESTS: every function of the C header is called by x402.hpp, and every function of its classes
# is called by a test.
set -eu
header=$1
include=$2
tests=$3
functions=$(sed -n 's/^X402_API [^(]*[ *]\(x402_[a-z_0-9]*\)(.*/\1/p' "$header")
[ "$(echo "$functions" | wc -l)" -gt 50 ] || { echo "the header was not read" >&2; exit 1; }
code=$(sed 's://.*::' "$include"/*.hpp "$include"/x402/*.hpp)
bad=0
for function in $functions; do
    echo "$code" | grep -qw "$function" || { echo "x402.hpp does not reach $function" >&2; bad=1; }
done
# In their throwing form or the other.
for name in $(sed -n 's/.*[ *&]try_\([a-z_0-9]*\)(.*/\1/p' "$include"/x402/*.hpp | sort -u); do
    grep -qrE "[.>](try_)?$name\(" "$tests" || { echo "no test calls $name" >&2; bad=1; }
done
exit $bad
