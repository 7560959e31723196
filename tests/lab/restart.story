#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# kill -9 of the agent: the data plane goes on forwarding, the next agent adopts all it finds, and no
# client notices. There is one agent at a time.
set -euo pipefail
# shellcheck source=tests/lab/story.bash
. "$(dirname "$0")/story.bash"

# A third backend, never up: its check asks a port where nobody listens. It would answer clients.
readonly dead=172.16.254.99

# A new flow's server is another than that of the flow before, whoever asks: all of them in turn.
turns=''
take() {
  turns="${turns:+$turns }$1"
  note "$2: $1"
}

# fetch FILE: a download whose server takes its turn; sets $started.
fetch() {
  local before after
  before=$(established)
  download "http://$vip" "$1"
  after=$(established)
  # Those that were there before are listed too, by client port: what is new is what is left.
  take "$(diff <(tr ' ' '\n' <<<"$before" | sort) <(tr ' ' '\n' <<<"$after" | sort) |
    sed -n 's/^> //p')" "a download begins"
}

flows_of_dead() { xlvs list --json | jq --arg address "$dead" \
  '[.services[].backends[] | select(.address == $address) | .counters.flows] | add'; }

tell() {
  local first second third status flows
  turns=''
  title "${1^^}, rr: kill -9 of the agent during a download"
  network "--$1"
  servers_with_download 96
  on backend1 ip address add "$dead/16" dev eth0
  configure "$1" '.scheduler = "rr" | .services |= map(.backends |= map(.weight = 1))
    | .services[0].backends += [{address: "'"$dead"'", check: {port: 81}}]'
  start_agent
  await_state up "$backend1" "$backend2"
  check "$dead is down, nobody listens where its check asks" state_is down "$dead"
  take "$(ask "http://$vip/" 4 | sequence)" "requests"
  fetch "$work/first"
  first=$started
  status=0
  end_agent KILL || status=$?
  equal "the agent's exit status (128 + 9)" "$status" 137
  check "the program is still there" has_program eth0
  check "the vip is still there" has_vip
  take "$(ask "http://$vip/" 5 | sequence)" "requests without an agent"
  check "the download goes on" grows "$work/first"
  check "the download completes without an agent" hurry "$first" "$work/first"
  check "its SHA-256 is right" right_bytes "$work/first"
  fetch "$work/second"
  second=$started

  title "${1^^}: a new agent, with other sizes of tables in its configuration"
  configure "$1" '.scheduler = "rr" | .services |= map(.backends |= map(.weight = 1))
    | .services[0].backends += [{address: "'"$dead"'", check: {port: 81}}]
    | .tables = {flows: 1000, pending: 1000, services: 16, backends: 64, slots: 4096}'
  start_agent
  take "$(ask "http://$vip/" 5 | sequence)" "requests with the new agent"
  check "it says that it adopts" logged 'adopted eth0 in native mode'
  check "it adopts the services" logged 'adopted 2 services'
  for table in flows pending services backends tables; do
    check "other sizes are said: $table" \
      logged "warning: $table keeps its [0-9]+ entries instead of [0-9]+"
  done
  equal "flows has the entries it had" "$(xlvs list | sed -n '1s/.*size=//p')" "1048576)"
  equal "backends that it took for unknown" "$(logged_times 'unknown ->')" 0
  check "$dead is still down" state_is down "$dead"
  check "the running download goes on" grows "$work/second"

  title "${1^^}: a second agent"
  status=0
  on director "$XLVS" run -c "$configuration" >"$work/other.log" 2>&1 || status=$?
  equal "its exit status" "$status" 1
  check "it says who is there: $(tail -n 1 "$work/other.log" | cut -d ' ' -f 3-)" \
    grep -qE "another agent runs already: process $agent holds" "$work/other.log"
  take "$(ask "http://$vip/" 4 | sequence)" "requests"

  title "${1^^}: what the whole looks like to clients"
  fetch "$work/third"
  third=$started
  check "the download that ran all the time completes" hurry "$second" "$work/second"
  check "its SHA-256 is right" right_bytes "$work/second"
  check "the download that began last completes" hurry "$third" "$work/third"
  check "its SHA-256 is right" right_bytes "$work/third"
  check "all flows in their order alternate: $turns" alternates "$turns"
  flows=$(flows_of_dead)
  equal "flows that were given to $dead" "$flows" 0
  check "the new agent ends well" end_agent TERM
  check "it has removed the vip that the old one had added" not has_vip
  check "it has unpinned what the old one had pinned" not pinned
  check "it has detached what the old one had attached" not has_program eth0
}

tell dr
tell nat
