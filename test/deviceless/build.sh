#!/bin/sh
# Builds the CUDA backend for absent GPUs: the real cuDNN makes its plans, nothing is run. build.sh TOOLKIT CUDNN, the
# folders that scripts/build-cuda.mjs found; result in build/deviceless, with a libcuda.so.1 that knows every name and no
# device, since cuDNN loads what it has compiled before it tells the workspace.
set -eu
cd "$(dirname "$0")/../.."
toolkit=$1
cudnn=$2
out=build/deviceless
mkdir -p "$out/build/Release" "$out/driver"
flags="-std=c++20 -O1 -Wall -Wextra -Werror -fPIC -fvisibility=hidden -Inative -Itest/simulator"
flags="$flags -isystem $toolkit/include -isystem $cudnn/include"
objects=
for file in native/cuda/*.cc native/cuda/*.cu native/core/threads.cc native/core/cores.cc native/backend/tuning_cache.cc \
  test/simulator/runtime.cc test/simulator/streams.cc test/simulator/capture.cc test/deviceless/target.cc; do
  if [ "$file" = native/cuda/target.cc ]; then continue; fi
  object=$out/$(basename "$file").o
  objects="$objects $object"
  case $file in *.cu) bodies="-include simulated_launch.h" ;; *) bodies= ;; esac
  ${CXX:-g++} $flags $bodies -x c++ -c "$file" -o "$object"
done
${CXX:-g++} -shared $objects -Wl,-z,defs -o "$out/build/Release/googlenet_cuda.so"
cp -f build/Release/googlenet.node "$out/build/Release/"

# Names that take their result as first argument must give one; everything else succeeds or has no device.
grep -o '\bcu[A-Z][A-Za-z0-9_]*' "$toolkit/include/cuda.h" | sort -u | while read -r name; do
  case $name in
    cuDriverGetVersion) echo "int $name(int* version) { *version = 13000; return 0; }" ;;
    cuLibraryLoadData | cuLibraryGetKernel | cuLibraryGetModule | cuKernelGetFunction | cuModuleLoadData* | cuModuleGetFunction)
      echo "int $name(void** result) { *result = (void*)16; return 0; }" ;;
    cuLibrary* | cuKernel* | cuModule* | cuFunc*) echo "int $name(void) { return 0; }" ;;
    *) echo "int $name(void) { return 100; }" ;;
  esac
done > "$out/driver.c"
${CC:-gcc} -w -shared -fPIC -Wl,-soname,libcuda.so.1 "$out/driver.c" -o "$out/driver/libcuda.so.1"
