#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Tunnels of all types, over IPv4 and IPv6, to backends that take them by the kernel's own devices
# (in a guest) or, where it has none, by an XDP program. Then what does not fit into them.
set -euo pipefail
# shellcheck source=tests/lab/story.bash
. "$(dirname "$0")/story.bash"

# --- the backends' ends -----------------------------------------------------------------------

has_devices() { modprobe -a ipip sit ip6_tunnel ip_gre ip6_gre fou fou6 >/dev/null 2>&1; }

# devices HOST ADDRESS ADDRESS6: what takes IP in IP; and what takes GUE, of which they get the rest.
devices() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  on "$1" bash -e -c '
    ip link set tunl0 up
    ip link set sit0 up
    ip link add any6 type ip6tnl mode any local "$2" remote any
    ip link set any6 up
    ip fou add port 6080 gue
    ip fou add port 6080 gue -6' - "$2" "$3"
}

# gre_devices HOST ADDRESS ADDRESS6 [icsum]: a device takes GRE with a checksum or without.
gre_devices() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  on "$1" bash -e -c '
    for device in gre4 gre6; do
      if ip link show "$device" >/dev/null 2>&1; then ip link delete "$device"; fi
    done
    ip link add gre4 type gre local "$1" remote any $3
    ip link add gre6 type ip6gre local "$2" remote any $3
    ip link set gre4 up
    ip link set gre6 up' - "$2" "$3" "${4:-}"
}

open_ends() {
  if ((real)); then
    devices backend1 "$backend1" "$backend1_6"
    devices backend2 "$backend2" "$backend2_6"
    return
  fi
  clang -target bpf -O2 -Wall -I"/usr/include/$(uname -m)-linux-gnu" \
    -c "$top/tests/lab/decapsulate.bpf.c" -o "$work/decapsulate.bpf.o"
  for host in backend1 backend2; do
    on "$host" ip link set eth0 xdpdrv object "$work/decapsulate.bpf.o" section xdp
  done
}

# expect_checksum yes|no: of GRE.
expect_checksum() {
  ((real)) || return 0
  local flag=
  if [[ $1 == yes ]]; then flag=icsum; fi
  gre_devices backend1 "$backend1" "$backend1_6" "$flag"
  gre_devices backend2 "$backend2" "$backend2_6" "$flag"
}

# --- configurations ---------------------------------------------------------------------------

# The vips' backends by tunnels, those of the other family where crossed; and a service to send to.
# shellcheck disable=SC2016 # jq's
readonly by_tunnel='
  ($ARGS.positional[0] | fromjson) as $tunnel | .forwarding = "tun" | .tunnel = $tunnel
  | .scheduler = "rr" | .fallback = null | .services[].fallback = null
  | if $ARGS.positional[1] == "crossed"
    then [.services[].backends] as $all | .services[0].backends = $all[1] | .services[1].backends = $all[0]
    else . end
  | .services += [.services[] | .name += "-sink" | .port = 9000 | .check = {type: "none"}
                  | .backends = [.backends[1]]]'

# use TUNNEL straight|crossed: the agent takes the file and all are up.
use() {
  local before
  before=$(logged_times 'taken: ')
  configure dr "$by_tunnel" "$1" "$2"
  await "the file to be taken" has_times $((before + 1)) 'taken: '
  await "all to be up" all_up
}

# Those of the last file may be draining.
all_up() {
  local states
  states=$(xlvs list --json | jq -r '[.services[].backends[].state | select(. != "draining")] | join(" ")')
  [[ $states == "up up up up up up" ]]
}

tunnel_is() { [[ $(field "$1" "$2" .tunnel."$3") == "$4" ]]; }

# --- what is sent -----------------------------------------------------------------------------

# sink HOST: counts what it gets on port 9000, a line for each connection.
sink() {
  # shellcheck disable=SC2016 # perl's
  start "$1" perl -MIO::Socket::IP -e '$| = 1;
    my $socket = IO::Socket::IP->new(LocalHost => "::", LocalPort => 9000, Listen => 9, V6Only => 0,
      ReuseAddr => 1) or die "$@\n";
    print "listening\n";
    while (my $client = $socket->accept) {
      my ($all, $text) = (0, "");
      while (my $got = sysread($client, $text, 65536)) { $all += $got }
      print "got $all\n";
      close $client;
    }' >"$work/sink"
  await "the sink on $1" grep -q listening "$work/sink"
}

sunk() { [[ $(grep -c "^got 1000000$" "$work/sink" || true) == "$1" ]]; }

# upload ADDRESS: from the client, whose kernel has to find out what fits.
upload() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  on client timeout "$patience" bash -c 'head -c 1000000 /dev/zero >"/dev/tcp/$1/9000"' - "$1"
}

path_mtu() { on client ip route get "$1" | grep -oE 'mtu [0-9]+' | cut -d ' ' -f 2; }
forget_mtu() {
  on client ip route flush cache
  on client ip -6 route flush cache
}

# carries NAME: pages of both vips by both backends.
carries() {
  check "$1: IPv4 inside" alternates "$(ask "http://$vip/" 4 | sequence)"
  check "$1: IPv6 inside" alternates "$(ask "http://[$vip6]/" 4 | sequence)"
}

