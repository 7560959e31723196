#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# bpftool shows what is balanced, as named fields.
set -euo pipefail
# shellcheck source=tests/lab/story.bash
. "$(dirname "$0")/story.bash"

# fields MAP FILTER: of `bpftool map dump`, as jq sees it.
fields() {
  on director bpftool --json map dump pinned "/sys/fs/bpf/xlvs/$1" |
    jq -r "[.[] | (.formatted // .) | $2] | sort | join(\", \")"
}

title "bpftool map dump pinned /sys/fs/bpf/xlvs/..."
network --nat
servers
configure nat '.services[0].backends[0].weight = 7'
start_agent
await_state up "$backend1" "$backend2" "$backend1_6" "$backend2_6"
ask "http://$vip/" 2 >/dev/null

equal "backends: address, weight, state" \
  "$(fields backends '.value | select(.weight > 0) | "\(.address) \(.weight) \(.state)"')" \
  "127.0.0.1:80 1 BACKEND_UP, 172.16.254.105:80 1 BACKEND_UP, 172.16.254.18:80 7 BACKEND_UP, \
[::1]:80 1 BACKEND_UP, [fd00:172:16::105]:80 1 BACKEND_UP, [fd00:172:16::18]:80 1 BACKEND_UP"
equal "backends: forwarding" "$(fields backends '.value | select(.weight > 0) | .forwarding')" \
  "FORWARDING_LOCAL, FORWARDING_LOCAL, FORWARDING_NAT, FORWARDING_NAT, FORWARDING_NAT, FORWARDING_NAT"
equal "services: name, vip, scheduler" \
  "$(fields services '.value | select(.key.port > 0) | "\(.name) \(.vip) \(.scheduler)"')" \
  "web tcp 172.16.192.169:80 SCHEDULER_RR, web6 tcp [fd00:172:16::169]:80 SCHEDULER_RR"
equal "flows: directions of the four records of two connections" \
  "$(fields flows '.key.direction')" "0, 0, 1, 1"
equal "flows: what the records of the way forward say" \
  "$(fields flows '.value += {way: .key.direction} | .value | select(.way == 0) | "\(.state) \(.last_seen > 0) \(.backend > 0)"')" \
  "FLOW_FIN true true, FLOW_FIN true true"
# read_flows FILTER: as docs/flows.md says.
read_flows() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  on director bash -c 'cd /sys/fs/bpf/xlvs && bpftool -j map dump pinned flows | jq -cf "$1" \
    --slurpfile settings <(bpftool -j map dump pinned settings) \
    --slurpfile backends <(bpftool -j map dump pinned backends)' - "$tools/flows.jq" |
    jq -rs "$1"
}
equal "flows: client, vip, backend, state" \
  "$(read_flows 'map("\(.client | sub(":[0-9]*$"; "")) \(.vip) \(.backend) \(.state)") | sort | join(", ")')" \
  "10.0.0.10 $vip:80 $backend2:80 FLOW_FIN, 10.0.0.10 $vip:80 $backend1:80 FLOW_FIN"
idles() { (($(read_flows 'map(.idle) | min') >= 3)); }
await "flows to have been idle for 3 s" idles
ask "http://[$vip6]/" 1 >/dev/null
equal "flows: IPv6, idle for less than the others" \
  "$(read_flows 'group_by(.vip) | map(map(.idle) | min) | "\(length) \(.[1] < .[0])"')" "2 true"
equal "an IPv6 address" "$(read_flows 'any(.vip == "[fd00:0172:0016:0000:0000:0000:0000:0169]:80")')" true
lab web kill backend1
await_state down "$backend1"
equal "backends: state of backend1 after its death" \
  "$(fields backends '.value | select(.address == "172.16.254.18:80") | .state')" BACKEND_DOWN

title "As people see it"
on director bpftool map dump pinned /sys/fs/bpf/xlvs/backends >"$work/text"
for field in address weight state forwarding port next_hop mac; do
  check "a field \"$field\"" grep -q "\"$field\":" "$work/text"
done
grep -B 30 -A 2 '"address": "172.16.254.18:80"' "$work/text" | sed -n '/"key"/,$p'
check "the agent ends well" end_agent TERM
