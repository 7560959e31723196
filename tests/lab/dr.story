#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Direct routing: weights two to one in IPVS's order, and one hop less to live at the backend.
set -euo pipefail
# shellcheck source=tests/lab/story.bash
. "$(dirname "$0")/story.bash"

readonly requests=30

# IPVS's list is the reverse of the order of adding: backend1 (weight 1) is its head, and begins
# (wrr: weights 2 1 in the order of adding give 2 1 1 2 1 1 ...).
in_order() {
  local i wanted=()
  for ((i = 0; i < requests / 3; i++)); do wanted+=(1 2 2); done
  echo "${wanted[*]}"
}

# two_to_one NAME URL
two_to_one() {
  local found
  found=$(ask "$2" "$requests" | sequence)
  equal "$1: backend2 (weight 2)" "$(count 2 "$found")" 20
  equal "$1: backend1 (weight 1)" "$(count 1 "$found")" 10
  equal "$1: in IPVS's order" "$found" "$(in_order)"
}

# hops FILE WORD: the different values in a capture.
hops() { grep -oE "$2 [0-9]+" "$1" | sort -u | paste -sd ' '; }

title "DR, wrr, weights 2 (backend2, first) and 1 (backend1), $requests requests"
network --dr
servers
configure dr
start_agent
await_state up "$backend1" "$backend2" "$backend1_6" "$backend2_6"
two_to_one IPv4 "http://$vip/"
two_to_one IPv6 "http://[$vip6]/"

title "TTL and hop limit, as tcpdump sees them on the client and on backend1"
capture client eth0 "$work/client" "dst host $vip or dst host $vip6" and tcp
at_client=$started
capture backend1 eth0 "$work/backend1" "dst host $vip or dst host $vip6" and tcp
at_backend=$started
ask "http://$vip/" 3 >/dev/null
ask "http://[$vip6]/" 3 >/dev/null
end_capture "$at_client" "$work/client" 30
# One of three connections each, of at least SYN, ACK, request, FIN.
end_capture "$at_backend" "$work/backend1" 8
equal "IPv4 leaves the client with" "$(hops "$work/client" ttl)" "ttl 64"
equal "IPv4 arrives at backend1 with" "$(hops "$work/backend1" ttl)" "ttl 63"
equal "IPv6 leaves the client with" "$(hops "$work/client" hlim)" "hlim 64"
equal "IPv6 arrives at backend1 with" "$(hops "$work/backend1" hlim)" "hlim 63"

title "UDP by DR"
for host in backend1 backend2; do
  udp_echo "$host" "$vip" 5353
  udp_echo "$host" "$vip6" 5353
done
configure dr '.services |= map(.protocol = "udp" | .port = 5353) | .check = {type: "tcp", port: 80}
  | .services |= map(.fallback = null) | .fallback = null'
await "the new configuration" agent_says 'taken: 2 services'
await_state up "$backend1" "$backend2" "$backend1_6" "$backend2_6"
equal "UDP, IPv4" "$(ask_udp "$vip" 5353 6 | sequence)" "1 2 2 1 2 2"
equal "UDP, IPv6" "$(ask_udp "$vip6" 5353 6 | sequence)" "1 2 2 1 2 2"
