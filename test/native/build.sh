#!/bin/sh
# Builds the native tests without Node, oneDNN or CMake, and runs them: once on every instruction set of this processor,
# and once with AVX-512's kernels as generic vectors of 16 floats, so that blocks of 16 channels are run on any processor.
#   test/native/build.sh                  checks; a name (threads, pool, lrn, small, flat, store, lanes, winograd, bf16, tiles, bytes, amx) runs that group alone
#   SANITIZE=thread test/native/build.sh  the same under a sanitizer (thread, address, undefined)
#   test/native/build.sh speed            timings
#   ARCH=aarch64 CXX=aarch64-linux-gnu-g++ RUN='qemu-aarch64 -L /usr/aarch64-linux-gnu' test/native/build.sh
#                                         for another processor, emulated
set -eu
cd "$(dirname "$0")/../.."
arch=${ARCH:-$(uname -m)}
out=build/native-tests${SANITIZE:+-$SANITIZE}${ARCH:+-$ARCH}
mkdir -p "$out"
flags="-std=c++20 -O2 -g -Wall -Wextra -Werror -Inative -Itest/native -pthread ${SANITIZE:+-fsanitize=$SANITIZE}"
cxx=${CXX:-g++}
sets=portable wide= bf16=portable_bf16 amx=
if [ "$arch" = x86_64 ]; then
  bf16="portable_bf16 avx2_bf16 avx2_vnni avx512_vnni avx512_bf16" wide=wide amx=amx_gradient
  sets="portable avx2 avx512"
fi
if [ -n "${SANITIZE:-}" ]; then wide=; fi  # the same loops as the others
newest=$(find native/cpu native/core native/backend native/train native/optim native/ops test/native -name '*.h' -newer "$out/stamp" 2>/dev/null || echo all)
objects=
: >"$out/commands"
compile() { # source, object, flags; done when all that is to be compiled is known, side by side
  objects="$objects $2"
  if [ -n "$newest" ] || [ "$1" -nt "$2" ]; then echo "$cxx $flags $3 -c $1 -o $2" >>"$out/commands"; fi
}
kernels() { # instruction set
  isa=-DGOOGLENET_SIMD=$1
  case $1 in
    wide) isa="-DGOOGLENET_SIMD=avx512 -DGOOGLENET_VECTOR='\"vector-wide.h\"' -Wno-psabi" ;;
    avx2*) isa="$isa -mavx2 -mfma" ;;
    avx512*) isa="$isa -mavx512f -mavx512cd -mavx512bw -mavx512dq -mavx512vl -mfma" ;;
  esac
  case $1 in
    avx2_vnni) isa="$isa -mavxvnni" ;;
    avx512_vnni) isa="$isa -mavx512vnni" ;;
    avx512_bf16) isa="$isa -mavx512bf16 -mamx-tile -mamx-bf16" ;;
  esac
  for file in native/cpu/simd/*.cc; do
    case $1/$(basename "$file") in
      avx2_vnni/tile-*) ;;
      avx2_vnni/*) continue ;;
      *_*/winograd-* | *_*/update.cc | *_*/flat.cc | *_*/table.cc | avx512_bf16/tile-products.cc) continue ;;
      avx512_bf16/*) ;;
      */amx-*) continue ;;
      *_*) ;;
      */tile-* | */bytes.cc) continue ;;
    esac
    compile "$file" "$out/$1-$(basename "$file" .cc).o" "-O3 -ffp-contract=fast $isa"
  done
}
for set in $sets $bf16; do kernels "$set"; done
simd=$objects objects=
if [ -n "$wide" ]; then for set in portable avx2 wide $bf16; do kernels "$set"; done; fi
simd_wide=$objects objects=
for name in isa cache simd pool pool_bytes pool_windows lrn dropout softmax gradient optim transfer winograd_data \
  winograd_gradient winograd_tiles winograd_weights tiles tiles_data tiles_plan tiles_weights $amx; do
  compile "native/cpu/$name.cc" "$out/cpu-$name.o" ""
done
for name in threads cores pages; do compile "native/core/$name.cc" "$out/$name.o" ""; done
common=$objects objects=
for name in graph layout plan plan_backward plan_pairs plan_pieces packing lanes; do compile "native/core/$name.cc" "$out/$name.o" ""; done
for file in native/ops/*.cc; do compile "$file" "$out/ops-$(basename "$file" .cc).o" ""; done
for file in native/train/local_store.cc native/optim/optimizer.cc native/backend/registry.cc test/native/*_test.cc; do
  case $arch/$file in x86_64/*) ;; */amx_gradient_test.cc) continue ;; esac
  compile "$file" "$out/$(basename "$file" .cc).o" ""
done
tests=$objects objects=
compile test/native/speed.cc "$out/speed.o" ""
sort -u "$out/commands" | tr '\n' '\0' | xargs -0 -r -P "$(getconf _NPROCESSORS_ONLN)" -n 1 sh -c
$cxx $flags $tests $simd $common -o "$out/kernels_test"
if [ -n "$wide" ]; then $cxx $flags $tests $simd_wide $common -o "$out/kernels_test_wide"; fi
$cxx $flags "$out/speed.o" $simd $common -o "$out/speed"
touch "$out/stamp"
if [ "${1:-}" = speed ]; then exec ${RUN:-} "$out/speed"; fi
if [ -n "$wide" ]; then GOOGLENET_TEST_WIDE=1 "$out/kernels_test_wide" "$@"; fi
exec ${RUN:-} "$out/kernels_test" "$@"
