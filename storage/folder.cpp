#include "storage/folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "storage/file.hpp"
#include "storage/segment_seal.hpp"

namespace weir::storage {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kGenerationPrefix = "gen-";
constexpr std::size_t kGenerationDigits = 6;
constexpr mode_t kFolderMode = 0700;
constexpr const char* kDamagedName = "/DAMAGED";
/// A reason is a line or two; what is longer is not this file.
constexpr std::uint64_t kDamagedBytesMax = std::uint64_t{64} << 10U;

std::unexpected<Error> failure(Errc code, const std::string& path, const std::string& problem) {
  return std::unexpected(Error{code, path + ": " + problem});
}

std::expected<void, Error> write_file(const std::string& path, std::string_view text) {
  auto file = File::open(path, O_WRONLY | O_CREAT | O_TRUNC, "create the file");
  if (!file) return std::unexpected(std::move(file.error()));
  if (auto written = file->write_at(0, text); !written) return written;
  return file->sync();
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

std::expected<void, Error> remove_generation(const std::string& generation) {
  std::error_code code;
  for (fs::directory_iterator it(generation, code), end; !code && it != end; it.increment(code))
    if (unlink(it->path().c_str()) != 0 && errno != ENOENT)
      return failure_errno(it->path(), "remove what an earlier start left");
  if (rmdir(generation.c_str()) != 0 && errno != ENOENT) return failure_errno(generation, "remove the folder");
  return {};
}

bool exists(const std::string& path) {
  return access(path.c_str(), F_OK) == 0;
}

/// Whole, under its name, or not at all.
std::expected<void, Error> put_in_place(const std::string& folder, const std::string& path, std::string_view text) {
  const std::string fresh = path + ".new";
  if (auto written = write_file(fresh, text); !written) return written;
  if (std::rename(fresh.c_str(), path.c_str()) != 0) return failure_errno(path, "put in place");
  return sync_folder(folder);
}

/// The two names, a line each, and behind them the reason.
std::optional<Damage> parse_damage(std::string_view text) {
  const auto take_line = [&text] {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return std::string(line);
  };
  Damage damage{.condemned = take_line(), .kept = take_line(), .why = std::string(text)};
  if (!is_generation(damage.condemned) || !is_generation(damage.kept)) return std::nullopt;
  while (damage.why.ends_with('\n')) damage.why.pop_back();
  return damage;
}

std::expected<void, Error> remove_seals(const std::string& generation) {
  std::error_code code;
  for (fs::directory_iterator it(generation, code), end; !code && it != end; it.increment(code))
    if (it->path().extension() == kSealSuffix && unlink(it->path().c_str()) != 0 && errno != ENOENT)
      return failure_errno(it->path(), "remove the seal");
  return {};
}

}  // namespace

std::expected<void, Error> sync_folder(const std::string& path) {
  auto folder = File::open(path, O_RDONLY | O_DIRECTORY, "sync the folder");
  if (!folder) return std::unexpected(std::move(folder.error()));
  return folder->sync();
}

DataFolder::DataFolder(DataFolder&& other) noexcept
    : path_(std::move(other.path_)),
      lock_(std::exchange(other.lock_, -1)),
      generation_(std::move(other.generation_)),
      damage_(std::move(other.damage_)) {}

DataFolder::~DataFolder() {
  if (lock_ >= 0) ::close(lock_);
}

std::expected<DataFolder, Error> DataFolder::open(const std::string& path) {
  if (auto made = make_folder(path); !made) return std::unexpected(std::move(made.error()));
  const std::string lock_path = path + "/LOCK";
  auto lock = File::open(lock_path, O_RDWR | O_CREAT, "open the lock (is the data folder writable?)");
  if (!lock) return std::unexpected(std::move(lock.error()));
  if (flock(lock->descriptor(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return failure_errno(lock_path, "lock");
    return failure(Errc::in_use, path,
                   "the data folder is in use by process " + read_text(lock->descriptor()) +
                       "; stop that process or give this node a folder of its own");
  }
  // Only said in the message above: the lock itself is flock's and ends with the process, however it ends.
  const std::string holder = std::to_string(getpid());
  if (ftruncate(lock->descriptor(), 0) != 0) return failure_errno(lock_path, "write");
  if (auto written = lock->write_at(0, holder); !written) return std::unexpected(std::move(written.error()));

  DataFolder folder(path, lock->release());
  if (auto found = folder.find_generation(); !found) return std::unexpected(std::move(found.error()));
  if (auto found = folder.find_damage(); !found) return std::unexpected(std::move(found.error()));
  return folder;
}

std::expected<void, Error> DataFolder::find_generation() {
  const std::string current_path = path_ + "/CURRENT";
  if (!exists(current_path)) {
    if (exists(path_ + kRestoringName))
      return failure(Errc::setup, path_,
                     "a backup is being restored here, or was and did not come to its end; then remove the folder and "
                     "restore again");
    auto generations = list_generations(path_);
    if (!generations) return std::unexpected(std::move(generations.error()));
    if (generations->empty() || exists(path_ + "/CREATING")) return {};
    return failure(Errc::damaged, current_path,
                   "is missing, but there is data in " + generations->back() +
                       "; put the file back (one line: the generation's name), or move the whole data folder away: the "
                       "node then joins as a new member");
  }
  const auto current = File::open(current_path, O_RDONLY, "read");
  if (!current) return std::unexpected(current.error());
  std::string name = read_text(current->descriptor());
  if (name.ends_with('\n')) name.pop_back();
  if (!is_generation(name) || !exists(path_ + "/" + name))
    return failure(Errc::damaged, current_path,
                   "does not name a generation that exists; put its name back, or move the whole data folder away: the "
                   "node then joins as a new member");
  generation_ = path_ + "/" + name;
  // Left over if the last step of adopt, or of finish_generation, was cut short.
  std::error_code code;
  if (fs::remove_all(path_ + kRestoringName, code); code)
    return failure(Errc::setup, path_, "cannot remove what a restore left: " + code.message());
  if (unlink((path_ + "/CREATING").c_str()) != 0 && errno != ENOENT) return failure_errno(path_, "tidy up");
  return {};
}

std::string DataFolder::next_generation() const {
  const std::uint64_t number =
      generation_ ? std::stoull(generation_->substr(generation_->size() - kGenerationDigits)) + 1 : 1;
  const std::string digits = std::to_string(number);
  return path_ + "/" + std::string(kGenerationPrefix) + std::string(kGenerationDigits - digits.size(), '0') + digits;
}

std::expected<std::string, Error> DataFolder::begin_generation() {
  if (!generation_) {
    // Durable before there is anything beside it.
    if (auto marked = write_file(path_ + "/CREATING", ""); !marked) return std::unexpected(std::move(marked.error()));
    if (auto synced = sync_folder(path_); !synced) return std::unexpected(std::move(synced.error()));
  }
  std::string generation = next_generation();
  if (auto removed = remove_generation(generation); !removed) return std::unexpected(std::move(removed.error()));
  if (mkdir(generation.c_str(), kFolderMode) != 0) return failure_errno(generation, "make the folder");
  if (auto synced = sync_folder(path_); !synced) return std::unexpected(std::move(synced.error()));
  return generation;
}

std::expected<void, Error> DataFolder::finish_generation() {
  const std::string generation = next_generation();
  if (auto synced = sync_folder(generation); !synced) return synced;
  if (auto named = put_in_place(path_, path_ + "/CURRENT", generation.substr(path_.size() + 1) + "\n"); !named)
    return named;
  const bool first = !generation_;
  generation_ = generation;
  if (first && unlink((path_ + "/CREATING").c_str()) != 0) return failure_errno(path_, "tidy up");
  return {};
}

std::expected<void, Error> DataFolder::adopt(const std::string& generation) {
  auto begun = begin_generation();
  if (!begun) return std::unexpected(std::move(begun.error()));
  // Takes the place of the empty one.
  if (std::rename(generation.c_str(), begun->c_str()) != 0) return failure_errno(*begun, "put in place");
  // Durable before CURRENT names it: the other order would leave an empty generation, and what is left be removed.
  if (auto synced = sync_folder(path_); !synced) return synced;
  if (auto finished = finish_generation(); !finished) return finished;
  std::error_code code;
  if (fs::remove_all(path_ + kRestoringName, code); code)
    return failure(Errc::io, path_, "is restored, but what was needed for it is still there: " + code.message());
  return {};
}

std::expected<void, Error> DataFolder::remove_other_generations() {
  auto names = list_generations(path_);
  if (!names) return std::unexpected(std::move(names.error()));
  for (const std::string& name : *names) {
    const std::string generation = path_ + "/" + name;
    if (generation == generation_ || (damage_ && damage_->kept == name)) continue;
    if (auto removed = remove_generation(generation); !removed) return removed;
  }
  return {};
}

std::expected<void, Error> DataFolder::find_damage() {
  const std::string path = path_ + kDamagedName;
  if (!exists(path)) return {};
  const auto file = File::open(path, O_RDONLY, "read");
  if (!file) return std::unexpected(file.error());
  const auto size = file->size();
  if (!size) return std::unexpected(size.error());
  std::string text(std::min(*size, kDamagedBytesMax), '\0');
  if (auto read = file->read_at(0, text); !read) return read;
  damage_ = parse_damage(text);
  if (!damage_)
    return failure(Errc::damaged, path,
                   "does not name a generation; remove the file, then everything in " + path_ + " is looked at again");
  return {};
}

std::expected<void, Error> condemn_folder(const std::string& path, const std::string& why) {
  auto folder = DataFolder::open(path);
  if (!folder) return std::unexpected(std::move(folder.error()));
  if (!folder->generation()) return failure(Errc::damaged, path, why);
  return folder->condemn(why);
}

bool DataFolder::is_condemned() const {
  return damage_ && generation_ && path_ + "/" + damage_->condemned == *generation_;
}

std::expected<void, Error> DataFolder::condemn(const std::string& why) {
  const std::string name = generation_->substr(path_.size() + 1);
  Damage damage{.condemned = name, .kept = damage_ ? damage_->kept : name, .why = why};
  if (auto removed = remove_seals(*generation_); !removed) return removed;
  const std::string text = damage.condemned + "\n" + damage.kept + "\n" + damage.why + "\n";
  if (auto written = put_in_place(path_, path_ + kDamagedName, text); !written) return written;
  damage_ = std::move(damage);
  return {};
}

std::expected<std::vector<std::string>, Error> DataFolder::forget_damage() {
  if (!damage_) return {};
  const std::string path = path_ + kDamagedName;
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return failure_errno(path, "remove");
  if (auto synced = sync_folder(path_); !synced) return std::unexpected(std::move(synced.error()));
  std::vector<std::string> left{path_ + "/" + damage_->kept};
  damage_.reset();
  if (left.front() == generation_) left.clear();
  return left;
}

}  // namespace weir::storage
