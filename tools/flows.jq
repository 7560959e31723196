# SPDX-License-Identifier: MIT
#
# The table of flows as people read it, out of the kernel's own maps: docs/flows.md says how.

def digit: "0123456789abcdef"[.:. + 1];
def hex: (. / 16 | floor | digit) + (. % 16 | digit);
def number: ascii_downcase | ltrimstr("0x") | explode
  | reduce .[] as $digit (0; . * 16 + if $digit > 96 then $digit - 87 else $digit - 48 end);
# A field of struct settings (bpf/types.h), which bpftool shows as bytes.
def setting($offset): $settings[0][0].value[$offset:$offset + 4] | map(number)
  | .[0] + .[1] * 256 + .[2] * 65536 + .[3] * 16777216;
# IPv4 is held as ::ffff:a.b.c.d; IPv6 is written at full length.
def address: .[""].bytes | if .[:12] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255]
  then .[12:] | map(tostring) | join(".")
  else . as $bytes | "[" + ([range(0; 16; 2) | ($bytes[.] | hex) + ($bytes[. + 1] | hex)] | join(":")) + "]"
  end;

setting(48) as $second | setting(56) as $swept
| ($backends[0] | map({key: (.formatted.key | tostring), value: .formatted.value.address}) | from_entries)
  as $backend
| .[].formatted | select(.key.direction == 0)
| (($swept - .value.last_seen + 4294967296) % 4294967296) as $idle
| {client: "\(.key.client | address):\(.key.client_port)",
   vip: "\(.key.server | address):\(.key.server_port)",
   backend: $backend[.value.backend | tostring],
   state: .value.state,
   idle: (if $idle > 2147483647 then 0 else $idle / $second | floor end)}
