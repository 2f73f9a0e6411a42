#include "tests/storage/disk_recorder.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <mutex>
#include <utility>

#include "tests/storage/flush_hook.hpp"
#include "tests/storage/sample.hpp"

namespace weir::storage {
namespace {

constexpr std::size_t kSector = 512;

std::mutex& recorder_mutex() {
  static std::mutex mutex;
  return mutex;
}
DiskRecorder*& current() {
  static DiskRecorder* recorder = nullptr;
  return recorder;
}

std::string path_of(int descriptor) {
  std::array<char, 4096> buffer{};
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  const ssize_t size = readlink(link.c_str(), buffer.data(), buffer.size());
  return {buffer.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

// The file's name as seen from the folder, if it is in there.
std::string name_in(const std::string& folder, const std::string& path) {
  if (!path.starts_with(folder + "/") || path.ends_with("-lock") || path.find(" (deleted)") != std::string::npos)
    return {};
  return path.substr(folder.size() + 1);
}

std::string folder_of(const std::string& name) {
  const auto slash = name.rfind('/');
  return slash == std::string::npos ? std::string() : name.substr(0, slash);
}

void apply(std::map<std::string, int>& names, const DiskOp& op) {
  switch (op.kind) {
    case DiskOp::Kind::create:
      names[op.name] = op.file;
      return;
    case DiskOp::Kind::unlink:
      names.erase(op.name);
      return;
    case DiskOp::Kind::rename:
      if (const auto it = names.find(op.name); it != names.end()) {
        const int file = it->second;
        names.erase(it);
        names[op.new_name] = file;
      }
      return;
    default:
      return;
  }
}

void apply(SparseFile& file, const DiskOp& op) {
  if (op.kind == DiskOp::Kind::grow) file.grow(op.offset);
  if (op.kind == DiskOp::Kind::write) file.write(op.offset, op.bytes);
}

// Any part of what was not flushed: nothing, all, some of the writes, some of their sectors.
void apply_some(SparseFile& file, const std::vector<DiskOp>& ops, std::mt19937_64& random) {
  const auto manner = random() % 4;
  for (const DiskOp& op : ops) {
    if (op.durable_at_once || manner == 1 || (manner == 2 && random() % 2 == 0)) {
      apply(file, op);
    } else if (manner == 3 && op.kind == DiskOp::Kind::write) {
      for (std::size_t at = 0; at < op.bytes.size(); at += kSector)
        if (random() % 8 != 0) file.write(op.offset + at, std::string_view(op.bytes).substr(at, kSector));
    }
  }
}

}  // namespace

void SparseFile::write(std::uint64_t offset, std::string_view bytes) {
  grow(offset + bytes.size());
  while (!bytes.empty()) {
    const std::size_t begin = offset % kPage;
    const std::size_t count = std::min(bytes.size(), kPage - begin);
    const std::string_view part = bytes.substr(0, count);
    auto it = pages_.find(offset / kPage);
    if (it == pages_.end() && part.find_first_not_of('\0') != std::string_view::npos)
      it = pages_.emplace(offset / kPage, std::string(kPage, '\0')).first;
    if (it != pages_.end()) it->second.replace(begin, count, part);
    offset += count;
    bytes.remove_prefix(count);
  }
}

void SparseFile::store(const std::string& path) const {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  EXPECT_GE(file, 0) << path;
  EXPECT_EQ(syscall(SYS_ftruncate, file, size_), 0);
  for (const auto& [number, page] : pages_) {
    const std::size_t count = std::min<std::uint64_t>(kPage, size_ - number * kPage);
    EXPECT_EQ(syscall(SYS_pwrite64, file, page.data(), count, number * kPage), static_cast<long>(count));
  }
  ::close(file);
}

SparseFile SparseFile::load(const std::string& path) {
  SparseFile file;
  file.write(0, read_file(path));
  return file;
}

DiskRecorder::DiskRecorder(const std::string& folder) : folder_(std::filesystem::canonical(folder).string()) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_)) {
    if (!entry.is_regular_file() || entry.path().string().ends_with("-lock")) continue;
    struct stat status{};
    EXPECT_EQ(stat(entry.path().c_str(), &status), 0);
    numbers_[status.st_ino] = next_number_;
    names_[name_in(folder_, entry.path().string())] = next_number_;
    files_[next_number_++] = SparseFile::load(entry.path().string());
  }
  const std::scoped_lock lock(recorder_mutex());
  EXPECT_EQ(current(), nullptr);
  current() = this;
}

