#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# NAT: one server after the other, and replies that come from the vip with right checksums.
set -euo pipefail
# shellcheck source=tests/lab/story.bash
. "$(dirname "$0")/story.bash"

readonly requests=30 # 15 each

# one_after_the_other NAME SEQUENCE EACH
one_after_the_other() {
  note "$2"
  equal "$1: backend1" "$(count 1 "$2")" "$3"
  equal "$1: backend2" "$(count 2 "$2")" "$3"
  check "$1: exactly alternating" alternates "$2"
}

title "NAT, rr, $requests requests from a client in another network"
network --nat
servers
for host in backend1 backend2; do udp_echo "$host" 0.0.0.0 5353; done
for host in backend1 backend2; do udp_echo "$host" :: 5353; done
configure nat '.services += [.services[] | .name += "-udp" | .protocol = "udp" | .port = 5353
  | .fallback = null | .check = {type: "tcp", port: 80}] | .fallback = null'
start_agent
await_state up "$backend1" "$backend2" "$backend1_6" "$backend2_6"
one_after_the_other IPv4 "$(ask "http://$vip/" "$requests" | sequence)" 15
one_after_the_other IPv6 "$(ask "http://[$vip6]/" "$requests" | sequence)" 15

title "UDP by NAT"
one_after_the_other "UDP, IPv4" "$(ask_udp "$vip" 5353 10 | sequence)" 5
one_after_the_other "UDP, IPv6" "$(ask_udp "$vip6" 5353 10 | sequence)" 5

title "What the client gets, as tcpdump -vv sees it (offloads off)"
capture client eth0 "$work/replies" inbound and "(tcp or udp)"
replies=$started
ask "http://$vip/" 4 >/dev/null
ask "http://[$vip6]/" 4 >/dev/null
ask_udp "$vip" 5353 2 >/dev/null
ask_udp "$vip6" 5353 2 >/dev/null
# SYN+ACK, ACK, answer, FIN of each connection at the least.
end_capture "$replies" "$work/replies" $((8 * 3 + 4))
note "$(grep -c '^[0-9]' "$work/replies") packets, $(grep -cE 'correct|udp sum ok' "$work/replies") checksums"
# IPv4: the addresses are on the second line, by the checksum; IPv6: on the first.
senders=$(grep -oE '[0-9a-f.:]+ > [0-9a-f.:]+: ' "$work/replies" | sed -E 's/\.[0-9]+ >.*//' | sort -u)
equal "sent by" "$(paste -sd ' ' <<<"$senders")" "$vip $vip6"
# tcpdump says "correct" of TCP, "udp sum ok" of UDP, "bad cksum" of an IPv4 header.
equal "packets with a wrong checksum" \
  "$(grep -ciE 'incorrect|bad cksum|bad udp' "$work/replies" || true)" 0
equal "packets with a right checksum" "$(grep -cE '\(correct\)|udp sum ok' "$work/replies")" \
  "$(grep -c '^[0-9]' "$work/replies")"
equal "TTL on arrival (63: the backend's 64, once less)" \
  "$(grep -oE '(ttl|hlim) [0-9]+' "$work/replies" | sort -u | paste -sd ' ')" "hlim 63 ttl 63"
