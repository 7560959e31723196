# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the stories share. A story is a script *.story that reads this file: it has a lab of its own,
# named after it, real web servers and clients in it, and an agent; it says what it saw, with
# figures, and ends with 1 if anything was not as it should be. XLVS names the program.
# shellcheck disable=SC2034 # what is only used by stories

readonly vip=172.16.192.169 vip6=fd00:172:16::169
readonly backend1=172.16.254.18 backend2=172.16.254.105
readonly backend1_6=fd00:172:16::18 backend2_6=fd00:172:16::105
# Nothing that is waited for takes longer, on a busy machine neither.
readonly patience=60

# --- what is said -----------------------------------------------------------------------------

failed=0
title() { printf '\n%s\n' "$1"; }
note() { printf '        %s\n' "$1"; }

# check TEXT COMMAND...: is it so?
check() {
  local text=$1
  shift
  if "$@"; then
    printf 'ok      %s\n' "$text"
  else
    printf 'FAILED  %s\n' "$text"
    failed=1
  fi
}

# equal TEXT FOUND EXPECTED
equal() {
  if [[ $2 == "$3" ]]; then
    printf 'ok      %s: %s\n' "$1" "$2"
  else
    printf 'FAILED  %s: %s, expected %s\n' "$1" "$2" "$3"
    failed=1
  fi
}

# within TEXT NUMBER FROM TO
within() {
  if (($2 >= $3 && $2 <= $4)); then
    printf 'ok      %s: %s (%s to %s)\n' "$1" "$2" "$3" "$4"
  else
    printf 'FAILED  %s: %s, expected %s to %s\n' "$1" "$2" "$3" "$4"
    failed=1
  fi
}

give_up() {
  printf 'FAILED  %s\n' "$1"
  exit 1
}

# await WHAT COMMAND...: until the command succeeds.
await() {
  local what=$1 deadline=$((SECONDS + patience))
  shift
  until "$@"; do
    if ((SECONDS > deadline)); then give_up "waited $patience s in vain for $what"; fi
    sleep 0.03
  done
}

not() { ! "$@"; }
is_gone() { [[ ! -d /proc/$1 ]]; }
now_ms() { local now=${EPOCHREALTIME/[.,]/}; echo "${now%???}"; }

# --- the network ------------------------------------------------------------------------------

# Nothing that outlives the story may inherit its lock.
lab() { "$tools/lab" --name "$lab" "$@" {lock}<&-; }
on() { lab exec "$@"; }
xlvs() { lab exec director "$XLVS" "$@"; }

# start HOST COMMAND...: in the background; its process is $started. Standard output and error go to
# where the caller redirects them.
start() {
  "$tools/lab" --name "$lab" exec "$@" </dev/null {lock}<&- &
  started=$!
}

# network --dr|--nat: a fresh one, without servers.
network() {
  agent=
  lab down
  lab up "$1"
  mkdir "$work"
}

# The backends', and the fallback page on the director; and what each of them serves as /download.
servers() { lab web up backend1 backend2 director; }
servers_with_download() { lab web up backend1 backend2 director --download "$1"; }

# --- the agent --------------------------------------------------------------------------------

# configure dr|nat [FILTER [ARGUMENT...]]: writes the demo's configuration, changed by jq's FILTER.
# Checks are fast unless the filter says otherwise.
configure() {
  jq '.check.interval = "300ms" | .check.timeout = "3s"' "$top/configs/demo-$1.json" |
    jq "${2:-.}" --args "${@:3}" >"$configuration.new"
  mv "$configuration.new" "$configuration"
}

# What the last agent has logged, and whether it has logged something.
agent_log() { tail -n "+$((log_begin + 1))" "$log"; }
logged() { grep -qE -- "$1" < <(agent_log); }
logged_times() { grep -cE -- "$1" < <(agent_log) || true; }
# has_times COUNT PATTERN: has it been logged so often?
has_times() { [[ $(logged_times "$2") == "$1" ]]; }
agent_says() {
  if is_gone "$agent"; then give_up "the agent has ended"; fi
  logged "$1"
}

