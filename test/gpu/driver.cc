// Runs a file of cases on a GPU through googlenet_cuda.so and the engine's core, without Node and without a network:
//   driver FILE [--device cuda:N] [--only TEXT]
// The cases (write-cases.ts) hold networks, inputs and what the processor computed of them. A case passes when all of
// its results lie within their tolerances. Exit code 0: all passed, 1: some failed, 2: wrong use, 3: no GPU.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>

#include "case_file.h"
#include "core/executor.h"
#include "core/status.h"

// The registry's built-in backend. The driver names a GPU only, so nobody asks for it.
extern "C" const gn_backend* googlenet_cpu_backend() { return nullptr; }

namespace googlenet::gpu {
namespace {

enum Exit { passed, failed, misused, no_device };

/** One case while its lines are read: each is done as it comes. */
class Running {
 public:
  Running(const Line& line, const std::string& device) {
    options_.device = device;
    options_.seed = uint64_t(line.number("seed"));
  }

  void take(const Line& line) {
    if (line.word == "row") return rows_.push_back(row_of(line));
    if (line.word == "initialize") return executor().initialize(uint64_t(line.number("seed")));
    if (line.word == "parameter")
      return executor().set_parameter(ParameterSet::weights, line.text("name"), line.data<float>(), line.shape());
    if (line.word == "input" || line.word == "gradient" || line.word == "labels") {
      lines_[line.word + " " + line.text("name")] = line;
    } else if (line.word == "run") {
      run(line);
    } else if (line.word == "step") {
      step(line);
    } else if (line.word == "expect") {
      expect(line);
    } else {
      throw Failure(Code::INVALID_ARGUMENT, "the cases have a line '" + line.word + "', which this driver cannot read");
    }
  }

  /** What was wrong, one a line. */
  std::string problems;
  int results = 0;

 private:
  Executor& executor() {
    if (!executor_) executor_ = std::make_unique<Executor>(Graph(rows_), options_);
    return *executor_;
  }

  RunRequest request(const Line& line) {
    RunRequest request;
    for (const auto& [key, given] : lines_) {
      const HostInput tensor{given.text("name"), given.fields.count("u8") ? GN_HOST_U8_NHWC_RGB : GN_HOST_F32_NCHW,
                             given.bytes.data(), given.shape()};
      if (given.word == "input") request.inputs.push_back(tensor);
      if (given.word == "gradient" && line.number("training")) request.gradients.push_back(tensor);
      if (given.word == "labels") request.labels = given.data<int32_t>(), request.label_count = given.count<int32_t>();
    }
    request.training = line.number("training") != 0;
    request.outputs = line.list("outputs");
    request.input_gradients = line.list("inputGradients");
    request.step = uint32_t(line.number("step"));
    return request;
  }

  void run(const Line& line) { result_ = executor().run(request(line)); }

  void step(const Line& line) {
    OptimizerOptions optimizer;
    optimizer.rate = float(line.number("rate")), optimizer.momentum = float(line.number("momentum"));
    optimizer.weight_decay = float(line.number("decay")), optimizer.clip = float(line.number("clip"));
    const StepResult result = executor().step(request(line), optimizer);
    near("loss of step " + line.text("step"), result.loss, line.number("loss"), line.number("lossTolerance"));
    near("gradient norm of step " + line.text("step"), result.gradient_norm, line.number("norm"),
         line.number("normTolerance"));
  }

  void expect(const Line& line) {
    const std::string &kind = line.text("kind"), &name = line.text("name");
    if (kind == "loss") {
      for (const Loss& loss : result_.losses)
        if (loss.name == name) {
          near(name, loss.loss, line.number("loss"), line.number("tolerance"));
          return near(name + ", right answers", loss.correct, line.number("correct"), 0);
        }
      return report(name + " was not computed");
    }
    if (kind == "output") return compare(line, name, result_.outputs.at(name));
    const std::string what = "gradient of " + name;
    if (kind == "inputGradient") return compare(line, what, result_.input_gradients.at(name));
    compare(line, what, executor().get_parameter(ParameterSet::gradients, name));
  }

