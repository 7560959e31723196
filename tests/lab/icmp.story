#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# ICMP: a vip answers pings; a router with a small MTU is heard by whoever sends too much, on both
# sides of the director; a client of NAT learns that nobody listens.
set -euo pipefail
# shellcheck source=tests/lab/story.bash
. "$(dirname "$0")/story.bash"

readonly pings=3 mtu=1300 mebibytes=5
readonly client=172.16.1.10 client_6=fd00:172:16::10

# pinged ADDRESS: how many answers came.
pinged() {
  on client ping -c "$pings" -i 0.2 -W 20 "$1" | sed -nE 's/.* ([0-9]+) received.*/\1/p'
}

# ways HOST DESTINATION... -- HOW...: the host's routes to these.
ways() {
  local host=$1 destinations=()
  shift
  while [[ $1 != -- ]]; do destinations+=("$1"); shift; done
  shift
  for destination in "${destinations[@]}"; do on "$host" ip route replace "$destination" "$@"; done
}

# backend2 becomes a router to a host in its own network, over a way with a small MTU.
router_to() {
  on backend2 bash -c 'echo 1 | tee /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding' \
    >"$work/forwarding"
  ways backend2 "$1/32" "$2/128" -- dev eth0 mtu lock "$mtu"
}

# The MTU of a host's way to an address, where it has learned one.
learned() { on "$1" ip route get "$2" | grep -oE 'mtu [0-9]+' || true; }

# fetch NAME URL
fetch() {
  local file=$work/fetched
  check "$1: curl has it" on client curl -gsS -m "$patience" -o "$file" "$2/download"
  check "$1: $(stat -c %s "$file") bytes, their SHA-256 is right" right_bytes "$file"
  rm -f "$file"
}

title "DR: pings to a vip"
network --dr
lab web up backend1 director --download "$mebibytes"
# shellcheck disable=SC2016 # jq's
configure dr '.services[].backends |= map(select(.address | IN($ARGS.positional[])))' \
  "$backend1" "$backend1_6"
start_agent
await_state up "$backend1" "$backend1_6"
equal "answers, of $pings" "$(pinged "$vip")" "$pings"
equal "answers by IPv6, of $pings" "$(pinged "$vip6")" "$pings"

title "DR: a router of MTU $mtu between the backend and the client"
# Where the vip is its own address, it takes nothing from there.
on backend2 ip address del "$vip/32" dev lo
on backend2 ip address del "$vip6/128" dev lo
router_to "$client" "$client_6"
ways backend1 "$client/32" -- via "$backend2"
ways backend1 "$client_6/128" -- via "$backend2_6"
fetch "$mebibytes MiB" "http://$vip"
equal "the backend has learned" "$(learned backend1 "$client")" "mtu $mtu"
fetch "$mebibytes MiB by IPv6" "http://[$vip6]"
equal "the backend has learned" "$(learned backend1 "$client_6")" "mtu $mtu"
within "errors sent on to the backend" "$(verdict FORWARD_ICMP)" 2 1000
check "the agent ends well" end_agent TERM

# --- NAT --------------------------------------------------------------------------------------

# refusal ADDRESS PORT: what the client's socket says of a UDP server that is not there.
refusal() {
  # shellcheck disable=SC2016 # perl's
  on client perl -MIO::Socket::IP -MIO::Select -e '
    my $socket = IO::Socket::IP->new(PeerHost => $ARGV[0], PeerPort => $ARGV[1], Proto => "udp")
      or die "$@\n";
    $socket->send("who?");
    IO::Select->new($socket)->can_read(20) or die "silence\n";
    print defined($socket->recv(my $text, 2048)) ? $text : $!, "\n"' "$1" "$2"
}

# sink ADDRESS PORT: on backend1, says how many bytes a client has sent.
sink() {
  # shellcheck disable=SC2016 # perl's
  start backend1 perl -MIO::Socket::IP -e '$| = 1;
    my $listening = IO::Socket::IP->new(LocalHost => $ARGV[0], LocalPort => $ARGV[1], Listen => 16,
      V6Only => 1, ReuseAddr => 1) or die "$@\n";
    print "listening\n";
    while (my $socket = $listening->accept) {
      my $sum = 0;
      while (my $size = sysread($socket, my $text, 65536)) { $sum += $size }
      print $socket $sum;
    }' "$1" "$2" >"$work/sink-$1"
  await "the sink at $1" grep -q listening "$work/sink-$1"
}

# upload ADDRESS PORT BYTES: what the sink says of them.
upload() {
  # shellcheck disable=SC2016 # perl's
  on client timeout "$patience" perl -MIO::Socket::IP -e '
    my $socket = IO::Socket::IP->new(PeerHost => $ARGV[0], PeerPort => $ARGV[1]) or die "$@\n";
    print $socket "x" x $ARGV[2];
    $socket->flush;
    $socket->shutdown(1);
    print <$socket>' "$1" "$2" "$3" || echo "no answer"
}

title "NAT, the backend behind a router of MTU $mtu: pings to a vip"
network --nat
router_to "$backend1" "$backend1_6"
ways director "$backend1/32" -- via "$backend2"
ways director "$backend1_6/128" -- via "$backend2_6"
sink 0.0.0.0 7000
sink :: 7000
# shellcheck disable=SC2016 # jq's
configure nat '.fallback = null | .check = {type: "none"}
  | .services |= map(.fallback = null
    | .backends |= map(select(.address | IN($ARGS.positional[])))
    | ., (.name += "-udp" | .protocol = "udp" | .port = 5353), (.name += "-sink" | .port = 7000))' \
  "$backend1" "$backend1_6"
start_agent
equal "answers, of $pings" "$(pinged "$vip")" "$pings"
equal "answers by IPv6, of $pings" "$(pinged "$vip6")" "$pings"

title "NAT: nobody listens on the backend's port"
equal "the client is told" "$(refusal "$vip" 5353)" "Connection refused"
equal "the client is told by IPv6" "$(refusal "$vip6" 5353)" "Connection refused"
equal "errors sent back to the client" "$(verdict FORWARD_ICMP_REPLY)" 2

title "NAT: the client sends more than the router lets through"
equal "bytes that have arrived" "$(upload "$vip" 7000 3000000)" 3000000
equal "the client has learned" "$(learned client "$vip")" "mtu $mtu"
equal "bytes that have arrived by IPv6" "$(upload "$vip6" 7000 3000000)" 3000000
equal "the client has learned" "$(learned client "$vip6")" "mtu $mtu"
within "errors sent back to the client" "$(verdict FORWARD_ICMP_REPLY)" 4 1000
check "the agent ends well" end_agent TERM
