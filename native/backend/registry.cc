#include "backend/registry.h"

#include <dlfcn.h>

#include <filesystem>

#include "core/status.h"

extern "C" const gn_backend* googlenet_cpu_backend();

namespace googlenet {

static const gn_backend& open_cuda() {
  Dl_info self{};
  dladdr(reinterpret_cast<const void*>(&open_cuda), &self);
  std::error_code error;
  const std::filesystem::path file =
      std::filesystem::absolute(self.dli_fname, error).parent_path() / "googlenet_cuda.so";
  if (!std::filesystem::exists(file, error))
    throw Failure(Code::DEVICE_UNAVAILABLE,
                  "the CUDA backend is not built: there is no " + file.string() + ". Run: npx googlenet build --cuda");
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    throw Failure(Code::DEVICE_UNAVAILABLE, "the CUDA backend could not be loaded: " + std::string(dlerror()));
  const auto entry = reinterpret_cast<const gn_backend* (*)()>(dlsym(library, "googlenet_cuda_backend"));
  if (!entry || entry()->version != GN_BACKEND_VERSION)
    throw Failure(Code::DEVICE_UNAVAILABLE, file.string() +
                                                " is of another version of googlenet. Build it again: "
                                                "npx googlenet build --cuda");
  return *entry();
}

const gn_backend& backend_named(const std::string& device) {
  if (device == "cpu") return *googlenet_cpu_backend();
  if (device != "cuda" && !device.starts_with("cuda:"))
    throw Failure(Code::DEVICE_UNAVAILABLE, "there is no device '" + device + "', only cpu, cuda and cuda:N");
  static const gn_backend& cuda = open_cuda();  // tried again at the next call when it throws
  return cuda;
}

int device_index(const std::string& device) {
  const size_t colon = device.find(':');
  return colon == std::string::npos ? 0 : std::stoi(device.substr(colon + 1));
}

void check(const gn_status& status) {
  if (status.code) throw Failure(Code(status.code), status.message);
}

}  // namespace googlenet