DiskRecorder::~DiskRecorder() {
  const std::scoped_lock lock(recorder_mutex());
  if (current() == this) current() = nullptr;
}

std::vector<DiskOp> DiskRecorder::stop() {
  const std::scoped_lock lock(recorder_mutex());
  current() = nullptr;
  return std::exchange(ops_, {});
}

void DiskRecorder::mark(std::uint64_t number) {
  const std::scoped_lock lock(recorder_mutex());
  DiskOp op;
  op.kind = DiskOp::Kind::mark;
  op.offset = number;
  ops_.push_back(std::move(op));
}

// The file behind a descriptor; a file seen for the first time is noted as created.
bool DiskRecorder::find(int descriptor, DiskOp& op) {
  op.name = name_in(folder_, path_of(descriptor));
  struct stat status{};
  if (op.name.empty() || fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return false;
  const auto [it, fresh] = numbers_.emplace(status.st_ino, next_number_);
  op.file = it->second;
  if (fresh) {
    ++next_number_;
    DiskOp create;
    create.kind = DiskOp::Kind::create;
    create.file = op.file;
    create.name = op.name;
    ops_.push_back(std::move(create));
  }
  return true;
}

void DiskRecorder::note_write(int descriptor, std::uint64_t offset, std::string_view bytes) {
  const std::scoped_lock lock(recorder_mutex());
  DiskOp op;
  if (current() == nullptr || !current()->find(descriptor, op)) return;
  op.kind = DiskOp::Kind::write;
  op.offset = offset;
  op.bytes = bytes;
  op.durable_at_once = (fcntl(descriptor, F_GETFL) & O_DSYNC) != 0;
  current()->ops_.push_back(std::move(op));
}

void DiskRecorder::note_grow(int descriptor, std::uint64_t size) {
  const std::scoped_lock lock(recorder_mutex());
  DiskOp op;
  if (current() == nullptr || !current()->find(descriptor, op)) return;
  op.kind = DiskOp::Kind::grow;
  op.offset = size;
  current()->ops_.push_back(std::move(op));
}

void DiskRecorder::note_flush(int descriptor) {
  const std::scoped_lock lock(recorder_mutex());
  if (current() == nullptr) return;
  DiskOp op;
  struct stat status{};
  const std::string path = path_of(descriptor);
  const bool is_folder = fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode);
  if (is_folder && (path == current()->folder_ || path.starts_with(current()->folder_ + "/"))) {
    op.kind = DiskOp::Kind::flush_folder;
    op.name = name_in(current()->folder_, path);
  } else if (current()->find(descriptor, op)) {
    op.kind = DiskOp::Kind::flush;
  } else {
    return;
  }
  current()->ops_.push_back(std::move(op));
}

void DiskRecorder::note_rename(const char* from, const char* to) {
  const std::scoped_lock lock(recorder_mutex());
  if (current() == nullptr) return;
  DiskOp op;
  op.kind = DiskOp::Kind::rename;
  op.name = name_in(current()->folder_, from);
  op.new_name = name_in(current()->folder_, to);
  if (!op.name.empty()) current()->ops_.push_back(std::move(op));
}

void DiskRecorder::note_replaced(const char* path) {
  const std::scoped_lock lock(recorder_mutex());
  struct stat status{};
  if (current() != nullptr && stat(path, &status) == 0) current()->numbers_.erase(status.st_ino);
}

void DiskRecorder::note_unlink(const char* path) {
  const std::scoped_lock lock(recorder_mutex());
  if (current() == nullptr) return;
  DiskOp op;
  op.kind = DiskOp::Kind::unlink;
  op.name = name_in(current()->folder_, path);
  struct stat status{};
  if (op.name.empty() || stat(path, &status) != 0 || !S_ISREG(status.st_mode)) return;
  // The system may give the number to the next file.
  current()->numbers_.erase(status.st_ino);
  current()->ops_.push_back(std::move(op));
}

