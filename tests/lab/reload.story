#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The configuration is read again on SIGHUP, when it is written in place and when it is replaced by
# rename. A bad one changes nothing, and checks go on.
set -euo pipefail
# shellcheck source=tests/lab/story.bash
. "$(dirname "$0")/story.bash"

# Small tables: they are dumped.
readonly small='.tables = {flows: 1000, pending: 1000, services: 16, backends: 64, slots: 256}'
weight() { xlvs list --json | jq -r --arg address "$1" \
  '.services[].backends[] | select(.address == $address) | .weight'; }
has_weight() { [[ $(weight "$1") == "$2" ]]; }
weighted() { jq ".services[0].backends[0].weight = $1" "$configuration"; }

# taken TEXT WEIGHT COMMAND...: the command brings that weight about, and the agent says so.
taken() {
  local before
  before=$(logged_times 'taken: 2 services')
  "${@:3}"
  await "the new weight" has_weight "$backend2" "$2"
  await "the agent's word" not has_times "$before" 'taken: 2 services'
  check "$1: backend2's weight is $(weight "$backend2")" has_weight "$backend2" "$2"
}

in_place() { cat "$1" >"$configuration"; }
by_rename() { mv "$1" "$configuration"; }
# An editor: the old one aside, a new one in its place.
as_editors_do() { mv "$configuration" "$configuration~" && cat "$1" >"$configuration"; }

title "Three ways to reload"
network --dr
servers_with_download 64
configure dr "$small"
start_agent
await_state up "$backend1" "$backend2" "$backend1_6" "$backend2_6"
download "http://$vip" "$work/fetched"
fetching=$started
equal "a download is from backend" "$(established)" 1
equal "before: requests" "$(ask "http://$vip/" 6 | sequence)" "2 2 1 2 2 1"
weighted 3 >"$work/next"
taken "written in place" 3 in_place "$work/next"
weighted 4 >"$work/next"
taken "replaced by rename" 4 by_rename "$work/next"
weighted 5 >"$work/next"
taken "moved away and written anew" 5 as_editors_do "$work/next"
found=$(ask "http://$vip/" 12 | sequence)
equal "5 to 1, of 12 requests backend2 has" "$(count 2 "$found")" 10
before=$(logged_times 'taken: 2 services')
kill -HUP "$agent"
await "the agent's word" not has_times "$before" 'taken: 2 services'
check "what has changed was said" logged \
  "service web: backend $backend2:80, weight 4 -> 5"
check "SIGHUP, the same file: $(agent_log | tail -n 1 | cut -d ' ' -f 3-)" \
  has_times $((before + 1)) 'taken: 2 services'
jq '.services |= [.[0]]' "$configuration" >"$work/next"
by_rename "$work/next"
await "one service to go" logged 'taken: 1 service$'
equal "a service is gone: services" "$(xlvs list --json | jq '.services | length')" 1
equal "and so is its vip, a request" "$(ask "http://[$vip6]/" 1 | sequence)" x
configure dr "$small | .services[0].backends[0].weight = 5"
await "it to come back" logged 'taken: 2 services'
await_state up "$backend1_6" "$backend2_6"
check "back again, it is served: $(ask "http://[$vip6]/" 3 | sequence)" state_is up "$backend1_6"
check "a download has gone on all the time" grows "$work/fetched"

title "A bad file"
# refused TEXT PATTERN COMMAND...: the command writes a bad file.
refused() {
  local before said
  dump >"$work/before"
  before=$(logged_times 'was not taken')
  said=$(agent_log | wc -l)
  "${@:3}"
  await "the refusal" not has_times "$before" 'was not taken'
  said=$(agent_log | tail -n "+$((said + 1))" | grep -E ' error: ' | head -n 1 | cut -d ' ' -f 3-)
  check "$1 is refused: $said" test "$(grep -cE "$2" <<<"$said")" = 1
  dump >"$work/after"
  check "$1: the kernel's state is the same ($(stat -c %s "$work/after") bytes of services, tables, \
backends, endpoints)" same_state "$work/before" "$work/after"
}
same_state() { cmp -s "$1" "$2" || { diff <(jq . "$1") <(jq . "$2") >&2 && false; }; }

# What was removed leaves the kernel's state some sweeps later, by itself.
has_removed() { dump | grep -qE 'BACKEND_(DRAINING|GONE)'; }

remove_and_signal() { rm "$configuration" && kill -HUP "$agent"; }

cp "$configuration" "$work/good"
await "the removed service's backends to be free" not has_removed
echo '{ "interfaces": ["eth0"' >"$work/next"
refused "one cut short" 'xlvs.json:[0-9]+:[0-9]+' by_rename "$work/next"
jq '.services[0].backends[0].weigth = 1' "$work/good" >"$work/next"
refused "one with a misspelt key" 'did you mean' in_place "$work/next"
jq '.interfaces = ["eth7"]' "$work/good" >"$work/next"
refused "one with an interface that is not there" 'no interface eth7' by_rename "$work/next"
refused "none at all, and SIGHUP" 'xlvs.json' remove_and_signal
echo >"$work/next"
refused "an empty one" 'xlvs.json' by_rename "$work/next"

title "Checks go on under the bad file"
lab web kill backend2
await_state down "$backend2"
equal "backend2 has died, requests" "$(ask "http://$vip/" 4 | sequence)" "1 1 1 1"
lab web up backend2
await_state up "$backend2"
found=$(ask "http://$vip/" 12 | sequence)
equal "it is back, of 12 requests it has" "$(count 2 "$found")" 10
check "the download has gone on all the time" hurry "$fetching" "$work/fetched"
check "its SHA-256 is right" right_bytes "$work/fetched"

title "A good one again"
jq '.services[0].backends[0].weight = 1' "$work/good" >"$work/next"
taken "replaced by rename" 1 by_rename "$work/next"
check "the agent ends well" end_agent TERM
