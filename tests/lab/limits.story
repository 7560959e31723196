#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What it costs: from start to the first forwarded packet, and memory, with 10 services of 10
# backends each.
set -euo pipefail
# shellcheck source=tests/lab/story.bash
. "$(dirname "$0")/story.bash"

readonly services=10 backends=10 limit_kib=$((40 * 1024))

title "$services services of $backends backends each, DR, http checks"
network --dr
servers
# The backends' addresses: ten, on either host five.
list=()
for ((i = 0; i < backends; i++)); do
  list+=("172.16.253.$((i + 1))")
  on "backend$((i % 2 + 1))" ip address add "172.16.253.$((i + 1))/16" dev eth0
done
for ((i = 0; i < services; i++)); do
  for host in backend1 backend2; do on "$host" ip address add "172.16.193.$((i + 1))/32" dev lo; done
done
# shellcheck disable=SC2016 # jq's
configure dr '.check.interval = "1s" | .services = [range($ARGS.positional[0] | tonumber) as $i |
  {name: "web\($i)", vip: "172.16.193.\($i + 1)", port: 80,
  backends: ($ARGS.positional[1:] | map({address: .}))}]' "$services" "${list[@]}"

# The client asks all the time, each for a short time only: the first answer is the moment.
# shellcheck disable=SC2016 # expanded by the inner shell
start client bash -c 'echo ready; until curl -gs -m 1 --connect-timeout 0.1 "$1" >/dev/null; do :; done
  now=${EPOCHREALTIME/[.,]/}; echo "${now%???}"' - "http://172.16.193.1/" >"$work/first"
asking=$started
await "the client" grep -q ready "$work/first"
begin=$(now_ms)
start_agent
wait "$asking"
ready=$(now_ms)
note "start to first answered request: $(($(tail -n 1 "$work/first") - begin)) ms (limit 1000, not \
asserted: the machine may be busy)"
note "start to all $((services * backends)) backends checked: at most $((ready - begin)) ms"
equal "backends up" "$(xlvs list --json | jq '[.services[].backends[] |
  select((.fallback | not) and .state == "up")] | length')" $((services * backends))
for ((i = 1; i <= services; i++)); do
  ask "http://172.16.193.$i/" 10 | sequence
done >"$work/found"
equal "answers: each service has each backend in turn, so 5 of 10 are of backend1" \
  "$(while read -r line; do count 1 "$line"; done <"$work/found" | sort -u | paste -sd ' ')" 5

title "Memory"
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$agent/status"; }
within "the agent's resident memory in KiB" "$(rss)" 1 "$limit_kib"
on client wrk -t 2 -c 50 -d 2s --timeout 20s -H "Connection: close" http://172.16.193.1/ >"$work/wrk"
note "$(grep 'requests in' "$work/wrk")"
within "the same with $(xlvs list -c --json | jq length) flows" "$(rss)" 1 "$limit_kib"
for ((i = 0; i < 5; i++)); do
  before=$(logged_times "taken: $services services")
  kill -HUP "$agent"
  await "a reload" not has_times "$before" "taken: $services services"
done
within "the same after 5 reloads" "$(rss)" 1 "$limit_kib"
check "the agent ends well" end_agent TERM
