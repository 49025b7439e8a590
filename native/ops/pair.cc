#include "ops/pair.h"

namespace googlenet {

std::optional<Pair> pair_of(const Row& first, const Row& second) {
  const bool ends_in_pool = first.op == GN_LRN && second.op == GN_POOL;
  if (!ends_in_pool && !(first.op == GN_POOL && second.op == GN_LRN)) return std::nullopt;
  const gn_attributes& lrn = (ends_in_pool ? first : second).attributes;
  Pair pair{ends_in_pool ? GN_LRN_POOL : GN_POOL_LRN, (ends_in_pool ? second : first).attributes};
  pair.attributes.lrn_region = lrn.lrn_region, pair.attributes.lrn_size = lrn.lrn_size;
  pair.attributes.lrn_alpha = lrn.lrn_alpha, pair.attributes.lrn_beta = lrn.lrn_beta;
  pair.attributes.lrn_k = lrn.lrn_k;
  return pair;
}

}  // namespace googlenet