# launch_agent: without waiting for it.
launch_agent() {
  touch "$log"
  log_begin=$(wc -l <"$log")
  start director "$XLVS" run -c "$configuration" >>"$log" 2>&1
  agent=$started
}

start_agent() {
  launch_agent
  await "the agent's first checks" agent_says ' ready: '
}

# end_agent SIGNAL: the exit status is the agent's.
end_agent() {
  local status=0 pid=$agent
  agent=
  # bash itself says on standard error that it was killed.
  {
    kill "-$1" "$pid"
    await "the agent's end" is_gone "$pid"
    wait "$pid" || status=$?
  } 2>/dev/null
  return "$status"
}

# field SERVICE ADDRESS FILTER: of a backend of `xlvs list`.
field() {
  xlvs list --json | jq -r --arg service "$1" --arg address "$2" \
    ".services[] | select(.name == \$service) | .backends[] | select(.address == \$address) | $3"
}

# state_is STATE ADDRESS...: is it the state of all backends of these addresses?
state_is() {
  local found address wanted=$1
  shift
  for address in "$@"; do
    found=$(xlvs list --json | jq -r --arg address "$address" \
      '[.services[].backends[] | select(.address == $address) | .state] | unique | join(" ")')
    [[ $found == "$wanted" ]] || return 1
  done
}

await_state() { await "$*" state_is "$@"; }

# verdict NAME: how many packets have had it.
verdict() { xlvs list --json | jq -r ".verdicts.$1.packets"; }

# What the kernel holds of the configuration, byte for byte.
dump() {
  printf 'map dump pinned /sys/fs/bpf/xlvs/%s\n' endpoints services tables backends |
    on director bpftool --json batch file -
}

pinned() { on director test -e /sys/fs/bpf/xlvs; }
has_vip() { [[ $(on director ip -brief address show) == *"$vip/"* ]]; }
has_program() { [[ $(on director ip link show "$1") == *" xdp"* ]]; }

# --- clients ----------------------------------------------------------------------------------

# ask URL COUNT: one connection after the other, each answer a line.
ask() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  on client bash -c '
    for ((i = 0; i < $2; i++)); do curl -gs -m 20 "$1" || echo "no answer"; done' - "$1" "$2"
}

# Answers -> the servers' numbers on one line: "1 2 1", f for the fallback page, x for none.
sequence() {
  sed -E 's/^backend([0-9]).*/\1/; s/^fallback.*/f/; s/^no answer/x/' | paste -sd ' '
}

# alternates SEQUENCE: is each another than the one before?
alternates() { [[ ! " $1 " =~ ' 1 1 ' && ! " $1 " =~ ' 2 2 ' && $1 =~ ^[12\ ]+$ ]]; }
count() { tr ' ' '\n' <<<"$2" | grep -c "$1" || true; }

# download URL FILE: in the background, about 1 MB a second until hurried; its process is $started.
# A client that reads slowly makes the server wait: so it lasts as long as a story wants.
download() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  start client bash -c '
    curl -gsS -N -m 200 "$1/download" 2>"$2.error" | {
      while [[ ! -e $2.hurry ]] && head -c 65536 >>"$2"; do sleep 0.05; done
      cat >>"$2"
    }
    exit "${PIPESTATUS[0]}"' - "$1" "$2"
  await "a download to begin" size_over "$2" 200000
}

# hurry PID FILE: the rest at full speed; the exit status is curl's.
hurry() {
  touch "$2.hurry"
  wait "$1"
}

right_bytes() {
  local sum
  sum=$(sha256sum <"$1")
  [[ ${sum%% *} == "$(cat "/run/xlvs-lab/$lab/web/download.sha256")" ]]
}

# size_over FILE BYTES
size_over() { (($(stat -c %s "$1" 2>/dev/null || echo 0) > $2)); }

# grows FILE: does it, from now on?
grows() { await "$1 to grow" size_over "$1" "$(stat -c %s "$1")"; }

