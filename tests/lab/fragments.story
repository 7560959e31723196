#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Datagrams of 4000 bytes over links of 1500: they arrive whole, by DR and by NAT, both ways, also
# where their fragments come in another order.
set -euo pipefail
# shellcheck source=tests/lab/story.bash
. "$(dirname "$0")/story.bash"

readonly size=4000 times=20

# echo_back HOST ADDRESS PORT: answers with what it was sent.
echo_back() {
  # shellcheck disable=SC2016 # perl's
  start "$1" perl -MIO::Socket::IP -e '$| = 1;
    my $socket = IO::Socket::IP->new(LocalHost => $ARGV[0], LocalPort => $ARGV[1],
      Proto => "udp", V6Only => 1) or die "$@\n";
    print "listening\n";
    while (defined(my $from = $socket->recv(my $text, 65536))) { $socket->send($text, 0, $from) }
    ' "$2" "$3" >"$work/echo-$1-$2"
  await "the UDP server on $1" grep -q listening "$work/echo-$1-$2"
}

# ask_long ADDRESS PORT: how many of so many datagrams, each from a new port, come back as they went.
ask_long() {
  # shellcheck disable=SC2016 # perl's
  on client perl -MIO::Socket::IP -MIO::Select -e 'my ($host, $port, $size, $times) = @ARGV;
    my $whole = 0;
    for my $time (1 .. $times) {
      my $socket = IO::Socket::IP->new(PeerHost => $host, PeerPort => $port, Proto => "udp")
        or die "$@\n";
      my $sent = join "", map { chr(($_ * 7 + ($_ >> 8) + $time) & 255) } 1 .. $size;
      $socket->send($sent);
      my $text = "";
      $socket->recv($text, 65536) if IO::Select->new($socket)->can_read(20);
      $whole++ if $text eq $sent;
    }
    print "$whole\n"' "$1" "$2" "$size" "$times"
}

# ask_in_order FAMILY CLIENT ADDRESS PORT ORDER...: one datagram of four fragments, made by hand and
# sent in that order; prints "whole" if it comes back as it went.
ask_in_order() {
  # shellcheck disable=SC2016 # perl's
  on client perl -MIO::Select -MSocket=:all -e 'my ($family, $from, $to, $port, @order) = @ARGV;
    my $v4 = $family == 4;
    my $domain = $v4 ? AF_INET : AF_INET6;
    my $at = sub { my ($address, $port) = (inet_pton($domain, $_[0]), $_[1]);
      $v4 ? pack_sockaddr_in($port, $address) : pack_sockaddr_in6($port, $address) };
    my ($source, $destination) = (inet_pton($domain, $from), inet_pton($domain, $to));
    socket(my $ears, $domain, SOCK_DGRAM, 0) or die "socket: $!\n";
    bind($ears, $at->($from, 0)) or die "bind: $!\n";
    my $mine = $v4 ? (unpack_sockaddr_in(getsockname $ears))[0]
                   : (unpack_sockaddr_in6(getsockname $ears))[0];
    my $text = join "", map { chr(($_ * 7 + ($_ >> 8)) & 255) } 1 .. 4000;
    my $length = 8 + length $text;
    my $sum = 0;
    my $ports = pack "nnnn", $mine, $port, $length, 0;
    $sum += $_ for unpack "n*", $source . $destination . pack("nn", 17, $length) . $ports . $text;
    $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
    my $datagram = pack("nnnn", $mine, $port, $length, ~$sum & 0xffff) . $text;
    my $id = 1 + int rand 65535;
    my @fragments;
    for my $part (0 .. 3) {
      my $bytes = substr $datagram, $part * 1200, 1200;
      push @fragments, $v4
        ? pack("CCnnnCCn", 0x45, 0, 20 + length $bytes, $id, $part * 150 | ($part < 3 ? 0x2000 : 0),
               64, 17, 0) . $source . $destination . $bytes
        : pack("NnCC", 0x60000000, 8 + length $bytes, 44, 64) . $source . $destination .
          pack("CCnN", 17, 0, $part * 1200 | ($part < 3 ? 1 : 0), $id) . $bytes;
    }
    socket(my $mouth, $domain, SOCK_RAW, IPPROTO_RAW) or die "raw socket: $!\n";
    for (@order) { send($mouth, $fragments[$_], 0, $at->($to, 0)) or die "send: $!\n" }
    my $back = "";
    recv($ears, $back, 65536, 0) if IO::Select->new($ears)->can_read(20);
    print $back eq $text ? "whole" : "no answer", "\n"' "$@"
}

