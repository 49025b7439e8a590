// The parameters of one model in this process: weights, momentum, squares and average as flat arenas, in shards.
// Whoever touches them takes a turn. Turns are numbered as they are asked for and pass through the shards in that
// order, one close behind the other. So every shard sees the same sequence of updates, a fetched copy is exactly one
// version, staleness is the difference of two counters, and a list of pushes is enough to repeat a run.
#pragma once
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "core/device.h"
#include "core/memory.h"
#include "optim/average.h"
#include "train/store.h"

namespace googlenet {

class LocalStore : public Store {
 public:
  LocalStore(std::shared_ptr<Device> device, int64_t floats);

  uint64_t fetch(gn_device* by, float* weights) override;
  Pushed push(gn_device* by, const Push& push) override;
  uint64_t flush(gn_device* by, const Push& push) override;

  int64_t floats() const { return floats_; }
  /** Bytes of all arenas. */
  int64_t bytes() const { return bytes_.load(); }

 private:
  class Turn;

 public:
  /** A turn on all shards at once, for the model itself: everything below is only valid under one. */
  class Hold {
   public:
    explicit Hold(LocalStore& store);
    ~Hold();
    Hold(const Hold&) = delete;

   private:
    std::unique_ptr<Turn> turn_;
  };
  /** Readers beside each other: while one is there the weights, their address and contents() do not change. Taken in
   *  the order of turns, so that readers without end keep nobody waiting. */
  class Reading {
   public:
    explicit Reading(LocalStore& store);
    ~Reading();
    Reading(const Reading&) = delete;

   private:
    LocalStore& store_;
  };
  DeviceMemory& weights() { return weights_; }
  DeviceMemory& momentum() { return arena(momentum_); }
  /** Filled with `initial` at its first use. */
  DeviceMemory& squares(float initial = 0);
  /** The weights themselves at its first use. */
  DeviceMemory& average();
  /** Starts, changes or ends the averaging; `updates`: how many have been made before. */
  void configure(const AverageOptions& average, uint64_t updates);
  /** Weights and average change places. */
  void swap_average();
  /** Momentum, squares, average and gathered gradients end; the weights count as new. */
  void forget_state();
  /** What the next update asks of the device, for a model that tells its device itself; once made it is counted. */
  std::vector<gn_update> next_update(const Push& push);
  void count_update();
  /** Counts every change of the weights, whoever made it: weight copies of kernels follow it. */
  uint64_t contents() const { return contents_; }
  void changed() { contents_++; }
  uint64_t updates() const { return updates_; }

 private:
  struct Shard {
    int64_t first = 0, last = 0;  // floats
    std::mutex mutex;
    std::condition_variable next;
    uint64_t turn = 0;  // whose it is
  };
  /** Whose turn it is waits here before it changes anything. */
  void await_readers();
  /** What the first shard decides for all. */
  struct Verdict {
    Pushed result;
    bool gathers = false, clears = false;  // adds the gradient to the gathered ones, as the first of a group
    int group = 1;                         // gradients that were gathered
    const float* gradients = nullptr;      // to update with; null: the gathered ones
    float gradient_scale = 1, rate_scale = 1;
    uint64_t number = 0;  // of the update, from 1; 0: none
  };

  DeviceMemory& arena(DeviceMemory& memory);
  void ensure(const Push& push);
  /** Under a Hold. */
  void allocate(const Push& push, int needed);
  /** Arenas, and the share that update number `number`, from 1, has in the average. */
  void bind(gn_update& update, uint64_t number) const;
  /** Takes `decide`'s verdict on the first shard through all of them. */
  template <class Decide>
  Pushed pass(gn_device* by, const Push& push, const Decide& decide);
  Verdict judge(const Push& push);
  void complete_group(Verdict& verdict);
  void apply(gn_device* by, const Shard& shard, const Push& push, const Verdict& verdict);

  std::shared_ptr<Device> device_;
  const int64_t floats_;
  DeviceMemory weights_, momentum_, squares_, average_, gathered_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::mutex reading_;
  std::condition_variable read_;
  int readers_ = 0;  // under reading_
  std::atomic<uint64_t> next_turn_{0};
  std::atomic<int64_t> bytes_{0};
  std::atomic<int> ready_{0};  // bits: arenas that exist
  // Below: touched by the first shard's turn, or under a Hold.
  AverageOptions averaging_;
  uint64_t pushes_ = 0, updates_ = 0, contents_ = 1;
  int gathered_count_ = 0;
};

}  // namespace googlenet
