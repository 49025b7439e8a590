// Reading one image file into memory that is used again for the next.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include "image/pipeline.h"

namespace googlenet {
namespace {

// A photo larger than this is a mistake, such as an archive with the wrong name.
constexpr int64_t kMaxBytes = int64_t(512) << 20;

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

std::FILE* open_file(const std::string& path) {
#if defined(_WIN32)
  return _wfopen(std::filesystem::path(std::u8string(path.begin(), path.end())).c_str(), L"rb");
#else
  return std::fopen(path.c_str(), "rbe");
#endif
}

[[noreturn]] void refuse(int error) {
  const bool absent = error == ENOENT || error == ENOTDIR;
  throw Failure(absent ? Code::FILE_NOT_FOUND : Code::FILE_READ,
                absent ? "the file does not exist" : std::string("the file cannot be read: ") + std::strerror(error));
}

}  // namespace

size_t read_jpeg_file(const std::string& path, ByteBuffer& buffer) {
  std::unique_ptr<std::FILE, Close> file(open_file(path));
  if (!file) refuse(errno);
  std::setvbuf(file.get(), nullptr, _IONBF, 0);  // whole reads: a second copy would only cost
  constexpr size_t kFirst = 64;
  uint8_t first[kFirst];
  size_t size = std::fread(first, 1, kFirst, file.get());
  if (std::ferror(file.get())) refuse(errno);
  if (!looks_like_jpeg(first, size)) {
    std::memcpy(buffer.reserve(kFirst), first, size);
    return size;  // the decoder says what it is
  }
  if (std::fseek(file.get(), 0, SEEK_END) != 0) refuse(errno);
  const int64_t total = std::ftell(file.get());
  if (total < 0 || std::fseek(file.get(), 0, SEEK_SET) != 0) refuse(errno);
  if (total > kMaxBytes) throw Failure(Code::FILE_READ, "the file has more than 512 MiB");
  uint8_t* data = buffer.reserve(size_t(total));
  size = std::fread(data, 1, size_t(total), file.get());
  if (std::ferror(file.get())) refuse(errno);
  return size;
}

}  // namespace googlenet