# both_ways METHOD: with two backends that take turns.
both_ways() {
  equal "$1, IPv4: datagrams of $size bytes that came back whole" "$(ask_long "$vip" 5353)" "$times"
  equal "$1, IPv6: datagrams of $size bytes that came back whole" "$(ask_long "$vip6" 5353)" "$times"
  equal "$1, IPv4: the last three in another order" \
    "$(ask_in_order 4 "$client" "$vip" 5353 0 3 1 2)" whole
  equal "$1, IPv6: the last three in another order" \
    "$(ask_in_order 6 "$client6" "$vip6" 5353 0 2 3 1)" whole
}

# has_passed COUNT: more of them?
has_passed() { (($(verdict PASS_FRAGMENT) > $1)); }

udp_services='.services |= map(.protocol = "udp" | .port = 5353 | .fallback = null)
  | .fallback = null | .check = {type: "tcp", port: 80} | .scheduler = "rr"'

title "By DR"
network --dr
servers
for host in backend1 backend2; do
  echo_back "$host" "$vip" 5353
  echo_back "$host" "$vip6" 5353
done
configure dr "$udp_services"
start_agent
await_state up "$backend1" "$backend2" "$backend1_6" "$backend2_6"
client=$(on client ip -json -4 address show dev eth0 | jq -r '.[0].addr_info[0].local')
client6=$(on client ip -json -6 address show dev eth0 scope global | jq -r '.[0].addr_info[0].local')
both_ways DR
# Each datagram of 4000 bytes is three fragments; those made by hand are four.
equal "packets forwarded" "$(verdict FORWARD_DR)" $((2 * (3 * times + 4)))

title "The first of them comes last: the others are not known to be ours"
before=$(verdict PASS_FRAGMENT)
# shellcheck disable=SC2016 # perl's
on client perl -MSocket=:all -e 'my ($from, $to) = map { inet_aton($_) } @ARGV;
  socket(my $mouth, AF_INET, SOCK_RAW, IPPROTO_RAW) or die "raw socket: $!\n";
  send($mouth, pack("CCnnnCCn", 0x45, 0, 120, 77, 0x2000 | 150, 64, 17, 0) . $from . $to . "x" x 100,
    0, pack_sockaddr_in(0, $to)) or die "send: $!\n"' "$client" "$vip"
await "a fragment that passes" has_passed "$before"
equal "counted as passed" "$(verdict PASS_FRAGMENT)" $((before + 1))
end_agent TERM

title "By NAT"
network --nat
servers
for host in backend1 backend2; do
  echo_back "$host" 0.0.0.0 5353
  echo_back "$host" :: 5353
done
configure nat "$udp_services"
start_agent
await_state up "$backend1" "$backend2" "$backend1_6" "$backend2_6"
client=$(on client ip -json -4 address show dev eth0 | jq -r '.[0].addr_info[0].local')
client6=$(on client ip -json -6 address show dev eth0 scope global | jq -r '.[0].addr_info[0].local')
both_ways NAT
equal "packets forwarded" "$(verdict FORWARD_NAT)" $((2 * (3 * times + 4)))
equal "packets sent back" "$(verdict FORWARD_REPLY)" $((2 * (3 * times + 3)))
end_agent TERM