  /** Every `stride`-th value; errors are relative to the largest value of the whole tensor. */
  void compare(const Line& line, const std::string& what, const HostTensor& actual) {
    const auto stride = size_t(line.number("stride"));
    const auto count = size_t(line.count<float>());
    if (actual.data.size() != size_t(line.number("values")) || (count - 1) * stride >= actual.data.size())
      return report(what + " has " + std::to_string(actual.data.size()) + " values, expected " + line.text("values"));
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
      const double difference = std::abs(double(actual.data[i * stride]) - line.data<float>()[i]);
      if (!(difference <= largest)) largest = difference;  // NaN stays
    }
    const double scale = line.number("scale");
    judge(what, scale > 0 ? largest / scale : largest, line.number("tolerance"));
  }

  void near(const std::string& what, double actual, double expected, double tolerance) {
    judge(what, std::abs(actual - expected) / (expected != 0 ? std::abs(expected) : 1), tolerance);
  }

  void judge(const std::string& what, double error, double tolerance) {
    results++;
    if (error <= tolerance) return;
    char text[96];
    std::snprintf(text, sizeof text, ": off by %.2e, at most %.0e", error, tolerance);
    report(what + text);
  }
  void report(const std::string& what) { problems += "  " + what + "\n"; }

  Executor::Options options_;
  std::vector<Row> rows_;
  std::unique_ptr<Executor> executor_;
  std::map<std::string, Line> lines_;  // inputs, given gradients, labels: they stay until they are given anew
  RunResult result_;
};

int run_all(const char* path, const std::string& device, const char* only) {
  try {
    const Device probe(device, {});
    std::printf("%s\n", probe.backend.describe(probe.handle()));
  } catch (const Failure& failure) {
    std::fprintf(stderr, "driver: %s: %s\n", code_name(failure.code), failure.what());
    return no_device;
  }
  CaseFile file(path);
  int good = 0, bad = 0, results = 0;
  std::string name;
  std::optional<Running> running;
  for (Line line; file.next(line);) {
    if (line.word == "case") {
      name = line.text("name");
      running.reset();
      if (name.find(only) != std::string::npos) running.emplace(line, device);
    } else if (running && line.word == "end") {
      results += running->results;
      if (running->problems.empty() && running->results == 0) running->problems = "  nothing was compared\n";
      const bool right = running->problems.empty();
      if (!right) std::printf("FAIL %s\n%s", name.c_str(), running->problems.c_str());
      (right ? good : bad)++;
      running.reset();
    } else if (running) {
      try {
        running->take(line);
      } catch (const std::exception& error) {  // the rest of the case means nothing
        std::printf("FAIL %s\n  %s\n", name.c_str(), error.what());
        bad++;
        running.reset();
      }
    }
    std::fflush(stdout);
  }
  std::printf("%d results compared\n%d passed, %d failed\n", results, good, bad);
  return bad || !good ? failed : passed;
}

}  // namespace
}  // namespace googlenet::gpu

int main(int count, char** arguments) {
  using namespace googlenet::gpu;
  const char *path = nullptr, *only = "";
  std::string device = "cuda";
  bool wrong = false;
  for (int i = 1; i < count; i++) {
    if (!std::strcmp(arguments[i], "--device") && i + 1 < count)
      device = arguments[++i];
    else if (!std::strcmp(arguments[i], "--only") && i + 1 < count)
      only = arguments[++i];
    else if (arguments[i][0] != '-' && !path)
      path = arguments[i];
    else
      wrong = true;
  }
  if (wrong || !path || !device.starts_with("cuda")) {
    std::fprintf(stderr, "driver FILE [--device cuda:N] [--only TEXT]\n");
    return misused;
  }
  try {
    return run_all(path, device, only);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "driver: %s\n", error.what());
    return misused;
  }
}
