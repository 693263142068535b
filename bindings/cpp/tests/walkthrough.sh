#!/bin/sh
# walkthrough.sh SERVER PROGRAM: runs the walkthrough against the paying test server and looks at what it says.
set -eu
scratch=$(mktemp -d)
trap 'exec 3>&-; rm -rf "$scratch"' EXIT
mkfifo "$scratch/in" "$scratch/out"
"$1" --demo <"$scratch/in" >"$scratch/out" &
exec 3>"$scratch/in"
read -r _ url <"$scratch/out"
# The first development account, known to everyone.
export EVM_PRIVATE_KEY=0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80
said=$("$2" "$url" "$scratch" | tr '\r' '\n')
says() { printf '%s\n' "$said" | grep -q "$1" || { printf 'the walkthrough does not say "%s", but:\n%s\n' "$1" "$said" >&2; exit 1; }; }
says '^200 .*sunny'
says '^paid 10000 in 0x[0-9a-f]'
says '^sent 300000 of 300000$'
says '^upload: 200 paid$'
says '^line: .*sunny'
says '^error: X402_ERROR_URL, money: none$'
says '^caught: the camera is off$'
says '^event 3: 200$'
says '^second key: .*0x70997970C51812dc3A010C7d01b50e0d17dc79C8'
says '^not signed: the KMS is locked$'
says '^another client: 200 paid$'
says '^totals: .*"40000"'
says '^entries: .*report 2026-11\|^entries: .*"paid"'
