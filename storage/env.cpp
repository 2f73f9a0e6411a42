#include "storage/env.hpp"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace weir::storage {
namespace {

// NOSUBDIR: several files share a folder. NOTLS: a read transaction belongs to an object, not to a thread. Never
// WRITEMAP: many times the writes.
unsigned flags_of(const Env::Options& options) {
  unsigned flags = MDB_NOSUBDIR | MDB_NOTLS;
  if (options.access == Env::Access::read) flags |= MDB_RDONLY | MDB_NOLOCK;
  if (options.flush == Flush::data) flags |= MDB_NOMETASYNC;
  if (options.flush == Flush::none) flags |= MDB_NOSYNC;
  return flags;
}

constexpr mdb_mode_t kFileMode = 0600;
// The unnamed table, the only one used; LMDB numbers it so.
constexpr MDB_dbi kTable = 1;
// Disk space is taken in steps of this size: one fallocate per so many bytes, and at most so much unused.
constexpr std::uint64_t kReserveStep = std::uint64_t{8} << 20U;
// What a call writes beside its rows: copies of the path to the root (two tables, a few levels) and the list of freed
// pages, 8 bytes for each page freed, at most every page of the file, which kFreeListShare pays for.
constexpr std::uint64_t kCommitOverhead = std::uint64_t{128} << 10U;
constexpr std::uint64_t kFreeListShare = 256;

Errc errc_of(int code) {
  switch (code) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case MDB_MAP_FULL:
      return Errc::disk_full;
    case MDB_CORRUPTED:
    case MDB_INVALID:
    case MDB_PAGE_NOTFOUND:
    case MDB_CURSOR_FULL:
    case MDB_PAGE_FULL:
      return Errc::damaged;
    case MDB_VERSION_MISMATCH:
      return Errc::version;
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOENT:
    case ENAMETOOLONG:
      return Errc::setup;
    default:
      return Errc::io;
  }
}

std::unexpected<Error> failure(const std::string& path, const char* action, int code) {
  return std::unexpected(Error{errc_of(code), path + ": cannot " + action + ": " + mdb_strerror(code)});
}

MDB_val to_val(std::string_view bytes) {
  // LMDB does not write through the keys and values it is given.
  return {bytes.size(), const_cast<char*>(bytes.data())};
}

std::string_view to_view(const MDB_val& value) {
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}

// A table has to be opened once before use. Readers that a killed process left behind are cleared on the way.
int prepare(MDB_env* env) {
  int dead_readers = 0;
  if (const int code = mdb_reader_check(env, &dead_readers); code != 0) return code;
  MDB_txn* txn = nullptr;
  if (const int code = mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn); code != 0) return code;
  MDB_dbi table = 0;
  const int code = mdb_dbi_open(txn, nullptr, 0, &table);
  mdb_txn_abort(txn);
  return code;
}

// Takes disk space up to `end`. Where the file system cannot (EOPNOTSUPP) the file only becomes that long: then a
// full disk shows in the commit itself, as an io error.
int take_space(int fd, std::uint64_t begin, std::uint64_t end) {
  if (fallocate(fd, 0, static_cast<off_t>(begin), static_cast<off_t>(end - begin)) == 0) return 0;
  if (errno != EOPNOTSUPP) return errno;
  return ftruncate(fd, static_cast<off_t>(end)) == 0 ? 0 : errno;
}

// LMDB maps its lock file and writes into it. Where the file system has no block for a page of it, that is no error but
// a SIGBUS: so all of its blocks are taken before.
int take_lock_file(const std::string& path, std::uint32_t readers_max) {
  constexpr std::uint64_t kPageBytes = 4096;
  constexpr std::uint64_t kReaderBytes = 64;
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, kFileMode);
  if (fd < 0) return errno;
  const std::uint64_t pages = 1 + (readers_max * kReaderBytes + kPageBytes - 1) / kPageBytes;
  const int code = posix_fallocate(fd, 0, static_cast<off_t>(pages * kPageBytes));
  close(fd);
  if (code != 0) static_cast<void>(unlink(path.c_str()));
  return code;
}

}  // namespace

