#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A service gets a second port, and loses it: its backends stay who they are, so that flows, counts,
# persistence and checks go on.
set -euo pipefail
# shellcheck source=tests/lab/story.bash
. "$(dirname "$0")/story.bash"

readonly web='.services |= [.[0] | .persistence = {timeout: "300s"}]'

# served MODE FILTER: the agent takes the demo's configuration, changed so.
served() {
  local before
  before=$(logged_times 'taken: ')
  configure "$@"
  await "the agent's word" not has_times "$before" 'taken: '
}
# Who they are in the kernel's table, and how people see them.
ids() {
  on director bpftool --json map dump pinned /sys/fs/bpf/xlvs/backends |
    jq -r '[.[].formatted | select(.value.state != "BACKEND_FREE") | "\(.key)"] | join(" ")'
}
shown() { xlvs list --json | jq -r '[.services[].backends[].port] | unique | join(" ")'; }
addresses() {
  on director bpftool --json map dump pinned /sys/fs/bpf/xlvs/backends |
    jq -r '[.[].formatted.value | select(.state != "BACKEND_FREE") | .address] | sort | join(" ")'
}
total() { xlvs list --json | jq "[.services[].backends[].$1] | add"; }

for mode in dr nat; do
  title "${mode^^}: a second port"
  network "--$mode"
  servers_with_download 16
  configure "$mode" "$web"
  start_agent
  await_state up "$backend1" "$backend2"
  download "http://$vip" "$work/fetched"
  fetching=$started
  with=$(established)
  before=$(ids)
  # Probes one after the other, whatever the agent does meanwhile.
  changes=$(logged_times 'backend web/.* -> ')
  equal "a client is with one backend" "$(ask "http://$vip/" 4 | sequence | tr ' ' '\n' | sort -u)" \
    "$with"
  flows=$(total counters.flows)
  equal "where people see the backends" "$(addresses)" "127.0.0.1:80 $backend2:80 $backend1:80"

  served "$mode" "$web | .services[0].also = [{port: 8000}]"
  check "it is said" logged "service web: tcp $vip:8000 is its endpoint, too"
  equal "the backends are the same" "$(ids)" "$before"
  equal "they are at any port" "$(addresses)" "127.0.0.1:0 $backend2:0 $backend1:0"
  equal "the download is with" "$(established)" "$with"
  grows "$work/fetched"
  equal "the client is served at the second port by" \
    "$(ask "http://$vip:8000/" 3 | sequence)" "$with $with $with"
  equal "flows, counted on" "$(total counters.flows)" $((flows + 3))
  equal "changes of health that were logged" "$(logged_times 'backend web/.* -> ')" "$changes"

  served "$mode" "$web"
  equal "the second port is gone, the backends are the same" "$(ids)" "$before"
  equal "and seen where they were" "$(addresses)" "127.0.0.1:80 $backend2:80 $backend1:80"
  equal "in lists as well" "$(shown)" 80
  check "the download ends well" hurry "$fetching" "$work/fetched"
  check "its SHA-256 is right" right_bytes "$work/fetched"
  equal "flows, counted on" "$(total counters.flows)" $((flows + 3))
  equal "changes of health that were logged" "$(logged_times 'backend web/.* -> ')" "$changes"
  check "the agent ends well" end_agent TERM
done
