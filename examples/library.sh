# What the examples' `run` scripts share: throwaway servers, the sample shop, its application behind a proxy, and the proof at the end. To be
# sourced. All that was begun is taken away when the script ends, however it ends. $GODWIT_BIN names a godwit to use; else the one on the PATH,
# else build/release/bin/godwit.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

godwit=${GODWIT_BIN:-$(command -v godwit || echo build/release/bin/godwit)}
shop=examples/sample-shop
work=
application=
stream=
proxy=
proxy_port=
layout=()  # the options that name the target's side, where that is more than one server

say() { printf '\n== %s\n' "$*"; }
shown() { printf '$ %s\n' "$*"; "$@"; }
die() { echo "$0: $*" >&2; exit 1; }

# Ends a process of ours, if it runs; its status must be one of those named (0 and 130: stopped, resumable).
end() {
  [[ -n $1 ]] || return 0
  local status=0
  kill -TERM "$1" 2>/dev/null || true
  wait "$1" || status=$?
  [[ $status == 0 || $status == 130 ]] || { tail -n 20 "$work"/*.log >&2; die "a process ended with $status"; }
}

clean_up() {
  trap - EXIT INT TERM
  local pid
  for pid in $stream $application $proxy; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in $stream $application $proxy; do wait "$pid" 2>/dev/null || true; done
  [[ -z $work ]] || { scripts/servers destroy || true; rm -rf "$work"; }
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# begin NAME=FLAVOUR…: the servers.
begin() {
  say "Throwaway servers: $*"
  work=$(mktemp -d)
  export GODWIT_SERVERS_DIR=$work/servers GODWIT_STATE=$work/godwit.db
  export GODWIT_SOURCE_PASSWORD=godwit GODWIT_TARGET_PASSWORD=godwit GODWIT_ADMIN_PASSWORD=example
  scripts/servers start "$@"
}

port() { cat "$work/servers/$1/port"; }
dsn() { echo "mysql://godwit@127.0.0.1:$(port "$1")/shop"; }
on() { local server=$1; shift; scripts/servers client "$server" "$@"; }

# load_shop SERVER [ORDERS]
load_shop() {
  say "The shop: ${2:-2000} orders"
  on "$1" -e 'CREATE DATABASE shop'
  # A mode that every flavour and version has.
  { echo "SET sql_mode = 'STRICT_TRANS_TABLES';"; cat "$shop/schema.sql"; } | on "$1" shop
  "$shop/generate" --orders "${2:-2000}" | on "$1" shop
}

# await SECONDS WHAT COMMAND…: until the command succeeds. What runs for it in the background must go on running.
await() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    { ((SECONDS < end)) && all_alive; } || { tail -n 20 "$work"/*.log >&2; die "$what"; }
    sleep 0.2
  done
}
all_alive() {
  local pid
  for pid in $proxy $application $stream; do kill -0 "$pid" 2>/dev/null || return 1; done
}

# A port that nobody listens on.
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# start_proxy SOURCE TARGET [OPTION…]
start_proxy() {
  say "godwit proxy: the application connects here, and stays connected"
  local source target=("${layout[@]}")
  source=$(dsn "$1")
  ((${#target[@]})) || target=(--target "$(dsn "$2")")
  shift 2
  proxy_port=$(free_port)
  "$godwit" proxy shop --source "$source" "${target[@]}" --listen "127.0.0.1:$proxy_port" --admin-user godwit_admin --clients-max 1000 "$@" >"$work/proxy" 2>"$work/proxy.log" &
  proxy=$!
  await 120 "the proxy does not listen" grep -q 'listening on' "$work/proxy.log"
}

start_application() {
  say "An application writes, from now until the end"
  "$shop/writer" --port "$proxy_port" --rate "${1:-30}" --ledger "$work/ledger" --seconds 3600 >"$work/application.log" 2>&1 &
  application=$!
  await 120 "the application wrote nothing" test -s "$work/ledger"
}

is_caught_up() { "$godwit" status shop 2>/dev/null | grep -q 'caught up'; }

begun() { "$godwit" status shop --history 2>/dev/null | grep -c replicate_started || true; }
has_begun_since() { [[ $(begun) -gt $1 ]]; }

# follow [OPTION…]: replicate, in the background, until it is caught up. What status says of a stream before that is of the one that ran earlier.
follow() {
  local before
  say "godwit replicate shop $*"
  end "$stream"
  before=$(begun)
  "$godwit" replicate shop --quiet "$@" >"$work/replicate" 2>"$work/replicate.log" &
  stream=$!
  await 60 "the stream did not begin" has_begun_since "$before"
  await 300 "the stream did not catch up" is_caught_up
}

# cut_over switch|reverse SERVER: SERVER is to serve.
cut_over() {
  say "godwit $1: the application goes on with $2"
  await 300 "the stream did not catch up" is_caught_up
  # Both servers, the application and godwit share this machine: a pause that a production would call long may be seen here.
  shown "$godwit" "$1" shop --proxy "127.0.0.1:$proxy_port" --admin-user godwit_admin --lag-max 10s --pause-max 10s --drain-timeout 30s --yes --quiet | tail -n 1
  local before
  before=$(wc -l <"$work/ledger")
  await 120 "the application does not go on" written_since "$before"
}
written_since() { (($(wc -l <"$work/ledger") > $1)); }

# What InnoDB says of the last deadlock, of each server: where the application met one, which statements it was between. Metadata locks are not in it.
show_deadlocks() {
  local home
  for home in "$work"/servers/*/; do
    [[ -e $home/port ]] || continue
    on "$(basename "$home")" -N -r -e 'SHOW ENGINE INNODB STATUS' | sed -n '/LATEST DETECTED DEADLOCK/,/^TRANSACTIONS/p' | head -n 60 >&2 || true
  done
}

# The application stops, and all that it has written is everywhere.
end_application() {
  say "What happened"
  local status=0
  kill -TERM "$application"
  wait "$application" || status=$?
  application=
  cat "$work/application.log"
  [[ $status == 0 ]] || { show_deadlocks; die "a write failed"; }
  end "$stream"
  stream=
  "$godwit" replicate shop --until-current --quiet
}

# prove SERVER OTHER: every write that the application was told is safe is on both, and every row of one is on the other.
prove() {
  end_application
  "$shop/verify" --ledger "$work/ledger" --port "$(port "$1")"
  "$shop/verify" --ledger "$work/ledger" --port "$(port "$2")" --other-port "$(port "$1")" --every-row
}
