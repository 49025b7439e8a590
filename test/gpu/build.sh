#!/bin/sh
# Builds the driver without Node, CUDA or CMake: build.sh FOLDER puts it there; googlenet_cuda.so must lie beside it when
# it runs. Only the engine's core is in it, so a C++20 compiler is enough.
set -eu
folder=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/../.."
if command -v flock > /dev/null && [ -z "${GOOGLENET_LOCKED:-}" ]; then  # test files build side by side
  GOOGLENET_LOCKED=1 exec flock "$folder/lock" sh test/gpu/build.sh "$folder"
fi
objects=$folder/driver-objects
mkdir -p "$objects"
newest=$(find native test/gpu \( -name '*.h' -o -name '*.def' -o -name build.sh \) -newer "$folder/driver" 2>/dev/null || echo all)
stale=
for file in native/core/*.cc native/ops/*.cc native/optim/*.cc native/train/local_store.cc native/backend/*.cc test/gpu/*.cc; do
  object=$objects/$(basename "$file").o
  if [ -n "$newest" ] || [ "$file" -nt "$object" ]; then
    ${CXX:-g++} -std=c++20 -O2 -Wall -Wextra -Werror -Inative -Itest/gpu -pthread -c "$file" -o "$object"
    stale=yes
  fi
done
if [ -n "$stale" ] || [ ! -e "$folder/driver" ]; then
  ${CXX:-g++} "$objects"/*.o -pthread -ldl -static-libstdc++ -static-libgcc -o "$folder/driver"
fi
