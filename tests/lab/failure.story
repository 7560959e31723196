#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A web server dies: requests fail only until its check has noticed, downloads from the others do not
# notice at all; it returns; all die, and the fallback page comes; all return.
set -euo pipefail
# shellcheck source=tests/lab/story.bash
. "$(dirname "$0")/story.bash"

# fall x (interval and its jitter) + timeout. A dead server refuses at once, so that there is room.
readonly check='.check += {interval: "500ms", timeout: "3s", fall: 2, jitter: 0.1}'
readonly window_ms=$((2 * 550 + 3000))

# ask_on FILE: one request after the other until FILE.stop is there; lines are "milliseconds answer",
# the time is when the request began. Its process is $started.
ask_on() {
  # shellcheck disable=SC2016,SC2094 # expanded by the inner shell; it writes no file but its output
  start client bash -c '
    while [[ ! -e $2.stop ]]; do
      now=${EPOCHREALTIME/[.,]/}
      answer=$(curl -gs -m 20 "$1") || answer="no answer"
      echo "${now%???} $answer"
      sleep 0.01
    done' - "http://$vip/" "$1" >"$1"
}

# answers FILE FROM TO: which there were of requests that began then, and how many of each.
answers() {
  awk -v from="$2" -v to="$3" '$1 >= from && $1 < to { print $2, $3 }' "$1" |
    sort | uniq -c | sed -E 's/^ +//' | paste -sd ','
}

lines() { (($(wc -l <"$1") >= $2)); }
more_lines() { await "more answers" lines "$1" $(($(wc -l <"$1") + $2)); }

# When the agent logged a line like this (milliseconds).
logged_at() {
  local line
  line=$(grep -E -m 1 -- "$1" < <(agent_log))
  date -d "${line:0:23}" +%s%3N
}

# outage EXPECTED HOST...: kills the hosts' servers under load.
outage() {
  local expected=$1 all=$work/all asking killed known later begin=$log_begin address=()
  shift
  local host
  for host in "$@"; do address+=("${!host}"); done
  log_begin=$(wc -l <"$log")
  rm -f "$all.stop"
  ask_on "$all"
  asking=$started
  await "answers" lines "$all" 10
  killed=$(now_ms)
  lab web kill "$@"
  await_state down "${address[@]}"
  known=$(now_ms)
  more_lines "$all" 30
  later=$(now_ms)
  touch "$all.stop"
  wait "$asking"
  note "before: $(answers "$all" 0 "$killed")"
  note "between the kill and its notice: $(answers "$all" "$killed" "$known")"
  note "after: $(answers "$all" "$known" "$later")"
  # One that was under way when the server was killed began a little before.
  equal "requests that failed long before the kill" \
    "$(awk -v to=$((killed - 1000)) '$1 < to && /no answer/' "$all" | wc -l)" 0
  equal "requests that failed, of those that began after the notice" \
    "$(awk -v from="$known" '$1 >= from && /no answer/' "$all" | wc -l)" 0
  equal "after the notice all answers are from" \
    "$(awk -v from="$known" '$1 >= from { print $2 }' "$all" | sort -u | paste -sd ' ')" "$expected"
  for host in "$@"; do
    within "$host: milliseconds from the kill to its notice (at most fall x interval + timeout)" \
      $(($(logged_at "${!host}:80 up -> down") - killed)) 0 "$window_ms"
  done
  check "the log says why" logged "backend web/${address[0]}:80 up -> down: .* \(2 of 2, [0-9]+ ms\)"
  log_begin=$begin
}

title "A server dies, another one serves a download"
network --dr
servers_with_download 96
# A client's port that comes again within tcp_syn is, rightly, of the flow that a dead server refused.
configure dr "$check | .timeouts.tcp_syn = \"1s\""
start_agent
await_state up "$backend1" "$backend2"
download "http://$vip" "$work/fetched"
fetching=$started
equal "the download is from backend" "$(established)" 1
outage backend1 backend2
check "the download goes on" grows "$work/fetched"

title "It returns"
lab web up backend2
await_state up "$backend2"
sleep 1.5
found=$(ask "http://$vip/" 30 | sequence)
note "$found"
equal "backend2 (weight 2)" "$(count 2 "$found")" 20
equal "backend1 (weight 1)" "$(count 1 "$found")" 10
check "the download has not noticed: curl has it" hurry "$fetching" "$work/fetched"
check "the download's SHA-256 is right" right_bytes "$work/fetched"

title "All die"
outage fallback backend1 backend2
lab web up backend1 backend2
await_state up "$backend1" "$backend2"
sleep 1.5
found=$(ask "http://$vip/" 30 | sequence)
note "$found"
equal "back again: backend2" "$(count 2 "$found")" 20
equal "back again: backend1" "$(count 1 "$found")" 10