# finds_size NAME MTU MTU6: an upload to each vip, and what the client knows of the way then.
finds_size() {
  local before sunk_before
  forget_mtu
  before=$(verdict REFUSE_TOO_BIG)
  sunk_before=$(grep -c '^got' "$work/sink" || true)
  check "$1: 1000000 bytes to IPv4" upload "$vip"
  check "$1: 1000000 bytes to IPv6" upload "$vip6"
  await "them to arrive" sunk $((sunk_before + 2))
  equal "$1: the client's MTU, IPv4" "$(path_mtu "$vip")" "$2"
  equal "$1: the client's MTU, IPv6" "$(path_mtu "$vip6")" "$3"
  check "$1: it was told" test "$(verdict REFUSE_TOO_BIG)" -gt "$before"
}

# outside NAME FILTER LINE: what goes over the cable to backend1, as tcpdump shows it.
outside() {
  local seen=$work/outside
  capture bridge backend1 "$seen" "$2"
  ask "http://$vip/" 2 >/dev/null
  end_capture "$started" "$seen" 4
  check "$1: on the cable" grep -qE "$3" "$seen"
  equal "$1: wrong checksums" "$(grep -ciE 'incorrect|bad cksum|bad udp' "$seen" || true)" 0
}

# --- the story --------------------------------------------------------------------------------

real=0
if has_devices; then real=1; fi
network --dr
servers
open_ends
expect_checksum no
sink backend1
configure dr "$by_tunnel" '{"type": "ipip"}' straight
start_agent
await "all to be up" all_up

title "IP in IP ($( ((real)) && echo "the kernel's devices" || echo "an XDP program") at the backends)"
carries "ipip"
equal "list says" "$(xlvs list -n | grep -c ' Tunnel ')" 6
outside "ipip" "ip proto 4" '172\.16\.192\.168 > 172\.16\.254\.18: '
finds_size "ipip" 1480 1460
use '{"type": "ipip"}' crossed
carries "ipip, the other family outside"
finds_size "ipip, the other family outside" 1460 1480

title "GRE"
use '{"type": "gre"}' straight
carries "gre"
outside "gre" "ip proto 47" 'GREv0, Flags \[none\]'
finds_size "gre" 1476 1456
use '{"type": "gre"}' crossed
carries "gre, the other family outside"

title "GRE with a checksum"
expect_checksum yes
use '{"type": "gre", "checksum": true}' straight
carries "gre"
outside "gre" "ip proto 47" 'GREv0, Flags \[checksum present\]'
finds_size "gre" 1472 1452
use '{"type": "gre", "checksum": true}' crossed
carries "gre, the other family outside"

title "GUE"
for checksum in false true; do
  use "{\"type\": \"gue\", \"port\": 6080, \"checksum\": $checksum}" straight
  carries "gue, checksum $checksum"
  finds_size "gue, checksum $checksum" 1468 1448
  use "{\"type\": \"gue\", \"port\": 6080, \"checksum\": $checksum}" crossed
  carries "gue, checksum $checksum, the other family outside"
done
outside "gue" "udp port 6080" '172\.16\.192\.168\.[0-9]+ > 172\.16\.254\.18\.6080|fd00:'

title "The way there changes"
use '{"type": "ipip"}' straight
equal "source" "$(field web "$backend1" .tunnel.source)" 172.16.192.168
equal "mss" "$(field web "$backend1" .mss)" 1440
on director ip link set eth0 mtu 1400
await "the interface's MTU to be taken" tunnel_is web "$backend1" mtu 1400
equal "mss" "$(field web "$backend1" .mss)" 1340
# A veth takes nothing longer than its own MTU.
on director ip link set eth0 mtu 1500
await "the interface's MTU to be taken" tunnel_is web "$backend1" mtu 1500
on director ip route add "$backend1" dev eth0 mtu 1300
on director ip route add "$backend1_6" dev eth0 mtu 1340
await "the route's MTU to be taken, IPv4" tunnel_is web "$backend1" mtu 1300
await "the route's MTU to be taken, IPv6" tunnel_is web6 "$backend1_6" mtu 1340
equal "the other backend's" "$(field web "$backend2" .tunnel.mtu)" 1500
finds_size "a narrow route" 1280 1300
on director ip address add 172.16.192.200/16 dev eth0
for source in 172.16.192.200 172.16.192.168 172.16.192.200; do
  on director ip route replace "$backend1" dev eth0 src "$source"
  await "the source $source" tunnel_is web "$backend1" source "$source"
  check "from $source" alternates "$(ask "http://$vip/" 4 | sequence)"
done

title "Another agent takes over what is there"
end_agent KILL || true
check "without an agent" alternates "$(ask "http://$vip/" 4 | sequence)"
start_agent
equal "source" "$(field web "$backend1" .tunnel.source)" 172.16.192.200
equal "backends that it took for unknown" "$(logged_times 'unknown ->')" 0
check "with it" alternates "$(ask "http://$vip/" 4 | sequence)"