# The servers that established flows are with, as numbers on one line.
established() {
  xlvs list --connections --json | jq -r '.[] | select(.state == "ESTABLISHED") | .backend' |
    sed -E "s/^($backend1|\[$backend1_6\]):.*/1/; s/^($backend2|\[$backend2_6\]):.*/2/" | paste -sd ' '
}

# The page that the checks ask a server for goes, and comes back; the server goes on.
break_page() { mv "/run/xlvs-lab/$lab/web/$1/html/index.html" "/run/xlvs-lab/$lab/web/$1/page"; }
mend_page() { mv "/run/xlvs-lab/$lab/web/$1/page" "/run/xlvs-lab/$lab/web/$1/html/index.html"; }

# capture HOST DEVICE FILE FILTER...: packets as text, in the background; its process is $started.
capture() {
  start "$1" tcpdump -i "$2" -Z root -nn -vv --immediate-mode -l "${@:4}" >"$3" 2>"$3.log"
  await "tcpdump on $1" grep -q '^tcpdump: listening' "$3.log"
}

# end_capture PID FILE COUNT: waits for that many packets.
end_capture() {
  await "$3 packets in a capture" has_packets "$2" "$3"
  kill -INT "$1"
  wait "$1" || true
}

# A packet begins at the margin with its time.
has_packets() { (($(grep -c '^[0-9]' "$1" || true) >= $2)); }

# --- UDP --------------------------------------------------------------------------------------

# udp_echo HOST ADDRESS PORT: answers with the host's name, from the address it was asked at.
udp_echo() {
  # shellcheck disable=SC2016 # perl's
  start "$1" perl -MIO::Socket::IP -e '$| = 1;
    my $socket = IO::Socket::IP->new(LocalHost => $ARGV[0], LocalPort => $ARGV[1],
      Proto => "udp", V6Only => 1) or die "$@\n";
    print "listening\n";
    while (defined(my $from = $socket->recv(my $text, 2048))) { $socket->send($ARGV[2], 0, $from) }
    ' "$2" "$3" "$1 $2" >"$work/udp-$1-$2"
  await "the UDP server on $1" grep -q listening "$work/udp-$1-$2"
}

# ask_udp ADDRESS PORT COUNT: each time from a new port.
ask_udp() {
  # shellcheck disable=SC2016 # perl's
  on client perl -MIO::Socket::IP -MIO::Select -e 'for (1 .. $ARGV[2]) {
    my $socket = IO::Socket::IP->new(PeerHost => $ARGV[0], PeerPort => $ARGV[1], Proto => "udp")
      or die "$@\n";
    $socket->send("who?");
    my $text = "";
    $socket->recv($text, 2048) if IO::Select->new($socket)->can_read(20);
    print $text || "no answer", "\n" }' "$1" "$2" "$3"
}

# --- begin and end ----------------------------------------------------------------------------

end() {
  local status=$?
  trap - EXIT
  trap '' INT TERM
  if ((status == 0)); then status=$failed; fi
  if ((status != 0)) && [[ -s $log ]]; then
    title "What the agent said"
    tail -n 60 "$log"
  fi
  lab down || status=1
  exit "$status"
}

story=$(basename "$0" .story)
top=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../..")
tools=$top/tools
XLVS=$(readlink -f "${XLVS:-$top/build/xlvs}")
lab=story-$story
# In the lab's folder: it goes when the lab goes.
work=/run/xlvs-lab/$lab/story
log=$work/agent.log configuration=$work/xlvs.json
agent='' started='' log_begin=0
export PATH=$PATH:/usr/sbin:/sbin LC_ALL=C

if [[ $EUID -ne 0 ]]; then
  command -v sudo >/dev/null || { echo "needs root, and there is no sudo"; exit 77; }
  exec sudo -- env XLVS="$XLVS" "$(readlink -f "$0")"
fi
[[ -x $XLVS ]] || { echo "there is no $XLVS"; exit 1; }
cd "$top" || exit
exec {lock}>"/run/lock/xlvs-$lab"
flock --wait 300 "$lock" || { echo "another run of this story does not end"; exit 1; }
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
