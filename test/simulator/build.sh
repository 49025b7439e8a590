#!/bin/sh
# Builds the CUDA backend for the simulated device, without CUDA: build/simulator/build/Release holds the addon and a
# googlenet_cuda.so of the same sources as the real one, build/simulator/cudnn a simulated cuDNN.
set -eu
cd "$(dirname "$0")/../.."
out=build/simulator
mkdir -p "$out/build/Release" "$out/cudnn"
if command -v flock > /dev/null && [ -z "${GOOGLENET_LOCKED:-}" ]; then  # test files build side by side
  GOOGLENET_LOCKED=1 exec flock "$out/lock" sh test/simulator/build.sh
fi
cxx=${CXX:-g++}
flags="-std=c++20 -O2 -g -Wall -Wextra -Werror -fPIC -fvisibility=hidden -Inative -Itest/simulator"
# A GPU refuses packs that are not aligned to their size, which the host would read all the same.
sanitize="-fsanitize=alignment,bounds-strict${SANITIZE:+,$SANITIZE} -fno-sanitize-recover=alignment,bounds-strict"
flags="$flags -isystem test/simulator/include $sanitize"
newest=$(find native test/simulator \( -name '*.h' -o -name '*.def' -o -name build.sh \) -newer "$out/stamp" 2>/dev/null || echo all)
objects=
stale=
compile() { # source, flags
  object=$out/$(basename "$1").o
  objects="$objects $object"
  if [ -z "$newest" ] && [ "$object" -nt "$1" ]; then return; fi
  $cxx $flags $2 -x c++ -c "$1" -o "$object"
  stale=yes
}
link() { # library, options: of $objects, replaced as a whole, since a test may be loading it
  if [ -n "$stale" ] || [ ! -e "$1" ]; then
    $cxx -shared $objects -Wl,-z,defs $sanitize ${2:-} -o "$1.new"
    mv "$1.new" "$1"
  fi
}
for file in native/cuda/*.cu; do compile "$file" "-include simulated_launch.h"; done
for file in native/cuda/*.cc native/core/threads.cc native/core/cores.cc native/backend/tuning_cache.cc \
  test/simulator/runtime.cc test/simulator/streams.cc test/simulator/capture.cc; do
  compile "$file" ""
done
link "$out/build/Release/googlenet_cuda.so"

objects= stale=
for name in runtime streams capture refusals; do compile "test/simulator/$name.cc" ""; done
if [ ! -e "$out/refusals" ] || [ -n "$(find $objects -newer "$out/refusals")" ]; then
  $cxx $objects $sanitize -pthread -o "$out/refusals"
fi
objects= stale=
for file in test/simulator/pinned.cc test/simulator/runtime.cc test/simulator/streams.cc test/simulator/capture.cc \
  native/core/threads.cc native/core/cores.cc; do
  compile "$file" ""
done
if [ ! -e "$out/pinned" ] || [ -n "$(find $objects -newer "$out/pinned")" ]; then
  $cxx $objects $sanitize -pthread -o "$out/pinned"
fi
objects= stale=
compile test/simulator/packs.cc ""
if [ ! -e "$out/packs" ] || [ -n "$(find $objects -newer "$out/packs")" ]; then
  $cxx $objects $sanitize -o "$out/packs"
fi
objects= stale=
for file in augment colour photo render taps; do compile "native/image/$file.cc" ""; done
compile test/simulator/photos.cc ""
if [ ! -e "$out/photos" ] || [ -n "$(find $objects -newer "$out/photos")" ]; then
  $cxx $objects -L "$out/build/Release" -l:googlenet_cuda.so -Wl,-rpath,'$ORIGIN/build/Release' \
    $sanitize -o "$out/photos"
fi
objects= stale=
# Sums may be reordered, for speed; NaN must stay one, since poison is.
compile test/simulator/convolution.cc "-O3 -fassociative-math -fno-signed-zeros -fno-trapping-math -fno-sanitize=all"
for name in graph cudnn; do compile "test/simulator/$name.cc" ""; done
link "$out/cudnn/libcudnn.so.9" -Wl,-soname,libcudnn.so.9
objects= stale=
compile test/simulator/part.cc ""
for name in cudnn_graph.so.9 cudnn_ops.so.9 cudnn_cnn.so.9 cudnn_engines_precompiled.so.9 \
  cudnn_engines_runtime_compiled.so.9 cudnn_heuristic.so.9 nvrtc.so.13 cublasLt.so.13; do
  link "$out/cudnn/lib$name" "-Wl,-soname,lib$name"
done
addon=$out/build/Release/googlenet.node
if [ ! -e "$addon" ] || [ build/Release/googlenet.node -nt "$addon" ]; then
  cp build/Release/googlenet.node "$addon.new"
  mv "$addon.new" "$addon"
fi
touch "$out/stamp"
