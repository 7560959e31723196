#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# wlc, 3:2:1, while 20,000 connections of a real client open and close on two CPUs: each backend has
# its share of them, and the sweep that ends the last leaves nothing counted. CHURN names the client.
#
# wlc looks at live counts: who loses a connection gets the next, so how many a backend is given is
# as much the client's doing, by which it closes. The client holds a fixed number and closes the
# oldest: then a backend loses what it was given one round before, and its share of all is its share
# of the held. (Closed at random, a sixth of 20,000 alone is off by 53, 1.6 %, once in three times.)
set -euo pipefail
# shellcheck source=tests/lab/story.bash
. "$(dirname "$0")/story.bash"

CHURN=$(readlink -f "${CHURN:-$top/build/tests/lab/churn}")
readonly third=172.16.253.1 connections=20000 held=1800 openings=300

# near TEXT FOUND WEIGHT WHOLE: is it that many sixths of the whole, to within 2 %?
near() {
  local share=$(($3 * $4 / 6))
  within "$1" "$2" $((share * 98 / 100)) $(((share * 102 + 99) / 100))
}

# of ADDRESS FILTER
of() { field web "$1" "$2"; }
all() { xlvs list --json | jq "[.services[0].backends[] | $1] | add"; }

# queue_for_each_cpu HOST: on its cable, so that neither CPU does the other's work. The bridge's
# program is put there again, since veth does not give it to queues that are added.
queue_for_each_cpu() {
  local queues
  # shellcheck disable=SC2016 # expanded by the inner shell
  queues='ethtool -L "$1" rx 2 tx 2 && for cpu in 0 1; do
    echo $((1 << cpu)) >"/sys/class/net/$1/queues/tx-$cpu/xps_cpus" || exit; done'
  on bridge ip link set "$1" xdpdrv off
  on bridge bash -c "$queues" - "$1"
  on "$1" bash -c "$queues" - eth0
  on bridge ip link set "$1" xdpdrv object "/run/xlvs-lab/$lab/pass.bpf.o" section xdp.frags
}

# flows_by_cpu CPU: how many it has scheduled.
flows_by_cpu() {
  on director bpftool --json map dump pinned /sys/fs/bpf/xlvs/backend_counters |
    jq "[.[].formatted.values[] | select(.cpu == $1) | .value.flows] | add"
}

recorded() {
  local map
  for map in flows pending; do
    on director bpftool --json map dump pinned "/sys/fs/bpf/xlvs/$map" | jq length
  done | paste -sd +
}
none_recorded() { [[ $(recorded) == 0+0 ]]; }

# answers WHO: how many. (The third is another address of backend1.)
answers() { awk -v who="$1" '$2 ~ who { n += $1 } END { print n }' "$work/client"; }

says_held() {
  if is_gone "$client"; then give_up "the client has ended: $(cat "$work/client.error")"; fi
  grep -qx held "$work/client"
}

title "$connections connections, $held at a time, on 2 CPUs"
network --dr
on backend1 ip address add "$third/16" dev eth0
queue_for_each_cpu client
queue_for_each_cpu director
on client bash -c 'echo 1024 65535 >/proc/sys/net/ipv4/ip_local_port_range'
servers
# Port 81 of the backends answers nobody but with a reset that the director does not see.
# shellcheck disable=SC2016 # jq's
configure dr '.timeouts = {tcp_fin: "2s", tcp_rst: "1s", tcp_syn: "2s"} |
  .services |= [.[0] | .scheduler = "wlc" |
  .backends = ([$ARGS.positional, [3, 2, 1]] | transpose | map({address: .[0], weight: .[1]})) |
  ., (.name = "silent" | .port = 81 | .check = {type: "tcp", port: 80, interval: "300ms"})]' \
  "$backend1" "$backend2" "$third"
start_agent
await_state up "$backend1" "$backend2" "$third"
begin=$(now_ms)
start client "$CHURN" "$vip" 80 "$connections" "$held" >"$work/client" 2>"$work/client.error"
client=$started
# It gives up by itself where one answer takes too long; all of them may take long.
until says_held; do sleep 0.1; done
note "in $(($(now_ms) - begin)) ms"
for cpu in 0 1; do
  within "connections scheduled by CPU $cpu" "$(flows_by_cpu "$cpu")" $((connections / 4)) \
    "$connections"
done

title "What is held, and what was given"
await "a sweep to count $held as active" eval "[[ \$(all .active) == $held ]]"
near "held by backend1" "$(of "$backend1" .active)" 3 "$held"
near "held by backend2" "$(of "$backend2" .active)" 2 "$held"
near "held by the third" "$(of "$third" .active)" 1 "$held"
equal "connections given" "$(all .counters.flows)" "$connections"
near "given to backend1" "$(of "$backend1" .counters.flows)" 3 "$connections"
near "given to backend2" "$(of "$backend2" .counters.flows)" 2 "$connections"
near "given to the third" "$(of "$third" .counters.flows)" 1 "$connections"

title "Openings that are never answered, and all close"
# shellcheck disable=SC2016 # expanded by the inner shell
on client bash -c 'for ((i = 0; i < $2; i++)); do
  { : 3<>"/dev/tcp/$1/81"; } 2>/dev/null || true; done' - "$vip" "$openings"
equal "openings given" "$(xlvs list --json |
  jq '[.services[] | select(.name == "silent") | .backends[].counters.flows] | add')" "$openings"
kill -TERM "$client"
check "the client ends well" wait "$client"
check "and met no error" test ! -s "$work/client.error"
equal "its answers" "$(answers '')" "$connections"
equal "those by backend2, as many as were given to it" "$(answers backend2)" \
  "$(of "$backend2" .counters.flows)"
await "all records to time out" none_recorded
sleep 0.2  # the sweep that ended the last of them ends
for address in "$backend1" "$backend2" "$third"; do
  equal "active and inactive of $address" "$(of "$address" '"\(.active) \(.inactive)"')" "0 0"
done
equal "the kernel's counts of all backends" "$(on director bpftool --json map dump pinned \
  /sys/fs/bpf/xlvs/connections | jq -c '[.[].formatted.value | .active, .inactive,
  .pending_active, .pending_inactive] | unique')" "[0]"
check "the agent ends well" end_agent TERM