void PowerCuts::pass(const DiskOp& op) {
  switch (op.kind) {
    case DiskOp::Kind::write:
    case DiskOp::Kind::grow:
      unflushed_[op.file].push_back(op);
      return;
    case DiskOp::Kind::flush:
      for (const DiskOp& pending : std::exchange(unflushed_[op.file], {})) apply(files_[op.file], pending);
      return;
    case DiskOp::Kind::flush_folder:
      for (const DiskOp& pending : unflushed_names_)
        if (folder_of(pending.name) == op.name) apply(names_, pending);
      std::erase_if(unflushed_names_, [&op](const DiskOp& pending) { return folder_of(pending.name) == op.name; });
      return;
    case DiskOp::Kind::mark:
      return;
    default:
      unflushed_names_.push_back(op);
  }
}

void PowerCuts::cut(const std::string& folder, std::mt19937_64& random) const {
  // File systems journal names in order: some of the first of them are there.
  std::map<std::string, int> names = names_;
  const std::size_t count = random() % (unflushed_names_.size() + 1);
  for (std::size_t at = 0; at < count; ++at) apply(names, unflushed_names_[at]);
  for (const auto& [name, number] : names) {
    const auto durable = files_.find(number);
    SparseFile file = durable == files_.end() ? SparseFile() : durable->second;
    if (const auto pending = unflushed_.find(number); pending != unflushed_.end())
      apply_some(file, pending->second, random);
    std::filesystem::create_directories(folder + "/" + folder_of(name));
    file.store(folder + "/" + name);
  }
}

}  // namespace weir::storage

extern "C" {

ssize_t pwrite(int file, const void* bytes, size_t size, off_t offset) {
  const ssize_t done = syscall(SYS_pwrite64, file, bytes, size, offset);
  if (done > 0)
    weir::storage::DiskRecorder::note_write(file, static_cast<std::uint64_t>(offset),
                                            {static_cast<const char*>(bytes), static_cast<std::size_t>(done)});
  return done;
}

ssize_t writev(int file, const struct iovec* parts, int count) {
  const off_t offset = lseek(file, 0, SEEK_CUR);
  const ssize_t done = syscall(SYS_writev, file, parts, count);
  auto at = static_cast<std::uint64_t>(offset);
  auto left = static_cast<std::size_t>(std::max<ssize_t>(done, 0));
  for (int part = 0; part < count && left > 0 && offset >= 0; ++part) {
    const std::size_t size = std::min(left, parts[part].iov_len);
    weir::storage::DiskRecorder::note_write(file, at, {static_cast<const char*>(parts[part].iov_base), size});
    at += size;
    left -= size;
  }
  return done;
}

int fsync(int file) {
  if (weir::storage::FolderFlushFails::applies_to(file)) {
    errno = EIO;
    return -1;
  }
  const int done = static_cast<int>(syscall(SYS_fsync, file));
  if (done == 0) weir::storage::DiskRecorder::note_flush(file);
  return done;
}

int fallocate(int file, int mode, off_t offset, off_t size) {
  const int done = static_cast<int>(syscall(SYS_fallocate, file, mode, offset, size));
  if (done == 0) weir::storage::DiskRecorder::note_grow(file, static_cast<std::uint64_t>(offset + size));
  return done;
}

int rename(const char* from, const char* to) noexcept {
  weir::storage::DiskRecorder::note_replaced(to);
  const int done = static_cast<int>(syscall(SYS_rename, from, to));
  if (done == 0) weir::storage::DiskRecorder::note_rename(from, to);
  return done;
}

int unlinkat(int folder, const char* path, int flags) noexcept {
  const std::string whole = folder == AT_FDCWD ? path : weir::storage::path_of(folder) + "/" + path;
  weir::storage::DiskRecorder::note_unlink(whole.c_str());
  return static_cast<int>(syscall(SYS_unlinkat, folder, path, flags));
}

int unlink(const char* path) noexcept {
  weir::storage::DiskRecorder::note_unlink(path);
  return static_cast<int>(syscall(SYS_unlink, path));
}
}
