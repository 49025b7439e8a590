#include "case_file.h"

#include <sstream>

#include "core/status.h"
#include "ops/op.h"

namespace googlenet::gpu {

static constexpr const char* kFirstLine = "googlenet cases 1";

const std::string& Line::text(const char* key) const {
  const auto found = fields.find(key);
  if (found == fields.end())
    throw Failure(Code::INVALID_ARGUMENT, "a line '" + word + "' of the cases has no field '" + key + "'");
  return found->second;
}

double Line::number(const char* key, double fallback) const {
  const auto found = fields.find(key);
  return found == fields.end() ? fallback : std::stod(found->second);
}

std::vector<std::string> Line::list(const char* key) const {
  std::vector<std::string> parts;
  const auto found = fields.find(key);
  if (found == fields.end()) return parts;
  std::istringstream text(found->second);
  for (std::string part; std::getline(text, part, ',');) parts.push_back(part);
  return parts;
}

std::vector<int64_t> Line::shape() const {
  std::vector<int64_t> dims;
  for (const std::string& dim : list("shape")) dims.push_back(std::stoll(dim));
  return dims;
}

CaseFile::CaseFile(const std::string& path) : stream_(path, std::ios::binary) {
  std::string first;
  if (!std::getline(stream_, first) || first != kFirstLine)
    throw Failure(Code::INVALID_ARGUMENT, path + " is not a file of cases: its first line is not '" + kFirstLine + "'");
}

bool CaseFile::next(Line& line) {
  std::string text;
  if (!std::getline(stream_, text)) return false;
  line = {};
  std::istringstream parts(text);
  std::getline(parts, line.word, '\t');
  for (std::string part; std::getline(parts, part, '\t');) {
    const size_t equals = part.find('=');
    line.fields[part.substr(0, equals)] = part.substr(equals + 1);
  }
  line.bytes.resize(size_t(line.number("bytes")));
  if (line.bytes.empty()) return true;
  stream_.read(line.bytes.data(), std::streamsize(line.bytes.size()));
  if (stream_.get() != '\n') throw Failure(Code::INVALID_ARGUMENT, "the file of cases ends in the middle");
  return true;
}

static void pair(const Line& line, const char* key, int fallback, int32_t& h, int32_t& w) {
  const auto parts = line.list(key);
  h = parts.empty() ? fallback : std::stoi(parts.front());
  w = parts.empty() ? fallback : std::stoi(parts.back());
}

static Filler filler(const Line& line, const char* key, Filler fallback) {
  const auto parts = line.list(key);  // "xavier", "msra", "constant,0.2"
  if (parts.empty()) return fallback;
  if (parts.size() > 1) return {Fill::constant, std::stof(parts[1])};
  return {parts[0] == "msra" ? Fill::msra : Fill::xavier, 0};
}

static bool is(const Line& line, const char* key, const char* value) {
  const auto found = line.fields.find(key);
  return found != line.fields.end() && found->second == value;
}

// The defaults are those of addon/convert.cc.
Row row_of(const Line& line) {
  Row row;
  row.name = line.text("name");
  row.op = op_named(line.text("op"));
  row.sources = line.list("src");
  if (line.fields.count("phase")) row.phase = is(line, "phase", "train") ? Phase::train : Phase::inference;
  gn_attributes& a = row.attributes;
  row.global = is(line, "kernel", "global");
  if (row.global)
    a.kernel_h = a.kernel_w = 1;
  else
    pair(line, "kernel", 1, a.kernel_h, a.kernel_w);
  pair(line, "stride", 1, a.stride_h, a.stride_w);
  pair(line, "pad", 0, a.pad_h, a.pad_w);
  pair(line, "dilation", 1, a.dilation_h, a.dilation_w);
  row.groups = int(line.number("groups", 1));
  row.outputs = int(line.number("outputs"));
  row.bias = !is(line, "bias", "false");
  a.relu = is(line, "relu", "true");
  row.planar = is(line, "planar", "true");
  row.input = {int(line.number("channels")), int(line.number("height")), int(line.number("width"))};
  row.weight_filler = filler(line, "weightFiller", {Fill::xavier, 0});
  row.bias_filler = filler(line, "biasFiller", {Fill::constant, 0});
  a.pool_kind = is(line, "kind", "average") ? GN_POOL_AVERAGE : GN_POOL_MAX;
  row.floor = is(line, "round", "floor");
  a.lrn_size = int32_t(line.number("size"));
  a.lrn_alpha = float(line.number("alpha", 1));
  a.lrn_beta = float(line.number("beta", 0.75));
  a.lrn_k = float(line.number("k", 1));
  a.lrn_region = is(line, "region", "within") ? GN_LRN_WITHIN : GN_LRN_ACROSS;
  a.dropout_ratio = float(line.number("ratio"));
  a.loss_weight = float(line.number("weight", 1));
  return row;
}

}  // namespace googlenet::gpu
