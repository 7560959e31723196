# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# For the scripts beside: goes to the top of the tree, and lists its files.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export PATH=$PATH:/usr/sbin:/sbin

# files PATTERN...: what git has or would add, as long as it exists. Root may look at a tree of
# somebody else's (tests run through sudo), which git refuses unless told.
files() {
  local file
  git -c safe.directory='*' ls-files --cached --others --exclude-standard -- "$@" |
    while IFS= read -r file; do
      if [[ -e $file ]]; then printf '%s\n' "$file"; fi
    done
}

# One line for each finding on standard output; the exit status is the verdict.
verdict() {
  local findings
  findings=$(cat)
  if [[ -n $findings ]]; then
    printf '%s\n' "$findings"
    return 1
  fi
}
