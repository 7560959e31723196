#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What is balanced, as programs and people read it.
set -euo pipefail
# shellcheck source=tests/lab/story.bash
. "$(dirname "$0")/story.bash"

# of SERVICE: how it schedules, as `xlvs list --json` has it.
of() {
  xlvs list --json | jq -c --arg name "$1" '.services[] | select(.name == $name)
    | del(.name, .vip, .port, .protocol, .also, .counters, .backends)'
}
# named FILE COMMAND...: with the names of hosts in a file.
named() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  on director unshare --mount bash -c 'mount --bind "$1" /etc/hosts && "${@:2}"' - "$@"
}

title "xlvs list --json: scheduling in the configuration's words"
network --dr
# shellcheck disable=SC2016 # jq's
configure dr '.manage_vips = false | .services |= [.[0] | .check = {type: "none"}]
  | .services[0] as $web
  | .services = [
      ($web | .name = "rr" | .port = 1 | .scheduler = "rr"),
      ($web | .name = "sh" | .port = 2 | .scheduler = "sh" | .hash = "source_port"
        | .strict_ipvs = true),
      ($web | .name = "mh" | .port = 3 | .scheduler = "mh" | .persistence = {}),
      ($web | .name = "small" | .port = 4 | .scheduler = "mh" | .slots = 4093 | .hash = "source"
        | .persistence = {timeout: "1h", prefix: 24, expire_drained: false}),
      ($web | .name = "udp" | .port = 5 | .scheduler = "wlc" | .protocol = "udp"
        | .one_packet = true),
      ($web | .name = "both" | .port = 6 | .scheduler = "wlc" | .protocol = "udp"
        | .also = [{protocol: "tcp"}]),
      ($web | .name = "range" | .port = "8000-8080" | .scheduler = "rr" | .protocol = "udp")]'
start_agent
equal "rr" "$(of rr)" '{"scheduler":"rr"}'
equal "sh" "$(of sh)" '{"scheduler":"sh","hash":"source_port","strict_ipvs":true}'
equal "mh, persistence by default" "$(of mh)" '{"scheduler":"mh","hash":"5tuple",'\
'"strict_ipvs":false,"slots":65521,"persistence":{"timeout":"300s","prefix":32,"expire_drained":true}}'
equal "mh, persistence by network" "$(of small)" '{"scheduler":"mh","hash":"source",'\
'"strict_ipvs":false,"slots":4093,"persistence":{"timeout":"3600s","prefix":24,"expire_drained":false}}'
equal "UDP" "$(of udp)" '{"scheduler":"wlc","one_packet":true}'
equal "UDP and TCP" "$(of both)" '{"scheduler":"wlc"}'
equal "a range of UDP" "$(of range)" '{"scheduler":"rr","one_packet":false}'

title "xlvs list, without -n"
printf '%s web.example\n%s server.example\n' "$vip" "$backend1" >"$work/hosts"
named "$work/hosts" "$XLVS" list >"$work/names"
cat "$work/names"
check "a vip has its name" grep -q '^TCP  web.example:tcpmux rr$' "$work/names"
check "with a range of ports as well" grep -q '^UDP  web.example:8000-8080 rr$' "$work/names"
check "and a backend" grep -qE '^  -> server.example:tcpmux +Route' "$work/names"
check "but for -n" grep -q "^UDP  $vip:8000-8080 rr" <(xlvs list -n)
check "the agent ends well" end_agent TERM
