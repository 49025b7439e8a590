// The whole set of cuDNN's libraries is opened from one folder, before the first call: cuDNN opens its parts by name
// when it needs them, aborts the process when one is missing, and mixes versions when the loader finds another copy.
#include "cuda/cudnn_library.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <vector>

#include "core/status.h"

namespace googlenet::cuda {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMain = "libcudnn.so.9";
constexpr const char* kAdvice =
    "Install it (pip install nvidia-cudnn-cu13, or your distribution's cudnn9-cuda-13) or set "
    "GOOGLENET_CUDNN to the folder that holds libcudnn.so.9";
/** In the order of their dependencies. Those that not every version has are optional. */
constexpr struct {
  const char* name;
  bool needed;
} kParts[] = {
    {"libcudnn_graph.so.9", true},
    {"libcudnn_ops.so.9", true},
    {"libcudnn_cnn.so.9", true},
    {"libcudnn_engines_precompiled.so.9", true},
    {"libcudnn_engines_runtime_compiled.so.9", true},
    {"libcudnn_engines_tensor_ir.so.9", false},
    {"libcudnn_heuristic.so.9", true},
};
/** 9.8: the first whose plans can be built without a device, which is how ours are tested. */
constexpr size_t kOldest = 90800;
/** What cuDNN opens by name: nvrtc compiles its fused engines; without cublasLt it aborts (9.28, seen). */
constexpr const char* kHelpers[] = {"libnvrtc.so.13", "libcublasLt.so.13"};

[[noreturn]] void unavailable(const std::string& text) { throw Failure(Code::DEVICE_UNAVAILABLE, text); }

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

/** The folder of the file that a loaded library's symbol is in; empty when it cannot be told. */
fs::path folder_of(const void* symbol) {
  Dl_info info{};
  if (!symbol || !dladdr(symbol, &info) || !info.dli_fname) return {};
  std::error_code error;
  return fs::weakly_canonical(info.dli_fname, error).parent_path();
}

/** Folders of pip's package nvidia-cudnn below an environment's root. */
void add_pip_folders(const fs::path& root, std::vector<fs::path>& folders) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root / "lib", error))
    if (entry.path().filename().string().starts_with("python"))
      folders.push_back(entry.path() / "site-packages/nvidia/cudnn/lib");
}

std::vector<fs::path> likely_folders() {
  std::vector<fs::path> folders;
  for (const char* name : {"VIRTUAL_ENV", "CONDA_PREFIX"})
    if (const std::string root = variable(name); !root.empty()) {
      add_pip_folders(root, folders);
      folders.push_back(fs::path(root) / "lib");
    }
  add_pip_folders("/usr/local", folders);
  for (const char* name : {"CUDA_HOME", "CUDA_PATH"})
    if (const std::string root = variable(name); !root.empty()) folders.push_back(fs::path(root) / "lib64");
  folders.push_back("/usr/local/cuda/lib64");
  return folders;
}

/** Where libcudnn.so.9 is: the override and nothing else, what the process has, the loader's path, likely folders. */
fs::path find() {
  std::error_code error;
  if (const std::string given = variable("GOOGLENET_CUDNN"); !given.empty()) {
    if (!fs::exists(fs::path(given) / kMain, error))
      unavailable("GOOGLENET_CUDNN is '" + given + "', but that folder has no " + kMain);
    return fs::canonical(given);
  }
  void* handle = dlopen(kMain, RTLD_LAZY | RTLD_NOLOAD);
  if (!handle) handle = dlopen(kMain, RTLD_LAZY);
  if (handle)
    if (const fs::path folder = folder_of(dlsym(handle, "cudnnGetVersion")); !folder.empty()) return folder;
  std::string tried = "the loader's path";
  for (const fs::path& folder : likely_folders()) {
    if (fs::exists(folder / kMain, error)) return fs::canonical(folder);
    tried += ", " + folder.string();
  }
  unavailable(std::string("cuDNN 9 was not found: ") + kMain + " is not in " + tried + ". " + kAdvice);
}

