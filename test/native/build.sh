#!/bin/sh
# Builds the native tests without Node, oneDNN or CMake, and runs them.
#   test/native/build.sh                  checks; a name (threads, pool, lrn, small, flat, winograd) runs that group alone
#   SANITIZE=thread test/native/build.sh  the same under a sanitizer (thread, address, undefined)
#   test/native/build.sh speed            timings
set -eu
cd "$(dirname "$0")/../.."
out=build/native-tests${SANITIZE:+-$SANITIZE}
mkdir -p "$out"
flags="-std=c++20 -O2 -g -Wall -Wextra -Werror -Inative -Itest/native -pthread ${SANITIZE:+-fsanitize=$SANITIZE}"
cxx=${CXX:-g++}
sets=portable
if [ "$(uname -m)" = x86_64 ]; then sets="portable avx2 avx512"; fi
objects=
newest=$(find native/cpu native/core/*.h native/backend test/native -name '*.h' -newer "$out/stamp" 2>/dev/null || echo all)
compile() { # source, object, flags
  objects="$objects $2"
  if [ -n "$newest" ] || [ "$1" -nt "$2" ]; then $cxx $flags $3 -c "$1" -o "$2"; fi
}
for set in $sets; do
  case $set in
    avx2) isa="-mavx2 -mfma" ;;
    avx512) isa="-mavx512f -mavx512cd -mavx512bw -mavx512dq -mavx512vl -mfma" ;;
    *) isa= ;;
  esac
  for file in native/cpu/simd/*.cc; do
    compile "$file" "$out/$set-$(basename "$file" .cc).o" "-O3 -ffp-contract=fast -DGOOGLENET_SIMD=$set $isa"
  done
done
for name in isa simd pool lrn dropout softmax gradient optim transfer winograd_data winograd_gradient winograd_tiles winograd_weights; do
  compile "native/cpu/$name.cc" "$out/cpu-$name.o" ""
done
for name in threads cores; do compile "native/core/$name.cc" "$out/$name.o" ""; done
library=$objects
objects=
for file in test/native/*_test.cc; do compile "$file" "$out/$(basename "$file" .cc).o" ""; done
$cxx $flags $objects $library -o "$out/kernels_test"
objects=
compile test/native/speed.cc "$out/speed.o" ""
$cxx $flags $objects $library -o "$out/speed"
touch "$out/stamp"
if [ "${1:-}" = speed ]; then exec "$out/speed"; fi
exec "$out/kernels_test" "$@"
