#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A backend that is down is drained (its flows go on), or removed with its flows, as on_failure says.
set -euo pipefail
# shellcheck source=tests/lab/story.bash
. "$(dirname "$0")/story.bash"

# idle_client FILE: connects, and asks only when FILE.ask is there; what comes of it is in FILE.
idle_client() {
  # shellcheck disable=SC2016,SC2094 # expanded by the inner shell; other files
  start client bash -c 'exec 3<>"/dev/tcp/$1/80" && touch "$2.connected"
    while [[ ! -e $2.ask ]]; do sleep 0.02; done
    printf "GET / HTTP/1.0\r\n\r\n" >&3; cat <&3' - "$vip" "$1" >"$1" 2>&1
  await "a connection" test -e "$1.connected"
}

# fail_under_flows MODE ON_FAILURE: backend1's page breaks, not its server: a download and an idle
# client are with it.
fail_under_flows() {
  rm -f "$work"/{fetched,idle}*
  configure "$1" ".scheduler = \"rr\" | .services |= map(.on_failure = \"$2\")"
  start_agent
  await_state up "$backend1" "$backend2"
  lab web kill backend2
  await "backend2's death" not state_is up "$backend2"
  download "http://$vip" "$work/fetched"
  fetching=$started
  idle_client "$work/idle"
  idling=$started
  equal "a download and an idle client are with backends" "$(established)" "1 1"
  lab web up backend2
  await_state up "$backend2"
  break_page backend1
}

no_flows() { [[ -z $(established) ]]; }

for mode in dr nat; do
  title "${mode^^}, on_failure drain: flows go on"
  network "--$mode"
  servers_with_download 16
  fail_under_flows "$mode" drain
  await_state down "$backend1"
  equal "new connections go to" "$(ask "http://$vip/" 6 | sequence)" "2 2 2 2 2 2"
  check "the download goes on" hurry "$fetching" "$work/fetched"
  check "its SHA-256 is right" right_bytes "$work/fetched"
  touch "$work/idle.ask"
  wait "$idling" || true
  check "the idle client is served by backend1, that has no page: $(head -n 1 "$work/idle")" \
    grep -q '^HTTP/1.1 40[34]' "$work/idle"
  mend_page backend1
  await_state up "$backend1"
  check "the agent ends well" end_agent TERM

  title "${mode^^}, on_failure remove: flows end"
  fail_under_flows "$mode" remove
  await_state removed "$backend1"
  equal "new connections go to" "$(ask "http://$vip/" 6 | sequence)" "2 2 2 2 2 2"
  # A record that no packet asks for goes with the next sweep.
  await "its flows to end" no_flows
  check "its flows have ended" no_flows
  touch "$work/idle.ask"
  wait "$idling" || true
  check "the idle client is reset: $(head -n 1 "$work/idle")" grep -q 'reset by peer' "$work/idle"
  status=0
  # It was slow: now that it reads on, it tells the server that there is room again.
  hurry "$fetching" "$work/fetched" || status=$?
  equal "the download ends, curl says 56 (connection reset)" "$status" 56
  mend_page backend1
  await_state up "$backend1"
  found=$(ask "http://$vip/" 6 | sequence)
  check "back again it has its share: $found" alternates "$found"
  check "the agent ends well" end_agent TERM
done
