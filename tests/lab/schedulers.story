#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Schedulers, persistence and limits with real connections: what the others' tests show packet by
# packet is what clients meet.
set -euo pipefail
# shellcheck source=tests/lab/story.bash
. "$(dirname "$0")/story.bash"

# served FILTER: configures it anew and waits for it.
served() {
  local before
  before=$(logged_times 'taken: ')
  configure dr "$@"
  await "the agent's word" not has_times "$before" 'taken: '
  await_state up "$backend1" "$backend2"
}

title "wlc, 2:1: open downloads count"
network --dr
servers_with_download 96
configure dr '.services |= map(.scheduler = "wlc")'
start_agent
await_state up "$backend1" "$backend2"
pids=()
for i in 1 2 3 4 5 6; do
  download "http://$vip" "$work/fetched$i"
  pids+=("$started")
done
equal "six downloads are from" "$(established | tr ' ' '\n' | sort | paste -sd ' ')" "1 1 2 2 2 2"
served '.services |= map(.scheduler = "lc")'
found=$(ask "http://$vip/" 1 | sequence)
equal "lc: the next one is from who has fewer" "$found" 1
check "the downloads have gone on" grows "$work/fetched1"

title "A limit of connections"
served '.services |= map(.scheduler = "rr" | .backends |= map(.max_connections = 3 | .weight = 1))'
await "backend2, which has four, to be full" eval \
  "[[ \$(xlvs list --json | jq '.services[0].backends | map(select(.full) | .address)') == *$backend2* ]]"
for i in 1 2 3 4 5 6; do
  check "download $i completes" hurry "${pids[i - 1]}" "$work/fetched$i"
  check "its SHA-256 is right" right_bytes "$work/fetched$i"
done

title "sh and mh"
served '.services |= map(.scheduler = "sh")'
found=$(ask "http://$vip/" 6 | sequence | tr ' ' '\n' | sort -u)
equal "sh: servers of one client" "$(wc -w <<<"$found")" 1
served '.services |= map(.scheduler = "mh")'
found=$(ask "http://$vip/" 30 | sequence)
note "$found"
within "mh, 2:1 over the 5-tuple: of 30 requests backend2 has" "$(count 2 "$found")" 10 29
check "and backend1 has some" test "$(count 1 "$found")" -gt 0

title "Persistence"
served '.services |= map(.scheduler = "rr" | .persistence = {timeout: "60s"})'
found=$(ask "http://$vip/" 6 | sequence | tr ' ' '\n' | sort -u)
equal "servers of one client" "$(wc -w <<<"$found")" 1
lab web kill "backend$found"
if [[ $found == 1 ]]; then gone=$backend1; else gone=$backend2; fi
await_state down "$gone"
equal "it dies, requests are from the other" \
  "$(ask "http://$vip/" 4 | sequence | tr ' ' '\n' | sort -u)" "$((3 - found))"
lab web up "backend$found"
await_state up "$gone"
equal "it is back, the client stays with the other" \
  "$(ask "http://$vip/" 4 | sequence | tr ' ' '\n' | sort -u)" "$((3 - found))"
end_agent KILL || true
start_agent
equal "the next agent keeps it so" \
  "$(ask "http://$vip/" 4 | sequence | tr ' ' '\n' | sort -u)" "$((3 - found))"
check "the agent ends well" end_agent TERM
