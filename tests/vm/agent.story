#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The whole of it under another kernel, shortly: attach, direct routing, an agent that is killed and
# one that adopts, NAT. Run it in a guest; what each kernel does with libxdp's dispatcher is known.
set -euo pipefail
# shellcheck source=tests/lab/story.bash
. "$(dirname "$0")/../lab/story.bash"

program_on() { on director ip -d link show "$1" | sed -nE 's/.*prog\/xdp .* name ([^ ]+).*/\1/p'; }

# Debian's libxdp 1.3 has a dispatcher that newer kernels do not let xlvs replace a function of.
known_way() {
  case $(uname -r) in
    6.1.*) program=xdp_dispatcher said="eth0: attached in native mode, under libxdp's dispatcher" ;;
    6.12.*)
      program=xlvs said="xlvs: attached alone: this kernel does not take xlvs under libxdp's dispatcher, \
so no other XDP program can share its interfaces
eth0: attached in native mode"
      ;;
    *) give_up "this story knows Linux 6.1 and 6.12, not $(uname -r)" ;;
  esac
}

title "attach, on Linux $(uname -r)"
known_way
network --dr
equal "it says" "$(xlvs attach eth0 2>&1)" "$said"
equal "the program on eth0" "$(program_on eth0)" "$program"

title "DR, wrr, weights 2 (backend2) and 1 (backend1)"
servers
configure dr
start_agent
check "the agent adopts what is attached" logged 'adopted eth0 in native mode'
await "four backends to be up" has_times 4 '-> up'
equal "IPv4" "$(ask "http://$vip/" 6 | sequence)" "1 2 2 1 2 2"
equal "IPv6" "$(ask "http://[$vip6]/" 3 | sequence)" "1 2 2"

title "kill -9 of the agent, and the next one"
status=0
end_agent KILL || status=$?
equal "the agent's exit status (128 + 9)" "$status" 137
equal "without an agent" "$(ask "http://$vip/" 4 | sequence)" "1 2 2 1"
start_agent
check "it adopts the program" logged 'adopted eth0 in native mode'
check "it adopts the services" logged 'adopted 2 services'
equal "backends that it took for unknown" "$(logged_times 'unknown ->')" 0
equal "the turns go on" "$(ask "http://$vip/" 2 | sequence)" "2 2"
check "the agent ends well" end_agent TERM
check "it has detached" not has_program eth0
check "it has unpinned" not pinned

title "NAT, rr, attached by the agent, a client in another network"
network --nat
servers
configure nat
start_agent
equal "the program on eth0" "$(program_on eth0)" "$program"
equal "the program on eth1" "$(program_on eth1)" "$program"
await "four backends to be up" has_times 4 '-> up'
check "IPv4: one after the other" alternates "$(ask "http://$vip/" 4 | sequence)"
check "IPv6: one after the other" alternates "$(ask "http://[$vip6]/" 4 | sequence)"
check "the agent ends well" end_agent TERM
check "it has detached" not has_program eth1
