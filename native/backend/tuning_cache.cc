#include "backend/tuning_cache.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace googlenet {
namespace {

namespace fs = std::filesystem;
using Entries = std::map<std::string, std::string>;

constexpr size_t kMost = 16 << 20;  // bytes of a file that is read

fs::path path_of(const std::string& file) {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return fs::path(value ? value : "");
  };
  fs::path folder = variable("GOOGLENET_CACHE");
  if (folder.empty() && !variable("XDG_CACHE_HOME").empty()) folder = variable("XDG_CACHE_HOME") / "googlenet";
  if (folder.empty() && !variable("HOME").empty()) folder = variable("HOME") / ".cache" / "googlenet";
  return folder.empty() ? folder : folder / file;
}

Entries read(const fs::path& file) {
  std::error_code error;
  const auto size = fs::file_size(file, error);
  if (error || size > kMost) return {};
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return parse_entries(text.str());
}

// Keys and values are our own: printable ASCII without quotes and backslashes, but names of cards and processors come from outside.
std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return result + '"';
}

void write(const fs::path& file, const Entries& entries) {
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  const fs::path partial = file.string() + "." + std::to_string(getpid());
  bool whole;
  {
    std::ofstream stream(partial, std::ios::binary);
    const char* between = "{\n";
    for (const auto& [key, value] : entries) {
      stream << between << quoted(key) << ": " << quoted(value);
      between = ",\n";
    }
    stream << "\n}\n";
    stream.close();
    whole = !stream.fail();
  }
  if (whole) fs::rename(partial, file, error);
  if (!whole || error) fs::remove(partial, error);
}

/** Reads a text from left to right; what is asked for and not there ends everything. */
struct Reader {
  const std::string& text;
  size_t at = 0;
  bool sound = true;

  char next() {
    while (at < text.size() && std::isspace(static_cast<unsigned char>(text[at]))) at++;
    return at < text.size() ? text[at] : '\0';
  }
  bool take(char wanted) {
    if (next() != wanted) return false;
    at++;
    return true;
  }
  void demand(char wanted) { sound = sound && take(wanted); }
  std::string string() {
    demand('"');
    std::string result;
    while (sound && at < text.size() && text[at] != '"') {
      if (text[at] == '\\' && at + 1 < text.size()) at++;
      result += text[at++];
    }
    demand('"');
    return result;
  }
};

}  // namespace

Entries parse_entries(const std::string& text) {
  Reader reader{text};
  Entries entries;
  reader.demand('{');
  while (reader.sound && reader.next() == '"') {
    const std::string key = reader.string();
    reader.demand(':');
    entries[key] = reader.string();
    if (!reader.take(',')) break;
  }
  reader.demand('}');
  return reader.sound && reader.next() == '\0' ? entries : Entries{};
}

std::string tuning_key(const std::string& identity, const std::string& precision, const gn_step& step) {
  const gn_attributes& a = step.attributes;
  const gn_tensor& src = step.direction == GN_BACKWARD_DATA ? step.diff_src : step.src;
  const gn_tensor& dst = step.direction == GN_FORWARD ? step.dst : step.diff_dst;
  static constexpr const char* kDirections[] = {"forward", "data", "weights"};
  char text[256];
  std::snprintf(
      text, sizeof text, "%s%s%s, %s %dx%dx%dx%d/%d to %dx%dx%d/%d, %dx%d stride %d %d pad %d %d by %d %d%s%s%s",
      kDirections[step.direction], precision.empty() ? "" : " ", precision.c_str(),
      step.op == GN_LINEAR ? "linear" : "conv", src.n, src.h, src.w, src.span, src.channels, dst.h, dst.w, dst.span,
      dst.channels, a.kernel_h, a.kernel_w, a.stride_h, a.stride_w, a.pad_h, a.pad_w, a.dilation_h, a.dilation_w,
      step.bias.offset >= 0 ? ", bias" : "", a.relu ? ", relu" : "", step.mask.arena != GN_NONE ? ", masked" : "");
  return identity + ": " + text;
}

std::optional<std::string> TuningCache::find(const std::string& key) {
  if (const fs::path file = path_of(file_); !read_ && !file.empty()) entries_.merge(read(file));
  read_ = true;
  const auto found = entries_.find(key);
  return found == entries_.end() ? std::nullopt : std::optional(found->second);
}

void TuningCache::remember(const std::string& key, const std::string& value) {
  entries_[key] = value;
  const fs::path file = path_of(file_);
  if (file.empty()) return;
  entries_.merge(read(file));  // what others have found meanwhile
  write(file, entries_);
}

}  // namespace googlenet
