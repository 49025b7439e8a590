// Bytes through pinned memory to the simulated device and back: of all lengths, copied by one thread and by several, by
// two streams at once; and when the threads that copy come and go. Prints what is wrong, or nothing.
#include "cuda/pinned.h"

#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

using namespace googlenet::cuda;

namespace {

constexpr int64_t kLong = 5 << 20;  // more than a slot; three slots are 12 MiB

void expect(bool right, const std::string& what) {
  if (!right) std::printf("%s\n", what.c_str());
}

std::vector<unsigned char> noise(int64_t bytes, uint32_t seed) {
  std::vector<unsigned char> values(static_cast<size_t>(bytes));
  for (auto& value : values) value = static_cast<unsigned char>((seed = seed * 1664525 + 1013904223) >> 24);
  return values;
}

long threads_alive() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), std::filesystem::directory_iterator());
}

void there_and_back(int threads, uint32_t seed) {
  const Stream stream;
  Pinned pinned(stream, threads);
  Memory memory;
  for (const int64_t bytes : {int64_t(1), int64_t(12), int64_t(1 << 20), int64_t(4 << 20), kLong + 7, 3 * kLong + 1}) {
    char* const device = static_cast<char*>(memory.at_least(bytes + 3)) + 3;
    std::vector<unsigned char> sent = noise(bytes + 1, seed), received(size_t(bytes) + 2, 0);
    const std::vector<unsigned char> expected(sent.begin() + 1, sent.end());
    pinned.send(device, sent.data() + 1, bytes);
    std::fill(sent.begin(), sent.end(), 0);  // it has been read
    pinned.receive(received.data() + 1, device, bytes);
    const bool whole = std::equal(expected.begin(), expected.end(), received.begin() + 1);
    expect(whole && received.front() == 0 && received.back() == 0,
           std::to_string(bytes) + " bytes by " + std::to_string(threads) + " threads are not what was sent");
  }
}

void come_and_go() {
  const long before = threads_alive();
  {
    const Stream stream;
    Pinned first(stream, 4), second(stream, 4);
    Memory memory;
    const auto host = noise(kLong, 1);
    first.send(memory.at_least(kLong), host.data(), 1000);
    expect(threads_alive() == before, "threads were started for a thousand bytes");
    first.send(memory.at_least(kLong), host.data(), kLong);
    second.send(memory.at_least(kLong), host.data(), kLong);
    expect(threads_alive() == before + 3, "a long tensor is not copied by three threads beside its own, shared by all");
  }
  expect(threads_alive() == before, "threads that copied outlive the last who asked them");
}

}  // namespace

int main() {
  for (const int threads : {1, 2, 8}) there_and_back(threads, uint32_t(threads));
  std::thread other([] { there_and_back(4, 7); });
  there_and_back(4, 9);
  other.join();
  come_and_go();
  expect(copying_threads() >= 1 && copying_threads() <= 8, "neither none nor more than eight threads copy");
}
