#!/bin/sh
# Runs the cases of this bundle on a GPU: run.sh [memcheck|racecheck|initcheck|synccheck] [--device cuda:N] [--only TEXT].
# A word first runs them under compute-sanitizer's tool of that name. Exit code 0: all passed, 1: some failed, 2: wrong
# use, 3: no GPU, 9: the tool found something.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
case ${1:-} in
  memcheck | racecheck | initcheck | synccheck)
    tool=$1
    shift
    exec compute-sanitizer --tool "$tool" --error-exitcode 9 "$here/driver" "$here/cases" "$@"
    ;;
esac
exec "$here/driver" "$here/cases" "$@"
