#pragma once

#include <sys/types.h>

#include <expected>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "clients/cpp/endpoint.hpp"

/// How client verbs find a broker, and the file through which a running `weir dev` is found.
///
/// The file lies in `$XDG_RUNTIME_DIR/weir/`, else in `<temporary directory>/weir-<uid>/`. Anybody may create names in
/// the temporary directory, so the folder counts only if it is a real folder, this user's, and closed to others; a
/// folder that is anything else is an error, not a reason to look elsewhere. While `weir dev` runs it holds a lock
/// (flock) on the folder: a file without the lock is what a killed one left behind.
namespace weir::cli {

/// Where this user's files go.
struct Places {
  std::filesystem::path runtime;  ///< XDG_RUNTIME_DIR when it is an existing folder, else empty
  std::filesystem::path temp;
  uid_t user = 0;

  [[nodiscard]] static Places from_environment();
  [[nodiscard]] std::filesystem::path dev_folder() const;
  [[nodiscard]] std::filesystem::path dev_file() const { return dev_folder() / "dev"; }
};

struct DevNode {
  std::string node;
  pid_t pid = 0;  ///< 0 while it is down
  std::string http;
  std::string raft;
};

struct DevFile {
  pid_t pid = 0;                 ///< of `weir dev`
  std::filesystem::path folder;  ///< of the data
  bool temporary = false;        ///< the data folder goes when `weir dev` ends
  std::vector<DevNode> nodes;
};

[[nodiscard]] std::string encode_dev_file(const DevFile& file);
[[nodiscard]] std::optional<DevFile> decode_dev_file(std::string_view text);

/// Writes beside it and renames, so that no reader sees half of it. Mode 0600.
[[nodiscard]] std::expected<void, std::string> write_dev_file(const std::filesystem::path& path, const DevFile& file);

/// What is in the file, whoever left it. An error when the folder is not this user's alone; nothing when there is none.
[[nodiscard]] std::expected<std::optional<DevFile>, std::string> read_dev_file(const Places& places);

/// The file of a `weir dev` that runs now.
[[nodiscard]] std::expected<std::optional<DevFile>, std::string> running_dev(const Places& places);

/// Why `folder` cannot be trusted, if so. A folder that does not exist can.
[[nodiscard]] std::expected<void, std::string> check_private(const std::filesystem::path& folder, uid_t user);

/// The lock of a running `weir dev`; freed when it goes.
class DevLock {
 public:
  /// Creates the folder when it is missing. An error when another one runs or the folder cannot be trusted.
  [[nodiscard]] static std::expected<DevLock, std::string> take(const Places& places);
  ~DevLock();
  DevLock(DevLock&& other) noexcept;
  DevLock& operator=(DevLock&&) = delete;

 private:
  explicit DevLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;  // of the folder; -1 after a move
};

/// `named` (flag or environment) when it is not empty, else the running `weir dev`, else 127.0.0.1:7400.
[[nodiscard]] client::Result<std::vector<client::Endpoint>> find_servers(const std::string& named,
                                                                         const Places& places);

}  // namespace weir::cli
