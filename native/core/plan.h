// The plan of one run: steps in order, forward and backward, with every tensor's place in one arena. Made from the
// graph and its physical layout for a batch size and a phase; knows nothing of the device beyond its geometry.
#pragma once
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "core/layout.h"

namespace googlenet {

struct PlanRequest {
  bool training = false;
  int batch = 1;
  /** Nodes whose values must survive to the end of the run; keep_all: every node. */
  std::vector<int> outputs;
  bool keep_all = false;
  /** Inference: images that go through the first layers at a time; 0: the whole batch. */
  int piece = 0;
  /** Training: blobs nobody reads whose gradient the caller gives; inputs whose gradient is wanted. */
  std::vector<int> seeds, input_gradients;
  bool operator==(const PlanRequest&) const = default;
};

class Plan {
 public:
  Plan(const Graph& graph, const Layout& layout, PlanRequest request);
  Plan(const Plan&) = delete;

  const PlanRequest request;
  std::vector<gn_step> forward, backward;
  int64_t arena_bytes = 0;
  /** Active loss nodes; losses[k] writes results[2k] (mean loss) and results[2k + 1] (right answers). */
  std::vector<int> losses;

  gn_tensor value(int node) const;
  /** arena == GN_NONE where no gradient is computed. */
  gn_tensor gradient(int node) const;
  /** Multiply-accumulates of a step for the whole batch. */
  int64_t macs(const gn_step& step) const;

 private:
  struct Storage {  // a buffer of the arena and the steps between which it is in use
    int64_t bytes = 0, offset = 0;
    int images = 0;
    int first = -1, last = -1;
  };
  /** Calls visit with each tensor of a step. */
  template <class Step, class Visit>
  static void each_tensor(Step& step, const Visit& visit) {
    for (auto* t : {&step.src, &step.dst, &step.diff_src, &step.diff_dst, &step.mask, &step.workspace, &step.middle})
      visit(*t);
  }
  void plan_forward();
  int units_in_pieces() const;
  void plan_pieces(int units);
  void plan_unit(const std::vector<int>& unit, int first_image, int images);
  void make_storage(const std::vector<int>& unit, int images);
  void find_pairs();
  const std::vector<int>& output_of(const std::vector<int>& unit) const;
  bool is_second(int node) const;
  bool keeps_middle(const std::vector<int>& unit) const;
  std::vector<int> readers(int node) const;
  bool kept(int node) const;
  void plan_backward();
  void find_gradients();
  void complete(int node);
  void backward_data(const std::vector<int>& unit, int source, bool accumulate, gn_tensor diff_src, bool mask);
  void backward_weights(const std::vector<int>& unit);
  bool wants_mask(int node) const;
  gn_step make_step(gn_op op, gn_direction direction, const std::vector<int>& unit);
  gn_step make_step(gn_direction direction, const std::vector<int>& unit);
  gn_tensor view(const std::vector<int>& unit, const std::vector<int>& storage) const;
  static int64_t bytes_of(const Buffer& buffer, gn_type type, int images);
  gn_tensor gradient_view(const std::vector<int>& unit);
  int new_storage(int64_t bytes, int images = 0);
  void record(std::vector<gn_step>& steps, const gn_step& step);
  void touch(const gn_tensor& tensor, int at);
  void pack();
  void resolve(gn_tensor& tensor, int first_image) const;

  const Graph& graph_;
  const Layout& layout_;
  std::vector<Storage> storage_;
  // By buffer of the layout: the storage of its values and of their gradients, -1 = none. Until pack() has run a
  // gn_tensor.offset holds such a number.
  std::vector<int> values_, gradients_;
  std::vector<int> workspaces_;            // by node
  std::vector<char> wanted_, reached_;     // by node: a gradient is needed, can be had
  std::vector<char> masked_;               // by node: the ReLU's mask has been applied to its gradient
  std::vector<std::vector<int>> unit_of_;  // by node
  std::vector<int> seconds_;               // by node: its reader that is one step with it, or -1
  std::vector<int> first_images_;          // by forward step: of the images it works on
  std::deque<std::string> names_;
  bool packed_ = false;
};

/** Offsets for intervals that must not overlap in memory while both are alive; returns the bytes needed. */
struct Interval {
  int64_t bytes;
  int first, last;
};
int64_t pack_intervals(const std::vector<Interval>& intervals, int64_t alignment, std::vector<int64_t>& offsets);

}  // namespace googlenet
