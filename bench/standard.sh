#!/usr/bin/env bash
# A short standard set against three brokers on this machine: bench/standard.sh build/release/weir [SECONDS]
# One line of figures per kind of work would hide what it cost: each report is printed whole.
set -euo pipefail

weir=${1:?usage: bench/standard.sh PATH_TO_WEIR [SECONDS]}
seconds=${2:-5}

# A runtime folder of its own: another `weir dev` of this user goes on undisturbed.
runtime=$(mktemp -d)
export XDG_RUNTIME_DIR=$runtime
unset WEIR_SERVER

"$weir" dev --nodes 3 --port 0 --raft-port 0 > "$runtime/dev.log" 2>&1 &
dev=$!
trap 'kill "$dev" 2>/dev/null; wait "$dev" 2>/dev/null; rm -rf "$runtime"' EXIT
for _ in $(seq 200); do
  grep -q '^console ' "$runtime/dev.log" && break
  kill -0 "$dev" 2>/dev/null || { cat "$runtime/dev.log" >&2; exit 1; }
  sleep 0.1
done

uname -srm
lscpu | sed -n 's/^Model name: *//p; s/^CPU(s): */processors: /p'
"$weir" version
run() {
  echo
  "$weir" bench "$@" --seconds "$seconds"
}
run pub --protocol http --clients 64
run pub --protocol ws --in-flight 1000
run pub --protocol ndjson --batch 100 --clients 10
run pub --protocol bin --batch 100 --in-flight 64000
run pub --protocol bin --batch 100 --in-flight 1000
run pub --protocol bin --batch 100 --in-flight 64000 --payload 1024
run pub --protocol ws --in-flight 1
run pub --protocol ws --rate 1000
run sub --protocol ndjson
run sub --protocol bin
run e2e --protocol ws --rate 1000
run fanout --protocol ws --rate 1000
