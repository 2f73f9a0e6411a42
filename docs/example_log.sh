#!/usr/bin/env bash
# The example log, live: three brokers, a subscriber, two events, a claimed id, a new leader, two more events.
# Usage: docs/example_log.sh [WEIR [OPTIONS OF weir dev...]]   (the binary; `make run` builds it first)
# Serves until Ctrl-C and leaves nothing behind.
set -euo pipefail

weir=${1:-build/release/weir}
shift $(($# > 0 ? 1 : 0))
ready_seconds=30
folder=$(mktemp -d)
dev=''
sub=''

finish() {
  trap - EXIT INT TERM
  for process in $sub $dev; do
    kill -TERM "$process" 2>/dev/null || true
  done
  for process in $sub $dev; do
    wait "$process" 2>/dev/null || true
  done
  rm -rf "$folder"
}
trap finish EXIT
trap 'finish; echo; echo "weir: stopped"; exit 0' INT TERM

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }

# Shows a command as one would type it, then runs it.
show() {
  local word
  printf '$ weir'
  for word in "$@"; do
    case $word in
      *[!a-zA-Z0-9/._-]*) printf " '%s'" "$word" ;;
      *) printf ' %s' "$word" ;;
    esac
  done
  printf '\n'
  "$weir" "$@"
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
  local tries=$(($1 * 10)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    if [ "$tries" -le 0 ]; then
      echo "weir: $what did not happen in time; what the brokers said:" >&2
      cat "$folder/dev" >&2
      exit 1
    fi
    kill -0 "$dev" 2>/dev/null || { cat "$folder/dev" >&2; exit 1; }
    sleep 0.1
  done
}

http_of_leader() { "$weir" cluster status -o json --timeout 1 | jq -er '.members[] | select(.role == "leader") | .http'; }
seen() { [ "$(wc -l <"$folder/seen")" -ge "$1" ] && grep -q missed "$folder/resumed"; }

say 'Three brokers on this machine'
echo '$ weir dev --nodes 3'
"$weir" dev --nodes 3 "$@" >"$folder/dev" 2>&1 &
dev=$!
wait_for $ready_seconds 'a leader' http_of_leader
show cluster status

say 'A subscriber to everything, from the first event on, at the leader'
server=$(http_of_leader)
echo "\$ weir sub '**' --from earliest --server $server &"
"$weir" sub '**' --from earliest --server "$server" >"$folder/seen" 2>"$folder/resumed" &
sub=$!

say 'Two events, and an id claimed without an event'
show pub sensors/temp '{"c":21.4}' --id t-1
show pub users/login '{"user":"ada"}' --id u-1
echo "\$ curl -X PUT 'http://$server/v1/ids/users/login?id=12345'"
curl --silent --show-error --fail -X PUT "http://$server/v1/ids/users/login?id=12345"

say 'The leader is killed: the others elect a new one, in a new term'
show dev kill leader
wait_for $ready_seconds 'a new leader' http_of_leader

say 'Two more events, in the new term'
show pub orders/new '{"sku":"A1","n":2}' --id o-1
show pub alerts/cpu '{"load":0.97}' --id a-1

say 'A repeat changes nothing: it is answered with the offset and time of the original, by the new leader too'
show pub sensors/temp '{"c":21.4}' --id t-1

say 'An id that is claimed is refused'
show pub users/login '{"user":"eve"}' --id 12345 || echo "(exit code $?: refused)"

say 'What the subscriber saw, across the change of leader'
wait_for 10 'the fourth event at the subscriber' seen 4
cat "$folder/seen" "$folder/resumed"

say "The Raft log: SET is a publish, DEDUP a claimed id; CONFIG founded the cluster, NOOP opens a leader's term"
show raft log

say 'It goes on serving. In another terminal:'
echo "  $weir sub '**' --from earliest"
echo "  $weir pub demo/hello 'hi' --id first"
echo "  curl 'http://$(http_of_leader)/v1/events/sensors/temp?from=earliest'"
echo
echo 'Ctrl-C ends it and leaves nothing behind.'
wait "$dev"
