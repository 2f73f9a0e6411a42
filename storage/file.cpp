#include "storage/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace weir::storage {
namespace {

constexpr mode_t kFileMode = 0600;

Errc errc_of(int code) {
  switch (code) {
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP:
    case EISDIR:
      return Errc::setup;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return Errc::disk_full;
    default:
      return Errc::io;
  }
}

}  // namespace

std::unexpected<Error> failure_errno(const std::string& path, const char* action) {
  const int code = errno;
  return std::unexpected(
      Error{errc_of(code), path + ": cannot " + action + ": " + std::generic_category().message(code)});
}

std::unexpected<Error> in_file(const std::string& path, Error error, std::string_view way_out) {
  if (!error.text.starts_with(path)) error.text = path + ": " + error.text;
  if (error.code == Errc::damaged) error.text += way_out;
  return std::unexpected(std::move(error));
}

std::expected<File, Error> File::open(const std::string& path, int flags, const char* action) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC, kFileMode);
  if (descriptor < 0) return failure_errno(path, action);
  return File(path, descriptor);
}

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::expected<std::uint64_t, Error> File::size() const {
  struct stat status{};
  if (fstat(descriptor_, &status) != 0) return failure_errno(path_, "tell its size");
  return static_cast<std::uint64_t>(status.st_size);
}

std::expected<void, Error> read_at(int descriptor, const std::string& path, std::uint64_t offset, std::span<char> out) {
  while (!out.empty()) {
    const ssize_t count = pread(descriptor, out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failure_errno(path, "read (is the disk failing? look at the kernel's log)");
    if (count == 0) return std::unexpected(Error{Errc::damaged, path + ": is cut off"});
    out = out.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

std::expected<void, Error> File::read_at(std::uint64_t offset, std::span<char> out) const {
  return storage::read_at(descriptor_, path_, offset, out);
}

std::expected<void, Error> File::write_at(std::uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failure_errno(path_, "write");
    if (count == 0) return std::unexpected(Error{Errc::disk_full, path_ + ": no room to write it"});
    bytes.remove_prefix(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

std::expected<void, Error> File::sync() {
  if (fsync(descriptor_) != 0) return failure_errno(path_, "flush");
  return {};
}

}  // namespace weir::storage
