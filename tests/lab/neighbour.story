#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Neighbours: a backend that gets another MAC address, backends that cannot be reached and say why,
# and a vip that is asked for on both interfaces of a NAT director.
set -euo pipefail
# shellcheck source=tests/lab/story.bash
. "$(dirname "$0")/story.bash"

# mac_of NAME...: where the data plane sends frames for the backends of these names.
mac_of() {
  on director bpftool --json map dump pinned /sys/fs/bpf/xlvs/backends |
    jq -r --args '[.[].formatted.value | select(.address | IN($ARGS.positional[]))
      | .next_hop.hop.mac | map(tonumber? // .) | join(" ")] | unique | .[]' "$@"
}

title "A backend's MAC address changes, and it says so by gratuitous ARP"
network --dr
servers_with_download 64
configure dr '.services |= map(.backends |= [.[0]])'
start_agent
await_state up "$backend2" "$backend2_6"
download "http://$vip" "$work/fetched"
fetching=$started
announcing() { on backend2 sysctl -qw net.ipv4.conf.eth0.arp_notify="$1" net.ipv6.conf.eth0.ndisc_notify="$1"; }
# go_to LAST: do all frames for backend2 go to 02:00:00:00:01:LAST?
go_to() {
  local macs
  macs=$(mac_of "$backend2:80" "[$backend2_6]:80")
  [[ $macs == "2 0 0 0 1 $1" ]]
}
# follow LAST: backend2 gets that MAC address; a look at the tables takes some 300 ms.
follow() {
  local begin
  begin=$(now_ms)
  on backend2 ip link set eth0 address "02:00:00:00:01:0$1"
  await "the next hops to follow" go_to "$1"
  note "the next hops of IPv4 and IPv6 were seen to have followed after $(($(now_ms) - begin)) ms"
}
announcing 1
follow 5
equal "the check has not noticed" "$(logged_times 'up -> down')" 0
check "a download goes on" grows "$work/fetched"

title "It changes, and nothing says so (the kernel by itself would ask in an hour)"
on director sysctl -qw net.ipv4.neigh.eth0.base_reachable_time_ms=3600000 \
  net.ipv6.neigh.eth0.base_reachable_time_ms=3600000
announcing 0
for last in 6 7 8 9; do follow "$last"; done
check "the download goes on" grows "$work/fetched"
check "it completes" hurry "$fetching" "$work/fetched"
check "its SHA-256 is right" right_bytes "$work/fetched"
equal "requests" "$(ask "http://$vip/" 3 | sequence)" "2 2 2"
equal "requests by IPv6" "$(ask "http://[$vip6]/" 3 | sequence)" "2 2 2"
check "the agent ends well" end_agent TERM

title "Backends that cannot be reached (no check: they are up but for that)"
# 192.0.2.1 is behind backend1, a router; nobody has 172.16.254.200 or its IPv6 like.
on director ip route add 192.0.2.0/24 via "$backend1"
configure dr '.services |= [.[0]] | .check = {type: "none"}
  | .services[0].backends += [{address: "192.0.2.1"}, {address: "172.16.254.200"}]'
start_agent
await_state up "$backend1" "$backend2"
await_state unresolved 192.0.2.1
await_state unresolved 172.16.254.200
await "the reason" agent_says 'web/192.0.2.1:80 cannot be reached'
check "said: $(agent_log | grep -F 192.0.2.1:80 | grep reached | tail -n 1 | cut -d ' ' -f 3-)" \
  logged "web/192.0.2.1:80 cannot be reached: .*connected network.*, but it is via $backend1 on eth0"
await "the reason" agent_says 'web/172.16.254.200:80 cannot be reached: no answer to ARP on eth0'
check "said: $(agent_log | grep -F 172.16.254.200:80 | grep reached | tail -n 1 | cut -d ' ' -f 3-)" \
  state_is unresolved 172.16.254.200
xlvs list -n
equal "they get nothing, requests" "$(ask "http://$vip/" 6 | sequence)" "1 2 2 1 2 2"
equal "packets dropped for want of a neighbour" "$(verdict DROP_NO_NEIGHBOUR)" 0
on backend1 ip address add 172.16.254.200/16 dev eth0
await_state up 172.16.254.200
check "somebody answers now: $(agent_log | tail -n 1 | cut -d ' ' -f 3-)" \
  logged 'web/172.16.254.200:80 can be reached'
found=$(ask "http://$vip/" 8 | sequence)
note "$found"
equal "it has its share (weights 2 1 1), backend1's of 8 requests" "$(count 1 "$found")" 4
check "the agent ends well" end_agent TERM

title "NAT: the vip on both interfaces, packets are redirected from one to the other"
network --nat
servers
# backend1 is a client as well: it reaches the vip by eth0, and backend2 serves it by eth0.
configure nat '.services |= map(.backends |= [.[1]])'
start_agent
await_state up "$backend2" "$backend2_6"
equal "from eth1, served by eth0" "$(ask "http://$vip/" 4 | sequence)" "2 2 2 2"
equal "from eth1, served by eth0, IPv6" "$(ask "http://[$vip6]/" 4 | sequence)" "2 2 2 2"
within "packets in by eth1, translated" "$(verdict FORWARD_NAT)" 32 1000
within "replies back by eth1" "$(verdict FORWARD_REPLY)" 24 1000
# A client in the backends' network would answer the backend directly, but for its route: given one.
on backend2 ip route add "$backend1/32" via 172.16.192.168
equal "from eth0, served by eth0" \
  "$(on backend1 curl -s -m 20 "http://$vip/" | sequence)" 2
check "the agent ends well" end_agent TERM