void Env::Closer::operator()(MDB_env* env) const noexcept {
  mdb_env_close(env);
}
void Cursor::Closer::operator()(MDB_cursor* cursor) const noexcept {
  mdb_cursor_close(cursor);
}
void Txn::Aborter::operator()(MDB_txn* txn) const noexcept {
  mdb_txn_abort(txn);
}

std::expected<Env, Error> Env::open(Options options) {
  MDB_env* raw = nullptr;
  if (const int code = mdb_env_create(&raw); code != 0) return failure(options.path, "create an environment", code);
  std::unique_ptr<MDB_env, Closer> env(raw);
  int code = mdb_env_set_mapsize(raw, options.map_bytes);
  if (code == 0) code = mdb_env_set_maxreaders(raw, options.readers_max);
  if (code == 0 && options.access == Access::write) code = take_lock_file(options.path + "-lock", options.readers_max);
  if (code == 0) code = mdb_env_open(raw, options.path.c_str(), flags_of(options), kFileMode);
  if (code == 0) code = prepare(raw);
  MDB_stat stat{};
  if (code == 0) code = mdb_env_stat(raw, &stat);
  int fd = -1;
  if (code == 0) code = mdb_env_get_fd(raw, &fd);
  if (code != 0) return failure(options.path, "open", code);
  // The folder's own lock says that nobody else comes; a name left behind would be taken for another file's lock.
  static_cast<void>(unlink((options.path + "-lock").c_str()));
  struct stat file{};
  if (fstat(fd, &file) != 0) return failure(options.path, "open", errno);
  return Env(std::move(options), std::move(env), stat.ms_psize, static_cast<std::uint64_t>(file.st_size));
}

std::uint64_t Env::used_bytes() const {
  MDB_envinfo info{};
  mdb_env_info(env_.get(), &info);
  return (info.me_last_pgno + 1) * page_size_;
}

int Env::descriptor() const {
  int descriptor = -1;
  mdb_env_get_fd(env_.get(), &descriptor);
  return descriptor;
}

std::uint64_t Env::bytes_with(std::uint64_t bytes) const {
  const std::uint64_t used = used_bytes();
  return used + bytes + kCommitOverhead + used / kFreeListShare;
}

std::expected<void, Error> Env::sync() {
  if (const int code = mdb_env_sync(env_.get(), 1); code != 0) return failure(options_.path, "flush", code);
  return {};
}

std::expected<void, Error> Env::reserve(std::uint64_t bytes) {
  const std::uint64_t end = bytes_with(bytes);
  if (end <= allocated_bytes_) return {};
  if (end > options_.map_bytes) return failure(options_.path, "grow", MDB_MAP_FULL);
  const int fd = descriptor();
  const std::uint64_t step_end = std::min((end + kReserveStep - 1) / kReserveStep * kReserveStep, options_.map_bytes);
  for (const std::uint64_t target : {step_end, end}) {
    const int code = take_space(fd, allocated_bytes_, target);
    if (code == 0) {
      allocated_bytes_ = target;
      return {};
    }
    if (target == end || errc_of(code) != Errc::disk_full) return failure(options_.path, "grow", code);
  }
  return {};
}

std::expected<std::optional<Row>, Error> Cursor::move_to(std::string_view key, unsigned operation) {
  MDB_val found_key = to_val(key);
  MDB_val value{};
  const int code = mdb_cursor_get(cursor_.get(), &found_key, &value, static_cast<MDB_cursor_op>(operation));
  if (code == MDB_NOTFOUND) return std::nullopt;
  if (code != 0) return failure(*path_, "read", code);
  return Row{to_view(found_key), to_view(value)};
}

