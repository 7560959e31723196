# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The web servers of tools/lab: one nginx a host, with a folder of its own below the lab's state.
# shellcheck disable=SC2154 # state, hosts, address: tools/lab, which reads this file

web_prefix() { echo "$state/web/$1"; }

web_runs() {
  local pid
  # In its namespace: so it is not a zombie, and no later process with the same number.
  pid=$(cat "$(web_prefix "$1")/nginx.pid" 2>/dev/null) &&
    [[ -n $pid && /proc/$pid/ns/net -ef /run/netns/$(namespace "$1") ]]
}

web_page() {
  case $1 in
    director) echo "fallback page" ;;
    backend*) echo "$1 ${address[$1]}" ;;
    *) echo "$1" ;;
  esac
}

web_configuration() {
  local path
  cat <<'CONF'
worker_processes 1;
pid nginx.pid;
events { worker_connections 4096; }
http {
  access_log off;
  default_type text/plain;
CONF
  for path in client_body proxy fastcgi uwsgi scgi; do echo "  ${path}_temp_path $path;"; done
  cat <<'CONF'
  server {
    listen 0.0.0.0:80 backlog=4096;
    listen [::]:80 ipv6only=on backlog=4096;
    listen 0.0.0.0:8000-8010;
    listen [::]:8000-8010 ipv6only=on;
    root html;
  }
}
CONF
}

# The same bytes on every server, so that a client can tell a damaged one.
web_download() {
  local root=$1/html file=$state/web/download
  if [[ ! -e $file.sha256 || $(stat -c %s "$file") != $((download << 20)) ]]; then
    head -c "${download}M" /dev/urandom >"$file"
    sha256sum <"$file" | cut -d ' ' -f 1 >"$file.sha256"
  fi
  ln -f "$file" "$file.sha256" "$root"
}

web_start() {
  local host=$1 prefix
  prefix=$(web_prefix "$host")
  if web_runs "$host"; then return; fi
  mkdir -p "$prefix/html"
  web_page "$host" >"$prefix/html/index.html"
  web_configuration >"$prefix/nginx.conf"
  if ((download)); then web_download "$prefix"; fi
  # It returns when it listens.
  on "$host" nginx -p "$prefix" -c nginx.conf -e error.log </dev/null ||
    fail "nginx on $host: $(cat "$prefix/error.log")"
}

# All of them: the workers of an nginx whose master was killed go on listening.
web_pids() {
  local pid
  for pid in $(pids_in "$1"); do
    if [[ $(cat "/proc/$pid/comm" 2>/dev/null) == nginx ]]; then echo "$pid"; fi
  done
}

web_stop() {
  local signal=$1 host=$2 pids tries
  for ((tries = 0; tries < 500; tries++)); do
    pids=$(web_pids "$host")
    [[ -n $pids ]] || return 0
    # shellcheck disable=SC2086 # a list of numbers
    if ((tries % 100 == 0)); then kill "-$signal" $pids 2>/dev/null || true; fi
    sleep 0.01
  done
  fail "nginx on $host does not end"
}

web() {
  local action=${1:-} download=0 signal=TERM host chosen=()
  shift || true
  while (($#)); do
    case $1 in
      --download)
        download=${2:-}
        [[ $download =~ ^[1-9][0-9]{0,3}$ ]] || fail "web: --download wants MiB, 1 to 9999" 2
        shift
        ;;
      *)
        is_host "$1" || fail "web: no host $1 (there are: ${hosts[*]})" 2
        chosen+=("$1")
        ;;
    esac
    shift
  done
  need_lab
  case $action in
    up)
      if ((${#chosen[@]} == 0)); then chosen=(backend1 backend2); fi
      for host in "${chosen[@]}"; do web_start "$host"; done
      ;;
    down | kill)
      if ((${#chosen[@]} == 0)); then chosen=("${hosts[@]}"); fi
      if [[ $action == kill ]]; then signal=KILL; fi
      for host in "${chosen[@]}"; do web_stop "$signal" "$host"; done
      ;;
    *) fail "web up, web down or web kill (see --help)" 2 ;;
  esac
}
