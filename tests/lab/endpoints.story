#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A service of several endpoints: vips, ports, ranges of ports and all ports share backends, turns
# and persistence; the file can change them, and the next agent adopts them.
set -euo pipefail
# shellcheck source=tests/lab/story.bash
. "$(dirname "$0")/story.bash"

readonly vip2=172.16.192.170 also='[{port: "8000-8009"}, {vip: "172.16.192.170"}]'
readonly one='.services |= [.[0] | .scheduler = "rr" | .backends |= map(.weight = 1)]'
readonly small='.tables = {flows: 1000, pending: 1000, services: 16, backends: 64, slots: 256}'

# all_ask PORT...: one request to each; which server answered.
all_ask() {
  local url
  for url in "$@"; do ask "http://$url/" 1; done | sequence
}
served() {
  local before
  before=$(logged_times 'taken: ')
  configure "$@"
  await "the agent's word" not has_times "$before" 'taken: '
}
# The director's own connection, from a port of the vip that is the service's as well.
director_asks() { on director curl -gs -m 20 --interface "$1" "http://$2/" || echo "no answer"; }
refused() { ! on client curl -s -m 5 -o "$work/answer" "http://$1/"; }
index_entries() {
  on director bpftool --json map dump pinned /sys/fs/bpf/xlvs/endpoints |
    jq '[.[].formatted.value.entries[] | select(.[""].word != 0)] | length'
}

title "One service of a port, a range of ports and a second vip, by direct routing"
network --dr
lab web up backend1 backend2
on backend1 ip address add "$vip2/32" dev lo
on backend2 ip address add "$vip2/32" dev lo
configure dr "$one | $small | .services[0].also = $also"
start_agent
await_state up "$backend1" "$backend2"
found=$(all_ask "$vip" "$vip:8000" "$vip2" "$vip:8009" "$vip:8004" "$vip2")
check "all endpoints take turns: $found" alternates "$found"
check "the port behind the range is not its" refused "$vip:8010"
check "nor a port of the range at the other vip" refused "$vip2:8000"
equal "room for destinations, twice the endpoints" \
  "$(on director bpftool --json map show pinned /sys/fs/bpf/xlvs/destinations | jq .max_entries)" 32
check "list shows them" grep -q "  + TCP  $vip:8000-8009" <(xlvs list -n)
equal "the director holds both vips" \
  "$(on director ip -brief address show dev eth0 | grep -oE "$vip/|$vip2/" | sort | paste -sd ' ')" \
  "$vip/ $vip2/"

title "kill -9, and another agent"
end_agent KILL || true
check "without an agent they take turns" alternates "$(all_ask "$vip" "$vip:8000" "$vip2")"
before=$(dump)
start_agent
check "it adopts the service" logged 'adopted 1 service as'
await_state up "$backend1" "$backend2"
check "the kernel's tables are the same" test "$(dump)" = "$before"
check "they take turns" alternates "$(all_ask "$vip2" "$vip" "$vip:8000")"

title "The file takes endpoints away and adds others"
served dr "$one | $small | .services[0].also = [{port: 8010}]"
check "what was there goes on, what is new serves" \
  alternates "$(all_ask "$vip" "$vip:8010" "$vip")"
