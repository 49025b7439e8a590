// What a simulated cuDNN descriptor holds, and how a graph of them is run. convolution.cc has the arithmetic.
#pragma once
#include <cudnn.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace simulator {

struct Descriptor {
  explicit Descriptor(cudnnBackendDescriptorType_t type) : type(type) {}
  struct Value {
    cudnnBackendAttributeType_t type;
    std::vector<char> bytes;
    std::vector<std::shared_ptr<const Descriptor>> descriptors;
  };
  cudnnBackendDescriptorType_t type;
  bool finalized = false;
  std::map<cudnnBackendAttributeName_t, Value> values;

  bool has(cudnnBackendAttributeName_t name) const { return values.count(name) > 0; }
  template <class T>
  std::vector<T> list(cudnnBackendAttributeName_t name) const {
    const auto found = values.find(name);
    if (found == values.end()) return {};
    const auto* first = reinterpret_cast<const T*>(found->second.bytes.data());
    return std::vector<T>(first, first + found->second.bytes.size() / sizeof(T));
  }
  template <class T>
  T one(cudnnBackendAttributeName_t name, T otherwise) const {
    const auto values_of = list<T>(name);
    return values_of.empty() ? otherwise : values_of[0];
  }
  const std::vector<std::shared_ptr<const Descriptor>>& children(cudnnBackendAttributeName_t name) const {
    static const std::vector<std::shared_ptr<const Descriptor>> none;
    const auto found = values.find(name);
    return found == values.end() ? none : found->second.descriptors;
  }
  const Descriptor& child(cudnnBackendAttributeName_t name) const { return *children(name).at(0); }
};

/** A tensor while a graph runs: (N, C, H, W) with strides in elements. */
struct Array {
  float* data = nullptr;
  int64_t n, c, h, w, sn, sc, sh, sw;
  float& at(int64_t i, int64_t j, int64_t y, int64_t x) const { return data[i * sn + j * sc + y * sh + x * sw]; }
};
struct Window {
  int64_t stride_h, stride_w, dilation_h, dilation_w, pad_h, pad_w;
};

Array array_of(const Descriptor& tensor);
/** Elements from the first to the last one, both included. */
int64_t extent(const Array& array);
Window window_of(const Descriptor& convolution);

void convolve_forward(const Array& x, const Array& w, const Array& y, const Window& window);
void convolve_backward_data(const Array& dx, const Array& w, const Array& dy, const Window& window);
void convolve_backward_weights(const Array& x, const Array& dw, const Array& dy, const Window& window);

/** Why real cuDNN would refuse a finalized descriptor of these values; empty when it would not. */
std::string problem_of(const Descriptor& descriptor);

/** Bytes of an element. */
int64_t size_of(const Descriptor& tensor);

/** Runs the operations in order; pointers by tensor id. tensor_cores: factors that are f32 are rounded to tf32. */
void run(const std::vector<std::shared_ptr<const Descriptor>>& operations, const std::map<int64_t, void*>& pointers,
         bool tensor_cores);

/** The three tensors of a convolution, whatever its direction. */
struct Operands {
  const Descriptor &x, &w, &y, &window;
};
Operands operands_of(const Descriptor& operation);
bool is_convolution(const Descriptor& operation);

}  // namespace simulator
