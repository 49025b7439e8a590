#!/bin/sh
# Runs the cases of this bundle on a GPU: run.sh [memcheck|racecheck|initcheck|synccheck] [--device cuda:N] [--only TEXT].
# A word first runs them under compute-sanitizer's tool of that name. Exit code 0: all passed, 1: some failed, 2: wrong
# use, 3: no GPU, 9: the tool found something.
# With Node in the bundle also run.sh test [options of Vitest] and run.sh bench [options of bench/gpu.mjs].
set -eu
here=$(cd "$(dirname "$0")" && pwd)
case ${1:-} in
  test | bench)
    if [ ! -x "$here/node" ]; then
      echo "run.sh: there is no Node in this bundle; make it with: npm run bundle:gpu -- --node" >&2
      exit 2
    fi
    work=$1
    shift
    cd "$here/package"
    if [ "$work" = bench ]; then exec "$here/node" bench/gpu.mjs "$@"; fi
    exec "$here/node" node_modules/vitest/vitest.mjs run --typecheck.enabled=false test/gpu "$@"
    ;;
  memcheck | racecheck | initcheck | synccheck)
    tool=$1
    shift
    exec compute-sanitizer --tool "$tool" --error-exitcode 9 "$here/driver" "$here/cases" "$@"
    ;;
esac
exec "$here/driver" "$here/cases" "$@"
