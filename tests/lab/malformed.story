#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Configurations with one thing wrong each, given to `xlvs check` and to a running agent: each gets
# its error with a position, none crashes, none changes what the kernel holds. Every fourth of them,
# more than 200, since all of them are for the unit tests. MALFORMED names the program that writes
# them.
set -euo pipefail
# shellcheck source=tests/lab/story.bash
. "$(dirname "$0")/story.bash"

title "xlvs check"
network --dr
servers
"${MALFORMED:-$top/build/tests/harness/malformed}" "$work/malformed" >"$work/count"
cd "$work/malformed"
all=(*)
cd "$top"
files=()
for ((i = 0; i < ${#all[@]}; i += 4)); do files+=("${all[i]}"); done
within "malformed configurations" "${#files[@]}" 200 "${#all[@]}"

# An error begins with the file, line and column; a crash has a status above 128.
checked() {
  local status=0 said
  said=$("$XLVS" check "$work/malformed/$1" 2>&1) || status=$?
  if [[ $status != 2 || $said != *"/$1:"[1-9]*":"[1-9]*": "* ]]; then
    echo "$1: exit status $status: $said"
  fi
}
for file in "${files[@]}"; do checked "$file"; done >"$work/wrong"
cat "$work/wrong"
equal "that were not answered by exit status 2 and an error with line and column" \
  "$(wc -l <"$work/wrong")" 0

title "A running agent"
configure dr '.tables = {flows: 1000, pending: 1000, services: 16, backends: 64, slots: 256}'
start_agent
await_state up "$backend1" "$backend2" "$backend1_6" "$backend2_6"
cp "$configuration" "$work/good"
dump >"$work/before"
begin=$log_begin

# It says of the file, since it was given, that it was not taken.
refused() { agent_says "was not taken"; }
for file in "${files[@]}"; do
  log_begin=$(wc -l <"$log")
  mv "$work/malformed/$file" "$configuration"
  await "the agent to refuse $file" refused
  logged "xlvs.json:[0-9]+:[0-9]+: " || echo "$file: no position"
  dump >"$work/after"
  cmp -s "$work/before" "$work/after" || echo "$file: has changed what the kernel holds"
done >"$work/wrong"
cat "$work/wrong"
log_begin=$begin
equal "refused" "$(logged_times 'was not taken')" "${#files[@]}"
equal "that had no position or changed services, tables, backends or endpoints" \
  "$(wc -l <"$work/wrong")" 0
check "the agent runs" test -d "/proc/$agent"

title "Afterwards"
lab web kill backend1
await_state down "$backend1"
equal "checks go on: backend1 has died, requests" "$(ask "http://$vip/" 3 | sequence)" "2 2 2"
cp "$work/good" "$configuration"
await "the good one to be taken" logged 'taken: 2 services'
check "the agent ends well" end_agent TERM