check "the range is no longer served" refused "$vip:8000"
check "it is said" logged "service web: tcp $vip:8000-8009 is no longer its endpoint"
equal "entries of the index" "$(index_entries)" 2
served dr "$one | $small | .services[0].also = [{port: \"8000-8004\"}]"
check "a range is served" alternates "$(all_ask "$vip:8000" "$vip:8004")"
check "and what is behind it is not" refused "$vip:8005"
served dr "$one | $small | .services[0].also = [{port: \"8000-8008\"}]"
check "it grows" alternates "$(all_ask "$vip:8000" "$vip:8008")"
served dr "$one | $small | .services[0].also = [{port: \"8000-8002\"}]"
check "it shrinks" alternates "$(all_ask "$vip:8000" "$vip:8002")"
check "to its new end" refused "$vip:8003"
served dr "$one | $small | .services[0].also = $also | .services +=
  [.services[0] | .name = \"other\" | .port = 8004 | .also = [] | .backends |= [.[0]]]"
equal "a port of its own comes before the range" \
  "$(all_ask "$vip:8004" "$vip:8004" "$vip:8004")" "2 2 2"
check "the range goes on" alternates "$(all_ask "$vip:8000" "$vip:8001" "$vip:8002")"
check "the agent ends well" end_agent TERM

title "A range is split in two while connections are held"
network --dr
servers_with_download 16
configure dr "$one | $small | .services[0].also = [{port: \"8000-8009\"}]"
start_agent
await_state up "$backend1" "$backend2"
pids=()
for port in 8003 8004 8006; do
  download "http://$vip:$port" "$work/fetched$port"
  pids+=("$started")
done
# Whom each is with.
with() {
  xlvs list --connections --json | jq -r \
    '.[] | select(.state == "ESTABLISHED") | "\(.vip) \(.backend)"' | sort | paste -sd ','
}
before=$(with)
note "$before"
# The middle is given to who has not the one that is held there.
other=$backend1
if [[ $before == *"$vip:8004 $backend1:"* ]]; then other=$backend2; fi
served dr "$one | $small | .services[0].also = [{port: \"8000-8003\"}, {port: \"8006-8009\"}] |
  .services += [.services[0] | .name = \"middle\" | .port = \"8004-8005\" | .also = []
  | .check.port = 80 | .backends |= map(select(.address == \"$other\"))]"
await_state up "$other"
for ports in 8000-8003 8006-8009; do
  check "list shows $ports as web's" grep -q "  + TCP  $vip:$ports" <(xlvs list -n)
done
check "and 8004-8005 as another's" grep -qE "^TCP  $vip:8004-8005 rr" <(xlvs list -n)
equal "the held ones are with" "$(with)" "$before"
check "both ends go on" alternates "$(all_ask "$vip:8000" "$vip:8003" "$vip:8006" "$vip:8009")"
equal "who is new to the middle is served by" \
  "$(on client curl -s -m 20 "http://$vip:8004/" "http://$vip:8005/" | cut -d ' ' -f 2 | uniq)" "$other"
for port in 8003 8004 8006; do
  check "the download from $port completes" hurry "${pids[0]}" "$work/fetched$port"
  check "its SHA-256 is right" right_bytes "$work/fetched$port"
  pids=("${pids[@]:1}")
done
check "the agent ends well" end_agent TERM

title "All ports, with persistence, by NAT"
network --nat
lab web up backend1 backend2 client
configure nat "$one | $small | .services[0] |= (.port = 0 | .check = {port: 80}
  | .persistence = {timeout: \"60s\"})"
start_agent
await_state up "$backend1" "$backend2"
found=$(all_ask "$vip" "$vip:8000" "$vip:8010" "$vip:8005" | tr ' ' '\n' | sort -u)
equal "servers of one client" "$(wc -w <<<"$found")" 1
note "$found"
on client ip address add 10.0.0.99/24 dev eth0
other=$(on client curl -s --interface 10.0.0.99 "http://$vip:8001/" | sequence)
equal "another client has the other" "$other" "$((3 - found))"
equal "the director asks others from the vip" "$(director_asks "$vip" 10.0.0.10)" client
check "its answers pass" test "$(verdict PASS_NO_FLOW)" -gt 0
check "flows show the ports that they came to" eval \
  "xlvs list --connections -n | grep -qE '$vip:8010 +172.16.254.[0-9]+:8010'"
equal "a port where nobody listens is refused by the backend" \
  "$(on client curl -s -m 5 "http://$vip:9999/" || echo $?)" 7
check "the agent ends well" end_agent TERM
check "nothing is pinned any more" not pinned

title "Several endpoints, IPv6"
network --dr
lab web up backend1 backend2 client
configure dr ".services |= [.[1] | .scheduler = \"rr\" | .backends |= map(.weight = 1)
  | .also = [{port: \"8000-8009\"}, {port: 0}]]"
start_agent
await_state up "$backend1_6" "$backend2_6"
check "they take turns" alternates "$(all_ask "[$vip6]" "[$vip6]:8000" "[$vip6]:8009" "[$vip6]:8010")"
equal "the director asks others from the vip" "$(director_asks "$vip6" "[fd00:172:16::10]")" client
check "its answers pass" test "$(verdict PASS_NO_FLOW)" -gt 0
check "the agent ends well" end_agent TERM
