#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Frames that are lost after their verdict: the data plane has forwarded them, the driver could not
# send them, and xlvs says so.
set -euo pipefail
# shellcheck source=tests/lab/story.bash
. "$(dirname "$0")/story.bash"

readonly counter='rx_queue_[0-9]+_xdp_tx_errors' # veth's, of frames by XDP_TX
lost() {
  xlvs list --json | jq --arg name "$counter" \
    '[.losses.eth0 | to_entries[] | select(.key | test($name)) | .value] | add'
}
knock() { on client curl -s -m 1 "http://$vip/" >/dev/null || true; }

title "A veth whose peer takes no frames of XDP loses them"
network --dr
servers
configure dr '.services[].check = {type: "none"}'
start_agent
await_state up "$backend1" "$backend2"
equal "requests" "$(ask "http://$vip/" 3 | sequence)" "1 2 2"
equal "lost" "$(lost)" 0
on bridge ip link set director xdpdrv off
on bridge ethtool -K director gro off
forwarded=$(verdict FORWARD_DR)
knock
lost_is() { (($(lost) > 0)); }
await "losses" lost_is
within "lost of $(($(verdict FORWARD_DR) - forwarded)) that were forwarded" "$(lost)" \
  $(($(verdict FORWARD_DR) - forwarded)) $(($(verdict FORWARD_DR) - forwarded))
xlvs list --drops | sed -n '/^Lost/,$p' | tee "$work/drops"
check "list --drops has it" grep -qE "^eth0 +$counter +[1-9]" "$work/drops"
check "and what the kernel drops on the way out" grep -qE "^eth0 +tx_dropped +[0-9]" "$work/drops"
check "the agent ends well" end_agent TERM