std::expected<std::optional<Row>, Error> Cursor::seek_at_or_before(std::string_view key) {
  auto at_or_after = move_to(key, MDB_SET_RANGE);
  if (!at_or_after) return at_or_after;
  if (!*at_or_after) return move_to({}, MDB_LAST);
  if ((*at_or_after)->key == key) return at_or_after;
  return move_to({}, MDB_PREV);
}

std::expected<std::optional<Row>, Error> Cursor::next() {
  return move_to({}, MDB_NEXT);
}

std::expected<std::optional<std::string_view>, Error> Txn::get(std::string_view key) const {
  MDB_val wanted = to_val(key);
  MDB_val value{};
  const int code = mdb_get(txn_.get(), kTable, &wanted, &value);
  if (code == MDB_NOTFOUND) return std::nullopt;
  if (code != 0) return failure(*path_, "read", code);
  return to_view(value);
}

std::expected<Cursor, Error> Txn::cursor() const {
  MDB_cursor* cursor = nullptr;
  if (const int code = mdb_cursor_open(txn_.get(), kTable, &cursor); code != 0) return failure(*path_, "read", code);
  return Cursor(*path_, std::unique_ptr<MDB_cursor, Cursor::Closer>(cursor));
}

std::expected<std::unique_ptr<MDB_txn, Txn::Aborter>, Error> Txn::start(const Env& env, Kind kind) {
  MDB_txn* txn = nullptr;
  const unsigned flags = kind == Kind::read ? MDB_RDONLY : 0U;
  if (const int code = mdb_txn_begin(env.env_.get(), nullptr, flags, &txn); code != 0)
    return failure(env.path(), kind == Kind::read ? "begin to read" : "begin to write", code);
  return std::unique_ptr<MDB_txn, Aborter>(txn);
}

std::expected<ReadTxn, Error> ReadTxn::begin(const Env& env) {
  auto txn = start(env, Kind::read);
  if (!txn) return std::unexpected(std::move(txn.error()));
  return ReadTxn(env, std::move(*txn));
}

std::expected<WriteTxn, Error> WriteTxn::begin(Env& env) {
  auto txn = start(env, Kind::write);
  if (!txn) return std::unexpected(std::move(txn.error()));
  return WriteTxn(env, std::move(*txn));
}

std::expected<void, Error> WriteTxn::put(std::string_view key, std::string_view value) {
  MDB_val where = to_val(key);
  MDB_val what = to_val(value);
  if (const int code = mdb_put(txn_.get(), kTable, &where, &what, 0); code != 0) return failure(*path_, "write", code);
  return {};
}

std::expected<std::span<char>, Error> WriteTxn::append(std::string_view key, std::size_t size) {
  MDB_val where = to_val(key);
  MDB_val room{size, nullptr};
  const int code = mdb_put(txn_.get(), kTable, &where, &room, MDB_APPEND | MDB_RESERVE);
  if (code != 0) return failure(*path_, "append", code);
  return std::span<char>(static_cast<char*>(room.mv_data), size);
}

std::expected<void, Error> WriteTxn::erase_from(std::string_view key) {
  MDB_cursor* raw = nullptr;
  if (const int code = mdb_cursor_open(txn_.get(), kTable, &raw); code != 0) return failure(*path_, "truncate", code);
  int code = 0;
  while (code == 0) {
    MDB_val at = to_val(key);
    MDB_val value{};
    code = mdb_cursor_get(raw, &at, &value, MDB_SET_RANGE);
    if (code == 0) code = mdb_cursor_del(raw, 0);
  }
  mdb_cursor_close(raw);
  if (code != MDB_NOTFOUND) return failure(*path_, "truncate", code);
  return {};
}

std::expected<void, Error> WriteTxn::commit() {
  // mdb_txn_commit frees the transaction whatever it returns.
  if (const int code = mdb_txn_commit(txn_.release()); code != 0) return failure(*path_, "commit", code);
  return {};
}

}  // namespace weir::storage
