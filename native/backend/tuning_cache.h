// What tuning has found out, kept between processes: a flat JSON object of strings in the cache folder (GOOGLENET_CACHE,
// else $XDG_CACHE_HOME/googlenet, else ~/.cache/googlenet), a file for each backend, replaced whole. A file that is not one
// is as good as none, and so is a folder that cannot be written.
#pragma once
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "backend/backend.h"

namespace googlenet {

class TuningCache {
 public:
  /** `file`: its name in the cache folder. One for a backend and process, never destroyed: it must outlive exit(), as
   *  models may. */
  explicit TuningCache(std::string file) : file_(std::move(file)) {}

  /** Held while a key is looked up and, when it is missing, tried: two models time nothing at the same moment. */
  std::mutex& mutex() { return mutex_; }
  std::optional<std::string> find(const std::string& key);
  void remember(const std::string& key, const std::string& value);

 private:
  const std::string file_;
  std::mutex mutex_;
  bool read_ = false;
  std::map<std::string, std::string> entries_;
};

/** What the fastest way for a convolution or a fully connected layer depends on: `identity`, of the device and its
 *  libraries, then the step's direction, `precision` (empty: f32), shapes, pitches and what is fused. */
std::string tuning_key(const std::string& identity, const std::string& precision, const gn_step& step);

/** A remembered text begins with the name of what was chosen, then ", " and what there is to tell. */
inline std::string name_in(const std::string& value) { return value.substr(0, value.find(',')); }

/** Of {"key": "value", …}; empty when the text is anything else. */
std::map<std::string, std::string> parse_entries(const std::string& text);

}  // namespace googlenet
