#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Beginnings and ends: SIGTERM removes all that the agent made, on_stop keep leaves it forwarding, a
# start that fails leaves nothing behind, and attach and detach work without an agent.
set -euo pipefail
# shellcheck source=tests/lab/story.bash
. "$(dirname "$0")/story.bash"

# nothing TEXT: neither program nor pins nor vip.
nothing() {
  local left=()
  if has_program eth0; then left+=(program); fi
  if pinned; then left+=(pins); fi
  if has_vip; then left+=(vip); fi
  equal "$1, what is left" "${left[*]:-nothing}" nothing
}

# xlvs_says STATUS PATTERN TEXT ARGUMENTS...: runs it on the director to its end.
xlvs_says() {
  local status=0 said
  said=$(xlvs "${@:4}" 2>&1) || status=$?
  equal "$3, exit status" "$status" "$1"
  check "$3: $(tail -n 1 <<<"$said")" grep -qE -- "$2" <<<"$said"
}

title "SIGTERM"
network --dr
servers
configure dr
start_agent
await_state up "$backend1" "$backend2"
equal "requests" "$(ask "http://$vip/" 3 | sequence)" "1 2 2"
pid=$agent
xlvs_says 1 "process $pid holds .*; stop it first" "detach while the agent runs" detach
equal "the agent has noticed nothing, requests" "$(ask "http://$vip/" 3 | sequence)" "1 2 2"
status=0
end_agent TERM || status=$?
equal "the agent's exit status" "$status" 0
check "it is gone" is_gone "$pid"
check "it said: $(tail -n 1 "$log" | cut -d ' ' -f 3-)" logged 'stopped and detached'
nothing "after SIGTERM"
# Nobody has the vip any more.
equal "a request" "$(on client curl -s -m 2 "http://$vip/" || echo "no answer")" "no answer"

title "SIGINT, the vip is the operator's"
on director ip address add "$vip/32" dev eth0
configure dr
start_agent
await_state up "$backend1" "$backend2"
status=0
end_agent INT || status=$?
equal "the agent's exit status" "$status" 0
check "the vip that was there before stays" has_vip
on director ip address del "$vip/32" dev eth0
nothing "without it"

title "on_stop keep"
configure dr '.on_stop = "keep"'
start_agent
await_state up "$backend1" "$backend2"
status=0
end_agent TERM || status=$?
equal "the agent's exit status" "$status" 0
check "program, pins and vip stay" eval 'has_program eth0 && pinned && has_vip'
found=$(ask "http://$vip/" 6 | sequence)
equal "it forwards, requests" "$(count 1 "$found") $(count 2 "$found")" "2 4"
xlvs_says 0 'eth0: detached' "xlvs detach" detach
nothing "after detach"

title "A start that fails"
# fails STATUS PATTERN TEXT FILTER
fails() {
  configure dr "$4"
  xlvs_says "$1" "$2" "$3" run -c "$configuration"
  nothing "$3"
}
fails 1 'there is no interface eth7' "an interface that is not there" '.interfaces = ["eth7"]'
fails 1 'there is no interface eth7' "the second one is not there" '.interfaces = ["eth0", "eth7"]'
fails 2 'xlvs.json:[0-9]+:[0-9]+: services\[0\].port: .*from 0 \(all\) to 65535' "a bad port" \
  '.services[0].port = 70000'
xlvs_says 2 'cannot open' "no configuration" run -c "$work/none.json"
nothing "no configuration"
xlvs_says 2 '--config is required' "no -c" run
on director ip link set eth0 xdpdrv object "/run/xlvs-lab/$lab/pass.bpf.o" section xdp.frags
configure dr
xlvs_says 1 "eth0: XDP program '[a-z_]+' \(id [0-9]+\) is attached" \
  "another XDP program in the way" run -c "$configuration"
check "it has nothing pinned" not pinned
check "it has added no vip" not has_vip
check "the other program is still there" has_program eth0
on director ip link set eth0 xdp off
nothing "without it"

title "attach and detach, without an agent"
xlvs_says 1 'there is no interface eth7' "attach to what is not there" attach eth7
xlvs_says 0 'eth0: attached in native mode' "attach" attach eth0
xlvs_says 0 'eth0: already attached in native mode' "attach again" attach eth0
check "the client pings the director" on client ping -q -c 2 -i 0.2 -W 20 172.16.192.168 >/dev/null
check "and by IPv6" on client ping -q -c 2 -i 0.2 -W 20 fd00:172:16::168 >/dev/null
equal "the client gets the director's page" "$(ask http://172.16.192.168/ 1)" "fallback page"
equal "and by IPv6" "$(ask 'http://[fd00:172:16::168]/' 1)" "fallback page"
within "packets that passed since no service has their address" "$(verdict PASS_NO_SERVICE)" 8 1000
xlvs_says 0 'eth0: detached' "detach" detach eth0
xlvs_says 1 'it is not attached to eth0' "detach again" detach eth0
xlvs_says 0 'xlvs is not attached' "detach from all" detach
nothing "after detach"
xlvs_says 1 'not loaded' "list" list

title "An agent adopts what attach has made, generic mode"
xlvs_says 0 'eth0: attached in generic mode' "attach --mode generic" attach --mode generic eth0
xlvs_says 1 'eth0 stays in generic mode' "attach in native mode" attach eth0
xlvs_says 0 'eth0: already attached in generic mode' "attach again" attach --mode generic eth0
xlvs_says 0 'no agent runs' "list" list
configure dr '.mode = "generic"'
start_agent
await_state up "$backend1" "$backend2" "$backend1_6" "$backend2_6"
check "the agent says: $(agent_log | grep -F eth0 | head -n 1 | cut -d ' ' -f 3-)" \
  logged 'adopted eth0 in generic mode'
equal "requests" "$(ask "http://$vip/" 6 | sequence)" "1 2 2 1 2 2"
equal "requests by IPv6" "$(ask "http://[$vip6]/" 6 | sequence)" "1 2 2 1 2 2"
status=0
end_agent TERM || status=$?
nothing "after SIGTERM"
