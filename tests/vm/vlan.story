#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# rx-vlan-offload takes the tags off before native XDP sees a frame: where they are needed, xlvs
# does not attach, and names the command that helps. In a guest, for its VLAN interfaces.
set -euo pipefail
# shellcheck source=tests/lab/story.bash
. "$(dirname "$0")/../lab/story.bash"

readonly help="its rx-vlan-offload hides the VLAN tags of"
readonly cure="switch it off: ethtool -K eth0 rxvlan off"
# fails_to_attach ARGUMENT...: what it says.
fails_to_attach() { if xlvs attach "$@" 2>&1; then echo "and it has attached"; fi; }
# fails_to_run FILTER: what the agent logs.
fails_to_run() {
  local status=0
  configure dr "$1"
  launch_agent
  wait "$agent" || status=$?
  agent=
  agent_log | grep -F rx-vlan-offload | sed 's/.*attach to/attach to/'
  echo "status $status"
}

title "attach, which knows of no service: any VLAN may be needed, on Linux $(uname -r)"
modprobe 8021q
network --dr
on director ethtool -K eth0 rxvlan on
check "without a VLAN it attaches" xlvs attach eth0
check "it detaches" xlvs detach
on director ip link add eth0.5 link eth0 type vlan id 5
on director ip link add eth0.5.6 link eth0.5 type vlan id 6
on director ip link set eth0.5 up
on director ip address add 192.0.2.1/24 dev eth0.5
on director ip address add 2001:db8::1/64 dev eth0.5 nodad
equal "it says" "$(fails_to_attach eth0)" \
  "xlvs: attach to eth0 in native mode: $help eth0.5; $cure"
check "it has not attached" not has_program eth0
check "in generic mode the kernel keeps the tag" xlvs attach eth0 --mode generic
check "it detaches" xlvs detach

title "an agent knows which addresses matter"
servers
equal "a backend in the VLAN" "$(fails_to_run '.services[0].backends += [{address: "192.0.2.9"}]')" \
  "attach to eth0 in native mode: $help 192.0.2.9 on eth0.5; $cure
status 1"
equal "a vip in the VLAN" "$(fails_to_run '.services[1].vip = "2001:db8::80"')" \
  "attach to eth0 in native mode: $help 2001:db8::80 on eth0.5; $cure
status 1"
check "it has not attached" not has_program eth0
on director ip route add 198.51.100.0/24 via 192.0.2.254
equal "a backend behind a router in the VLAN" \
  "$(fails_to_run '.services[0].backends += [{address: "198.51.100.9"}]')" \
  "attach to eth0 in native mode: $help 198.51.100.9 on eth0.5; $cure
status 1"
configure dr
start_agent
check "none in the VLAN: it attaches" has_program eth0
equal "and serves" "$(ask "http://$vip/" 3 | sequence)" "1 2 2"

title "a file that comes to need the tags"
configure dr '.services[0].backends += [{address: "192.0.2.9"}]'
await "the refusal" agent_says "was not taken: attach to eth0 in native mode: $help 192.0.2.9 on eth0.5"
check "all goes on" state_is up "$backend1"
on director ethtool -K eth0 rxvlan off
kill -HUP "$agent"
await "it to be taken" agent_says "taken: .* services?"
check "the agent ends well" end_agent TERM
check "with the offload off attach attaches" xlvs attach eth0
check "it detaches" xlvs detach
