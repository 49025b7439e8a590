// cuDNN, opened at run time: where it was found, and the few functions of it that we call. Nothing links against it, so
// the backend can say what is missing instead of failing to load.
#pragma once
#include <cudnn.h>

#include <string>

namespace googlenet::cuda {

// clang-format off
#define GOOGLENET_CUDNN_FUNCTIONS(X) \
  X(GetVersion) X(GetErrorString) X(GetLastErrorString) X(Create) X(Destroy) X(SetStream) \
  X(BackendCreateDescriptor) X(BackendDestroyDescriptor) X(BackendSetAttribute) X(BackendGetAttribute) \
  X(BackendFinalize) X(BackendExecute)
// clang-format on

struct CudnnLibrary {
#define GOOGLENET_CUDNN_POINTER(name) decltype(&::cudnn##name) name;
  GOOGLENET_CUDNN_FUNCTIONS(GOOGLENET_CUDNN_POINTER)
#undef GOOGLENET_CUDNN_POINTER
  std::string folder;
  std::string version;  // "9.28.1"
};

/** Opens it once. Throws DEVICE_UNAVAILABLE with every place that was looked at and what to do. Never closed: its
 *  threads and handles may outlive any model. */
const CudnnLibrary& cudnn();

}  // namespace googlenet::cuda
