#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Somebody takes away what the agent has made, or there is no room for what is wanted: it says so,
# puts back what it can, and failover goes on.
set -euo pipefail
# shellcheck source=tests/lab/story.bash
. "$(dirname "$0")/story.bash"

title "The program is taken off"
network --dr
servers
configure dr
start_agent
await_state up "$backend1" "$backend2"
equal "requests" "$(ask "http://$vip/" 3 | sequence)" "1 2 2"
on director ip link set eth0 xdp off
await "it to be attached again" has_program eth0
await "the agent's word" logged 'xlvs was taken off an interface: attaching again'
equal "requests go on in their order" "$(ask "http://$vip/" 3 | sequence)" "1 2 2"

title "The vip is deleted"
on director ip address del "$vip/32" dev eth0
await "it to be back" has_vip
check "the agent says: $(agent_log | grep -F 'has gone' | cut -d ' ' -f 3-)" \
  logged "vip $vip has gone: adding it again"
equal "requests" "$(ask "http://$vip/" 3 | sequence)" "1 2 2"

title "An interface of its own is made anew"
on director ip link add eth9 type veth peer name far9
on director ip link set eth9 up
configure dr '.interfaces += ["eth9"]'
await "it to be attached to" has_program eth9
on director ip link del eth9
await "the agent to miss it" logged 'there is no interface eth9'
equal "requests meanwhile" "$(ask "http://$vip/" 3 | sequence)" "1 2 2"
on director ip link add eth9 type veth peer name far9
on director ip link set eth9 up
await "it to be attached to again" has_program eth9
equal "interfaces that the program knows" "$(on director bpftool --json map dump pinned \
  /sys/fs/bpf/xlvs/settings | jq '[.. | objects | select(has("ifindex") and .ifindex > 0)] |
  length')" 2

title "A restart without that interface"
status=0
end_agent KILL || status=$?
configure dr
start_agent
await "the agent to leave it" logged 'detached from eth9'
check "the program is gone from there" not has_program eth9
status=0
end_agent TERM || status=$?
equal "the agent's exit status" "$status" 0

title "The pins are removed"
configure dr
start_agent
await_state up "$backend1" "$backend2"
on director rm -r /sys/fs/bpf/xlvs
await "the agent to miss them" logged 'the maps are no longer pinned'
equal "requests" "$(ask "http://$vip/" 3 | sequence)" "1 2 2"
status=0
end_agent TERM || status=$?
equal "the agent's exit status" "$status" 0
check "the program is gone" not has_program eth0

title "detach after kill -9"
configure dr
start_agent
await_state up "$backend1" "$backend2"
status=0
end_agent KILL || status=$?
check "the vip is still there" has_vip
check "xlvs detach" xlvs detach
check "the vip has gone" not has_vip
equal "neighbours that the kernel was to keep" \
  "$(on director ip neighbour show | grep -c managed || true)" 0

title "No room for more backends"
# Entry 0 is nobody, and there are four and two fallbacks.
configure dr '.tables = {flows: 1000, pending: 1000, services: 16, backends: 7, slots: 256}'
start_agent
await_state up "$backend1" "$backend2"
configure dr '.services[0].backends += [range(1; 4) | {address: "172.16.253.\(.)"}] |
  .tables = {flows: 1000, pending: 1000, services: 16, backends: 20, slots: 256}'
await "the agent's word" logged 'no room left in backends'
lab web kill backend2
await_state down "$backend2"
equal "the dead one leaves all the same, requests" "$(ask "http://$vip/" 4 | sequence)" "1 1 1 1"
lab web up backend2
await_state up "$backend2"
found=$(ask "http://$vip/" 6 | sequence)
equal "it is back, of 6 requests it has" "$(count 2 "$found")" 4
equal "times that it was said" "$(logged_times 'no room left in backends')" 1
status=0
end_agent TERM || status=$?

title "No room for another table"
configure dr '.services = [.services[0]] | .services[0].backends |= map(.weight *= 3) | .services[0].backends[0].weight = 7 |
  .tables = {flows: 1000, pending: 1000, services: 16, backends: 20, slots: 30}'
start_agent
await_state up "$backend1" "$backend2"
cp "$configuration" "$work/good"
jq '.services[0].backends[0].weight = 13 | .tables.slots = 1000' "$work/good" >"$work/next"
mv "$work/next" "$configuration"
await "the agent's word" logged 'no room left in slots'
lab web kill backend2
await_state down "$backend2"
equal "the dead one leaves all the same, requests" "$(ask "http://$vip/" 4 | sequence)" "1 1 1 1"
lab web up backend2
await_state up "$backend2"
check "the agent ends well" end_agent TERM

title "A configuration behind symbolic links"
mkdir "$work/v1" "$work/v2"
configure dr
cp "$configuration" "$work/v1/xlvs.json"
jq '.services[0].backends[0].weight = 6' "$configuration" >"$work/v2/xlvs.json"
ln -s v1 "$work/current"
ln -sf current/xlvs.json "$work/link.json"
link=$configuration
configuration=$work/link.json
start_agent
await_state up "$backend1" "$backend2"
ln -sfn v2 "$work/current"
await "the other target to be read" logged 'weight 2 -> 6'
jq '.services[0].backends[0].weight = 4' "$link" >"$work/v2/xlvs.json"
await "a write to it to be read" logged 'weight 6 -> 4'
check "the agent ends well" end_agent TERM
