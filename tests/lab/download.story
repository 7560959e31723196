#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# 100 MB through the director, over both address families and both ways of forwarding: not a bit
# is lost.
set -euo pipefail
# shellcheck source=tests/lab/story.bash
. "$(dirname "$0")/story.bash"

readonly mebibytes=100

# fetch NAME URL
fetch() {
  local file=$work/fetched begin
  begin=$(now_ms)
  check "$1: curl has it" on client curl -gsS -m 200 -o "$file" "$2/download"
  note "$(stat -c %s "$file") bytes in $(($(now_ms) - begin)) ms"
  equal "$1: bytes" "$(stat -c %s "$file")" $((mebibytes << 20))
  check "$1: SHA-256 $(cat "/run/xlvs-lab/$lab/web/download.sha256") is right" right_bytes "$file"
  rm -f "$file"
}


for mode in nat dr; do
  title "${mode^^}, $mebibytes MiB"
  network "--$mode"
  servers_with_download "$mebibytes"
  configure "$mode"
  start_agent
  await_state up "$backend1" "$backend2" "$backend1_6" "$backend2_6"
  fetch "$mode, IPv4" "http://$vip"
  fetch "$mode, IPv4, the next server" "http://$vip"
  fetch "$mode, IPv6" "http://[$vip6]"
  equal "$mode: packets dropped" "$(xlvs list --json |
    jq '[.verdicts | to_entries[] | select(.key | test("^DROP")) | .value.packets] | add')" 0
  check "$mode: the agent ends well" end_agent TERM
done
