#!/bin/sh
# parity.sh X402_H INCLUDE TESTS: every function of the C header is called by x402.hpp, and every class of it is tested, or
# the function is listed here with its reason.
set -eu
header=$1
include=$2
tests=$3
# function: reason
without='
x402_wallet_add_evm_mnemonic: has no class function yet; call it with Wallet::handle()
x402_wallet_add_solana_mnemonic: has no class function yet; call it with Wallet::handle()
x402_wallet_add_keyfile: has no class function yet; call it with Wallet::handle()
x402_wallet_add_signer: has no class function yet; call it with Wallet::handle()
x402_client_pay_request: has no class function yet; call it with the handles of Client and Request
'
functions=$(sed -n 's/^X402_API [^(]*[ *]\(x402_[a-z_0-9]*\)(.*/\1/p' "$header")
[ "$(echo "$functions" | wc -l)" -gt 50 ] || { echo "the header was not read" >&2; exit 1; }
bad=0
for function in $functions; do
    reason=$(echo "$without" | sed -n "s/^$function: //p")
    if grep -qrw "$function" "$include"; then
        [ -z "$reason" ] || { echo "$function is listed as left out, and is there" >&2; bad=1; }
    else
        [ -n "$reason" ] || { echo "x402.hpp does not reach $function" >&2; bad=1; }
    fi
done
for listed in $(echo "$without" | sed -n 's/:.*//p'); do
    echo "$functions" | grep -qx "$listed" || { echo "$listed is listed, and is no function" >&2; bad=1; }
done
# Each public function of the classes is used by a test, in its throwing form or the other.
for name in $(sed -n 's/.*[ *&]try_\([a-z_0-9]*\)(.*/\1/p' "$include"/x402/*.hpp | sort -u); do
    grep -qrE "[.>](try_)?$name\(" "$tests" || { echo "no test calls $name" >&2; bad=1; }
done
exit $bad
