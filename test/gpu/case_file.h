// The file of cases that write-cases.ts makes, line by line: a word and fields `key=value`, separated by tabs. A line
// with a field `bytes` is followed by that many bytes, little-endian, and a line feed.
#pragma once
#include <cstdint>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "core/graph.h"

namespace googlenet::gpu {

struct Line {
  std::string word;
  std::map<std::string, std::string> fields;
  std::vector<char> bytes;

  /** Throws when there is no such field. */
  const std::string& text(const char* key) const;
  double number(const char* key, double fallback = 0) const;
  /** Separated by commas; none when there is no such field. */
  std::vector<std::string> list(const char* key) const;
  std::vector<int64_t> shape() const;
  template <class T>
  const T* data() const {
    return reinterpret_cast<const T*>(bytes.data());
  }
  template <class T>
  int64_t count() const {
    return int64_t(bytes.size() / sizeof(T));
  }
};

class CaseFile {
 public:
  /** Throws when it cannot be read or is of another version. */
  explicit CaseFile(const std::string& path);
  /** False at the end. */
  bool next(Line& line);

 private:
  std::ifstream stream_;
};

/** A `row` line as a row of a network table. */
Row row_of(const Line& line);

}  // namespace googlenet::gpu
