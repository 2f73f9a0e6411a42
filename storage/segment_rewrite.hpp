// A file of the log, written once more without what is retained no longer: the same indexes and terms, what is kept
// byte for byte, and in place of everything else hollow entries, which have no data (docs/decisions/0023).
//
// Thread rule: one thread at a time. Nobody waits for it: the file it reads has rolled, and the one it writes is
// nobody's until the store lists it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "storage/lmdb_log_store.hpp"

namespace weir::storage {

class SegmentRewrite {
 public:
  struct Source {
    std::shared_ptr<const Segment> segment;  ///< one that has rolled
    raft::Index end;                         ///< behind the last entry that counts
    ChainEnd chain;                          ///< what the next file goes on from
  };

  /// A beginning beside the file; what is left of another goes.
  [[nodiscard]] static std::expected<std::unique_ptr<SegmentRewrite>, Error> begin(Source source);
  SegmentRewrite(const SegmentRewrite&) = delete;
  SegmentRewrite& operator=(const SegmentRewrite&) = delete;
  /// Removes what was written, unless it was taken.
  ~SegmentRewrite();

  [[nodiscard]] const Source& source() const { return source_; }
  /// As LogStore::rewrite. Behind `refused` and errors it is of no use any more.
  [[nodiscard]] std::expected<RewriteAnswer, Error> go_on(const KeepEntry& keep, std::size_t bytes_max);
  [[nodiscard]] bool is_ready() const { return finished_ != nullptr; }
  /// Requires is_ready(). The file is the caller's from now on.
  [[nodiscard]] std::shared_ptr<const Segment> take();

 private:
  using Done = std::expected<void, Error>;
  SegmentRewrite(Source source, SegmentHead head, Env env);

  /// Reads on, at most so many bytes of the old file and a chunk.
  [[nodiscard]] Done copy(const KeepEntry& keep, std::size_t bytes_max);
  [[nodiscard]] Done take_chunk(raft::Index at, std::string_view value, const KeepEntry& keep);
  [[nodiscard]] Done put_chunk();
  /// All is copied: durable, verified, and under its own name.
  [[nodiscard]] Done finish();
  [[nodiscard]] Done check_against_source(const SegmentSeal& seal) const;
  [[nodiscard]] Done expect_chain_end() const;

  const Source source_;
  const SegmentHead head_;
  const std::string generation_;
  const std::uint64_t bytes_max_;  ///< of the new file: above, it is not worth it
  std::string path_;               ///< of what is written
  std::optional<Env> env_;         ///< until all is copied
  raft::Index next_;               ///< the entry that is looked at next
  std::uint64_t source_checksum_;  ///< of the chunk of the old file that was read last
  // The chunk that is being gathered.
  std::string body_;
  std::uint32_t count_ = 0;
  raft::Term last_term_;
  ChainEnd written_;  ///< the last chunk that was put
  std::uint64_t unflushed_ = 0;
  std::shared_ptr<const Segment> finished_;
  bool taken_ = false;
};

}  // namespace weir::storage
