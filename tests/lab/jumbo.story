#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Frames of MTU 9000, which native XDP has in several buffers, and generic mode, both ways of
# forwarding, up and down: not a bit is lost, and xlvs says which mode it got.
set -euo pipefail
# shellcheck source=tests/lab/story.bash
. "$(dirname "$0")/story.bash"

readonly mebibytes=20

# jumbo: every link of the lab, and what is made of it.
jumbo() {
  local host device
  # shellcheck disable=SC2016 # expanded by the inner shell
  on bridge bash -c 'for port in /sys/class/net/*/brport; do ip link set "$(basename "${port%/brport}")" mtu 9000; done' &&
    for host in client director backend1 backend2; do
      for device in eth0 eth1; do
        if on "$host" ip link show "$device" >/dev/null 2>&1; then on "$host" ip link set "$device" mtu 9000; fi
      done
    done
}

# sink HOST ADDRESS PORT: says the SHA-256 of what it is sent.
sink() {
  # shellcheck disable=SC2016 # perl's
  start "$1" perl -MIO::Socket::IP -MDigest::SHA -e '$| = 1;
    my $socket = IO::Socket::IP->new(LocalHost => $ARGV[0], LocalPort => $ARGV[1],
      Listen => 5, ReuseAddr => 1, V6Only => 1) or die "$@\n";
    print "listening\n";
    while (my $client = $socket->accept) {
      my $sum = Digest::SHA->new(256);
      $sum->add($_) while $client->sysread($_, 1 << 20);
      print $client $sum->hexdigest, "\n";
    }' "$2" "$3" >"$work/sink-$1-$2"
  await "the sink on $1" grep -q listening "$work/sink-$1-$2"
}

# upload ADDRESS: what the sink says of it.
upload() {
  # shellcheck disable=SC2016 # perl's
  on client timeout 100 perl -MIO::Socket::IP -e '
    my $socket = IO::Socket::IP->new(PeerHost => $ARGV[0], PeerPort => 9000) or die "$@\n";
    open(my $file, "<", $ARGV[1]) or die;
    print $socket $_ while read($file, $_, 1 << 20);
    $socket->flush; $socket->shutdown(1);
    print readline($socket)' "$1" "/run/xlvs-lab/$lab/web/download"
}

# size SERVICE DIRECTION: of IP packets, on average.
size() {
  xlvs list --json | jq --arg name "$1" --arg way "$2" '.services[] | select(.name == $name)
    | .counters | .["bytes_" + $way] / .["packets_" + $way] | floor'
}

# transfer FORWARDING MODE
transfer() {
  local address fetched=$work/fetched sum
  sum=$(cat "/run/xlvs-lab/$lab/web/download.sha256")
  for address in "$vip" "[$vip6]"; do
    check "$1, $2: curl has $mebibytes MiB from $address" \
      on client curl -gsS -m 100 -o "$fetched" "http://$address/download"
    check "and its SHA-256 is right" right_bytes "$fetched"
    rm -f "$fetched"
  done
  for address in "$vip" "$vip6"; do
    equal "$1, $2: SHA-256 of what was sent to $address" "$(upload "$address")" "$sum"
  done
  within "the size of an uploaded packet" "$(size upload in)" 5000 9000
  within "and by IPv6" "$(size upload6 in)" 5000 9000
  if [[ $1 == nat ]]; then within "of a page's" "$(size web out)" 5000 9000; fi
}

# The kernel redirects no frame of several buffers before 6.3 (net/core/filter.c, xdp_do_redirect).
redirects() { [[ $(printf '%s\n' 6.3 "$(uname -r)" | sort -V | head -n 1) == 6.3 ]]; }

for mode in native generic; do
  for forwarding in nat dr; do
    title "${forwarding^^} in $mode mode, MTU 9000, Linux $(uname -r)"
    if [[ $mode/$forwarding == native/nat ]] && ! redirects; then
      note "not with this kernel, as README says: from one interface to another"
      continue
    fi
    network "--$forwarding"
    jumbo
    servers_with_download "$mebibytes"
    sink backend1 0.0.0.0 9000
    sink backend1 :: 9000
    # shellcheck disable=SC2016 # jq's
    configure "$forwarding" '.mode = $ARGS.positional[0] | .services += [.services[0:2][]
      | .name = (.name | sub("web"; "upload")) | .port = 9000 | .backends |= [.[] | select(.address | endswith("18"))
      | .port = 9000] | del(.fallback)] | .services[2:][].check = {type: "none"}' "$mode"
    start_agent
    await_state up "$backend1" "$backend2" "$backend1_6" "$backend2_6"
    check "it says so" logged "attached to eth0 in $mode mode"
    equal "and so does ip" "$(on director ip -d link show eth0 | grep -oE 'xdp(generic)?(/id:.*)?( |$)' | head -n 1)" \
      "$([[ $mode == native ]] && echo "xdp " || echo "xdpgeneric ")"
    transfer "$forwarding" "$mode"
    equal "packets dropped" "$(xlvs list --json |
      jq '[.verdicts | to_entries[] | select(.key | test("^DROP")) | .value.packets] | add')" 0
    check "the agent ends well" end_agent TERM
  done
done
