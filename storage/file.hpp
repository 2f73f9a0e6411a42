// A plain file that closes itself, and says what went wrong in the words of this folder.
// Thread rule: read_at from any thread at the same time; all else one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "storage/error.hpp"

namespace weir::storage {

class File {
 public:
  /// `flags` as open(2)'s; a file that is made has mode 0600. `action`: what could not be done, for the error's text.
  [[nodiscard]] static std::expected<File, Error> open(const std::string& path, int flags, const char* action = "open");
  File(File&& other) noexcept : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}
  File& operator=(File&&) = delete;
  ~File();

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] int descriptor() const { return descriptor_; }
  /// The caller closes it from now on.
  [[nodiscard]] int release() { return std::exchange(descriptor_, -1); }

  [[nodiscard]] std::expected<std::uint64_t, Error> size() const;
  /// Fills `out`; damaged if the file ends before.
  [[nodiscard]] std::expected<void, Error> read_at(std::uint64_t offset, std::span<char> out) const;
  [[nodiscard]] std::expected<void, Error> write_at(std::uint64_t offset, std::string_view bytes);
  [[nodiscard]] std::expected<void, Error> sync();

 private:
  File(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  std::string path_;
  int descriptor_;
};

/// As File::read_at, of a descriptor that somebody else owns; `path` is for the error's text.
[[nodiscard]] std::expected<void, Error> read_at(int descriptor, const std::string& path, std::uint64_t offset,
                                                 std::span<char> out);

/// The error, whose text names the file now; damage also says the way out, if one is given.
[[nodiscard]] std::unexpected<Error> in_file(const std::string& path, Error error, std::string_view way_out = {});

/// What errno says of `path`.
[[nodiscard]] std::unexpected<Error> failure_errno(const std::string& path, const char* action);

}  // namespace weir::storage
