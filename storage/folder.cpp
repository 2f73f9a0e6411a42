#include "storage/folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace weir::storage {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kGenerationPrefix = "gen-";
constexpr std::size_t kGenerationDigits = 6;
constexpr const char* kFirstGeneration = "gen-000001";
constexpr mode_t kFolderMode = 0700;
constexpr mode_t kFileMode = 0600;

/// An open file that closes itself.
class File {
 public:
  File(const std::string& path, int flags) : descriptor_(::open(path.c_str(), flags | O_CLOEXEC, kFileMode)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  [[nodiscard]] int get() const { return descriptor_; }
  [[nodiscard]] int release() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_;
};

std::unexpected<Error> failure(Errc code, const std::string& path, const std::string& problem) {
  return std::unexpected(Error{code, path + ": " + problem});
}

std::unexpected<Error> failure_errno(const std::string& path, const char* action) {
  const int code = errno;
  const bool setup = code == EACCES || code == EPERM || code == EROFS || code == ENOENT || code == ENOTDIR ||
                     code == ENAMETOOLONG || code == ELOOP || code == EISDIR;
  const Errc errc = setup ? Errc::setup : code == ENOSPC || code == EDQUOT ? Errc::disk_full : Errc::io;
  return failure(errc, path, std::string("cannot ") + action + ": " + std::generic_category().message(code));
}

std::expected<void, Error> write_file(const std::string& path, std::string_view text) {
  const File file(path, O_WRONLY | O_CREAT | O_TRUNC);
  if (file.get() < 0) return failure_errno(path, "create the file");
  const ssize_t written = ::write(file.get(), text.data(), text.size());
  if (written < 0) return failure_errno(path, "write");
  if (static_cast<std::size_t>(written) != text.size()) return failure(Errc::disk_full, path, "no room to write it");
  if (fsync(file.get()) != 0) return failure_errno(path, "sync");
  return {};
}

std::expected<void, Error> make_folder(const std::string& path) {
  if (mkdir(path.c_str(), kFolderMode) == 0) {
    const fs::path parent = fs::path(path).parent_path();
    return sync_folder(parent.empty() ? "." : parent.string());
  }
  if (errno != EEXIST) return failure_errno(path, "make the data folder (its parent must exist and be writable)");
  struct stat status{};
  if (stat(path.c_str(), &status) != 0) return failure_errno(path, "look at the data folder");
  if (!S_ISDIR(status.st_mode)) return failure(Errc::setup, path, "is not a folder; name another data folder");
  if (access(path.c_str(), R_OK | W_OK | X_OK) != 0) return failure_errno(path, "write into the data folder");
  return {};
}

std::string read_text(int descriptor) {
  std::array<char, 64> buffer{};
  const ssize_t size = pread(descriptor, buffer.data(), buffer.size(), 0);
  return {buffer.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

bool is_generation(std::string_view name) {
  return name.starts_with(kGenerationPrefix) && name.size() == kGenerationPrefix.size() + kGenerationDigits &&
         std::ranges::all_of(name.substr(kGenerationPrefix.size()), [](char c) { return c >= '0' && c <= '9'; });
}

std::expected<std::vector<std::string>, Error> list_generations(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code code;
  for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code))
    if (std::string name = it->path().filename().string(); is_generation(name)) names.push_back(std::move(name));
  if (code) return failure(Errc::setup, folder, "cannot list the data folder: " + code.message());
  std::ranges::sort(names);
  return names;
}

bool exists(const std::string& path) {
  return access(path.c_str(), F_OK) == 0;
}

}  // namespace

std::expected<void, Error> sync_folder(const std::string& path) {
  const File folder(path, O_RDONLY | O_DIRECTORY);
  if (folder.get() < 0 || fsync(folder.get()) != 0) return failure_errno(path, "sync the folder");
  return {};
}

DataFolder::DataFolder(DataFolder&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)), generation_(std::move(other.generation_)) {}

DataFolder::~DataFolder() {
  if (lock_ >= 0) ::close(lock_);
}

std::expected<DataFolder, Error> DataFolder::open(const std::string& path) {
  if (auto made = make_folder(path); !made) return std::unexpected(std::move(made.error()));
  const std::string lock_path = path + "/LOCK";
  File lock(lock_path, O_RDWR | O_CREAT);
  if (lock.get() < 0) return failure_errno(lock_path, "open the lock (is the data folder writable?)");
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return failure_errno(lock_path, "lock");
    return failure(Errc::in_use, path,
                   "the data folder is in use by process " + read_text(lock.get()) +
                       "; stop that process or give this node a folder of its own");
  }
  // Only said in the message above: the lock itself is flock's and ends with the process, however it ends.
  const std::string holder = std::to_string(getpid());
  if (ftruncate(lock.get(), 0) != 0 || pwrite(lock.get(), holder.data(), holder.size(), 0) < 0)
    return failure_errno(lock_path, "write");

  DataFolder folder(path, lock.release());
  if (auto found = folder.find_generation(); !found) return std::unexpected(std::move(found.error()));
  return folder;
}

std::expected<void, Error> DataFolder::find_generation() {
  const std::string current_path = path_ + "/CURRENT";
  const File current(current_path, O_RDONLY);
  if (current.get() < 0 && errno != ENOENT) return failure_errno(current_path, "read");
  if (current.get() < 0) {
    auto generations = list_generations(path_);
    if (!generations) return std::unexpected(std::move(generations.error()));
    if (generations->empty() || exists(path_ + "/CREATING")) return {};
    return failure(Errc::damaged, current_path,
                   "is missing, but there is data in " + generations->back() +
                       "; put the file back (one line: the generation's name), or move the whole data folder away: the "
                       "node then joins as a new member");
  }
  std::string name = read_text(current.get());
  if (name.ends_with('\n')) name.pop_back();
  if (!is_generation(name) || !exists(path_ + "/" + name))
    return failure(Errc::damaged, current_path,
                   "does not name a generation that exists; put its name back, or move the whole data folder away: the "
                   "node then joins as a new member");
  generation_ = path_ + "/" + name;
  // Left over if the last step of finish_generation was cut short.
  if (unlink((path_ + "/CREATING").c_str()) != 0 && errno != ENOENT) return failure_errno(path_, "tidy up");
  return {};
}

std::expected<std::string, Error> DataFolder::begin_generation() {
  if (auto marked = write_file(path_ + "/CREATING", ""); !marked) return std::unexpected(std::move(marked.error()));
  if (auto synced = sync_folder(path_); !synced) return std::unexpected(std::move(synced.error()));
  const std::string generation = path_ + "/" + kFirstGeneration;
  std::error_code code;
  fs::remove_all(generation, code);
  if (code) return failure(Errc::io, generation, "cannot remove what an earlier start left: " + code.message());
  if (mkdir(generation.c_str(), kFolderMode) != 0) return failure_errno(generation, "make the folder");
  return generation;
}

std::expected<void, Error> DataFolder::finish_generation() {
  const std::string generation = path_ + "/" + kFirstGeneration;
  const std::string current = path_ + "/CURRENT";
  const std::string fresh = current + ".new";
  if (auto synced = sync_folder(generation); !synced) return synced;
  if (auto written = write_file(fresh, std::string(kFirstGeneration) + "\n"); !written) return written;
  if (rename(fresh.c_str(), current.c_str()) != 0) return failure_errno(current, "put in place");
  if (auto synced = sync_folder(path_); !synced) return synced;
  generation_ = generation;
  if (unlink((path_ + "/CREATING").c_str()) != 0) return failure_errno(path_, "tidy up");
  return {};
}

}  // namespace weir::storage
