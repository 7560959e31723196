#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Many at once, on every CPU: each backend has its share, no request fails, and the counters agree.
set -euo pipefail
# shellcheck source=tests/lab/story.bash
. "$(dirname "$0")/story.bash"

readonly requests=1000

flows_of() { xlvs list --json | jq '[.services[] | select(.name == "web") | .backends[]
  | select(.address == "'"$1"'") | .counters.flows] | add'; }

# near TEXT FOUND WHOLE PERMILLE: is it that share, to within 1 % of the whole?
near() {
  local wanted=$(($3 * $4 / 1000))
  within "$1" "$2" $((wanted - $3 / 100)) $((wanted + ($3 + 99) / 100))
}

# parallel FILE: each answer a line.
parallel() {
  on client curl -sS --no-progress-meter --parallel --parallel-max 50 -m 60 \
    -H "Connection: close" "http://$vip/?[1-$requests]" \
    >"$1" 2>"$1.error" || echo "curl ended with $?" >>"$1.error"
}

# share NAME PERMILLE: backend2's.
share() {
  local before1 before2 after1 after2 all
  before1=$(flows_of "$backend1") before2=$(flows_of "$backend2")
  parallel "$work/answers"
  equal "$1: answers to $requests requests by curl --parallel" \
    "$(grep -c '^backend' "$work/answers")" "$requests"
  check "$1: none failed" test ! -s "$work/answers.error"
  near "$1: answered by backend2" "$(grep -c ^backend2 "$work/answers")" "$requests" "$2"
  after1=$(flows_of "$backend1") after2=$(flows_of "$backend2")
  all=$((after1 - before1 + after2 - before2))
  near "$1: of $all connections by xlvs list, backend2's" $((after2 - before2)) "$all" "$2"
  equal "$1: connections" "$all" "$requests"
}

# wrk closes no connection by itself: asked to, each request is one.
wrk_share() {
  local before1 before2 after1 after2 all
  before1=$(flows_of "$backend1") before2=$(flows_of "$backend2")
  on client wrk -t 2 -c 20 -d 5s --timeout 20s -H "Connection: close" "http://$vip/" >"$work/wrk"
  note "$(grep -E 'requests in' "$work/wrk")"
  check "$1: wrk met no error" not grep -qE 'Socket errors|Non-2xx' "$work/wrk"
  after1=$(flows_of "$backend1") after2=$(flows_of "$backend2")
  all=$((after1 - before1 + after2 - before2))
  near "$1: of $all connections, backend2's" $((after2 - before2)) "$all" "$2"
  within "$1: connections for $(requests_of_wrk) requests (and those that were cut at the end)" \
    "$all" "$(requests_of_wrk)" $(($(requests_of_wrk) + 40))
}
requests_of_wrk() { awk '/requests in/ { print $1 }' "$work/wrk"; }

tell() {
  title "$1, $2, $requests requests at once, on $(nproc) CPUs"
  network "--$3"
  servers
  configure "$3"
  start_agent
  await_state up "$backend1" "$backend2"
  share "$1" "$4"
  wrk_share "$1" "$4"
  equal "$1: refused or dropped, by xlvs list --drops" "$(xlvs list --json |
    jq '[.verdicts | to_entries[] | select(.key | test("^(DROP|REFUSE)")) | .value.packets] | add')" 0
  check "$1: the agent ends well" end_agent TERM
}

tell DR "wrr 2:1" dr 667
tell NAT rr nat 500
