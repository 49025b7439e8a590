// What tuning has found out, kept between processes: a flat JSON object of strings in the cache folder (GOOGLENET_CACHE,
// else $XDG_CACHE_HOME/googlenet, else ~/.cache/googlenet), replaced whole. A file that is not one is as good as none,
// and so is a folder that cannot be written.
#pragma once
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace googlenet::cuda {

class TuningCache {
 public:
  /** The one of this process. */
  static TuningCache& instance();

  /** Held while a key is looked up and, when it is missing, tried: two models time nothing at the same moment. */
  std::mutex& mutex() { return mutex_; }
  std::optional<std::string> find(const std::string& key);
  void remember(const std::string& key, const std::string& value);

 private:
  std::mutex mutex_;
  bool read_ = false;
  std::map<std::string, std::string> entries_;
};

/** Of {"key": "value", …}; empty when the text is anything else. */
std::map<std::string, std::string> parse_entries(const std::string& text);

}  // namespace googlenet::cuda