void open_helpers(const fs::path& folder) {
  for (const char* name : kHelpers) {
    void* handle = dlopen(name, RTLD_LAZY | RTLD_GLOBAL);
    for (const char* place : {".", "../../cu13/lib", "../../cuda_nvrtc/lib", "../../cublas/lib"})
      if (!handle) handle = dlopen((folder / place / name).c_str(), RTLD_LAZY | RTLD_GLOBAL);
    if (!handle)
      unavailable(std::string("cuDNN in ") + folder.string() + " needs " + name +
                  ", which is neither beside it nor on the loader's path. Install CUDA 13 (pip install "
                  "nvidia-cublas nvidia-cuda-nvrtc) or add its folder to LD_LIBRARY_PATH");
  }
}

std::string text_of(size_t version) {
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

void* open_part(const fs::path& folder, const char* name, bool needed) {
  std::error_code error;
  if (!fs::exists(folder / name, error)) {
    if (needed) unavailable("cuDNN in " + folder.string() + " is not whole: " + name + " is missing. " + kAdvice);
    // cuDNN would ask the loader for it by name, and a copy of another version may answer.
    if (void* other = dlopen(name, RTLD_LAZY)) {
      dlclose(other);
      unavailable("cuDNN in " + folder.string() + " has no " + name +
                  ", but the loader finds one elsewhere: two versions would be mixed. Take the other cuDNN from the "
                  "loader's path, or install a whole one");
    }
    return nullptr;
  }
  void* handle = dlopen((folder / name).c_str(), RTLD_LAZY | RTLD_GLOBAL);
  if (!handle) unavailable("cuDNN's " + (folder / name).string() + " cannot be loaded: " + dlerror());
  return handle;
}

/** A part that is linked to another folder's libraries shows it by whose functions it sees. */
void check_part(const fs::path& folder, void* handle, const char* name, size_t version) {
  const auto get_version = reinterpret_cast<size_t (*)()>(dlsym(handle, "cudnnGetVersion"));
  if (!get_version) return;
  if (const size_t other = get_version(); other != version)
    unavailable("cuDNN is a mixed set: " + std::string(name) + " in " + folder.string() + " belongs to " +
                text_of(other) + ", " + kMain + " is " + text_of(version) + ". Keep one version");
  if (const fs::path place = folder_of(reinterpret_cast<void*>(get_version)); place != folder)
    unavailable("cuDNN is a mixed set: " + std::string(name) + " in " + folder.string() + " uses libraries in " +
                place.string() + ". Keep one copy");
}

CudnnLibrary load() {
  const fs::path folder = find();
  open_helpers(folder);
  CudnnLibrary library{};
  library.folder = folder.string();
  void* main = open_part(folder, kMain, true);
#define GOOGLENET_CUDNN_FIND(name)                                                     \
  library.name = reinterpret_cast<decltype(library.name)>(dlsym(main, "cudnn" #name)); \
  if (!library.name) unavailable("cuDNN in " + folder.string() + " has no function cudnn" #name ". " + kAdvice);
  GOOGLENET_CUDNN_FUNCTIONS(GOOGLENET_CUDNN_FIND)
#undef GOOGLENET_CUDNN_FIND
  std::vector<void*> parts;
  for (const auto& part : kParts) parts.push_back(open_part(folder, part.name, part.needed));
  const size_t version = library.GetVersion();
  library.version = text_of(version);
  if (version / 10000 != 9 || version < kOldest)
    unavailable("cuDNN in " + folder.string() + " is " + library.version + ", but at least " + text_of(kOldest) +
                " and below 10 is needed. " + kAdvice);
  for (size_t i = 0; i < parts.size(); i++)
    if (parts[i]) check_part(folder, parts[i], kParts[i].name, version);
  return library;
}

}  // namespace

const CudnnLibrary& cudnn() {
  static std::mutex mutex;
  static const CudnnLibrary* library = nullptr;
  const std::lock_guard lock(mutex);
  if (!library) library = new CudnnLibrary(load());
  return *library;
}

}  // namespace googlenet::cuda
