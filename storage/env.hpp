// LMDB behind types that clean up after themselves: one data file, its transactions, its cursors. env.cpp alone
// includes lmdb.h.
//
// Thread rule: one thread at a time has a WriteTxn; a ReadTxn belongs to the thread that made it, lives inside one
// function, and sees the file as of its beginning. Views end with their transaction. An Env outlives its transactions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "storage/error.hpp"

struct MDB_env;
struct MDB_txn;
struct MDB_cursor;

namespace weir::storage {

struct Row {
  std::string_view key;
  std::string_view value;
};

/// What a commit waits for.
enum class Flush : std::uint8_t {
  data_and_meta = 1,  ///< both of LMDB's flushes: what is committed is there after a power cut
  data = 2,           ///< the pages only: a power cut may undo the last commit, whose pages are on disk all the same
  none = 3,           ///< nothing: a power cut may wreck the file
};

class Env {
 public:
  enum class Access : std::uint8_t { write = 1, read = 2 };
  struct Options {
    std::string path;  ///< the data file; LMDB puts its lock file beside it as path + "-lock"
    /// Address space taken, and the most the file can grow to. Memory and disk are used only as far as written.
    std::uint64_t map_bytes = 0;
    /// Simultaneous ReadTxns; one more fails. Not bounded with Access::read.
    std::uint32_t readers_max = 1;
    /// read: the file must exist and nobody may write to it; no lock file is made.
    Access access = Access::write;
    Flush flush = Flush::data_and_meta;
  };

  /// Creates the file if there is none. The lock file is removed at once: the folder has a lock of its own. A file that
  /// exists was checked by visit_rows (page_file.hpp) before: LMDB trusts what it maps.
  [[nodiscard]] static std::expected<Env, Error> open(Options options);

  [[nodiscard]] const std::string& path() const { return options_.path; }
  /// The data file was renamed; LMDB itself knows it by its descriptor.
  void moved_to(std::string path) { options_.path = std::move(path); }
  [[nodiscard]] std::size_t page_size() const { return page_size_; }

  /// The file's first so many bytes are all that LMDB uses of it: of one that nobody writes to, the whole content.
  [[nodiscard]] std::uint64_t used_bytes() const;
  /// For plain reads, while the Env lives.
  [[nodiscard]] int descriptor() const;

  /// Takes disk space for `bytes` of new rows in advance, so that a full disk is met before a commit and not in the
  /// middle of one. disk_full if there is none, or if the map would be exceeded: nothing was written then.
  [[nodiscard]] std::expected<void, Error> reserve(std::uint64_t bytes);
  /// How long the file would have to be for reserve(bytes) to need nothing.
  [[nodiscard]] std::uint64_t bytes_with(std::uint64_t bytes) const;

  /// Whatever `flush` left out is durable when this returns.
  [[nodiscard]] std::expected<void, Error> sync();

 private:
  friend class Txn;
  struct Closer {
    void operator()(MDB_env* env) const noexcept;
  };
  Env(Options options, std::unique_ptr<MDB_env, Closer> env, std::size_t page_size, std::uint64_t allocated_bytes)
      : options_(std::move(options)), env_(std::move(env)), page_size_(page_size), allocated_bytes_(allocated_bytes) {}

  Options options_;
  std::unique_ptr<MDB_env, Closer> env_;
  std::size_t page_size_;
  std::uint64_t allocated_bytes_;  ///< the file has disk space up to here
};

/// Walks the rows of a transaction in key order (bytes compared as unsigned).
class Cursor {
 public:
  /// The last row with a key <= `key`.
  [[nodiscard]] std::expected<std::optional<Row>, Error> seek_at_or_before(std::string_view key);
  [[nodiscard]] std::expected<std::optional<Row>, Error> next();

 private:
  friend class Txn;
  struct Closer {
    void operator()(MDB_cursor* cursor) const noexcept;
  };
  Cursor(const std::string& path, std::unique_ptr<MDB_cursor, Closer> cursor)
      : path_(&path), cursor_(std::move(cursor)) {}
  [[nodiscard]] std::expected<std::optional<Row>, Error> move_to(std::string_view key, unsigned operation);

  const std::string* path_;
  std::unique_ptr<MDB_cursor, Closer> cursor_;
};

/// What reading and writing transactions share.
class Txn {
 public:
  [[nodiscard]] std::expected<std::optional<std::string_view>, Error> get(std::string_view key) const;
  [[nodiscard]] std::expected<Cursor, Error> cursor() const;

 protected:
  enum class Kind : std::uint8_t { read = 1, write = 2 };
  struct Aborter {
    void operator()(MDB_txn* txn) const noexcept;
  };
  static std::expected<std::unique_ptr<MDB_txn, Aborter>, Error> start(const Env& env, Kind kind);
  Txn(const Env& env, std::unique_ptr<MDB_txn, Aborter> txn) : path_(&env.path()), txn_(std::move(txn)) {}

  const std::string* path_;
  std::unique_ptr<MDB_txn, Aborter> txn_;
};

class ReadTxn : public Txn {
 public:
  [[nodiscard]] static std::expected<ReadTxn, Error> begin(const Env& env);

 private:
  using Txn::Txn;
};

/// Everything or, unless commit() succeeded, nothing.
class WriteTxn : public Txn {
 public:
  [[nodiscard]] static std::expected<WriteTxn, Error> begin(Env& env);

  /// Inserts or replaces.
  [[nodiscard]] std::expected<void, Error> put(std::string_view key, std::string_view value);
  /// Room for a row behind all others, to be filled by the caller before the next call. Requires the greatest key.
  [[nodiscard]] std::expected<std::span<char>, Error> append(std::string_view key, std::size_t size);
  /// Removes every row with a key >= `key`.
  [[nodiscard]] std::expected<void, Error> erase_from(std::string_view key);
  /// Durable when it returns, as far as Options::flush goes: LMDB flushes the data, then the meta page that points to
  /// it.
  [[nodiscard]] std::expected<void, Error> commit();

 private:
  using Txn::Txn;
};

}  // namespace weir::storage
