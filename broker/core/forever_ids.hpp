// Ids that outlive their events: those of topics whose dedup is forever (docs/decisions/0022). Exact: a row has the
// whole source and id; a hash only says where to look.
// Runs on the core strand. Deterministic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "raft/types.hpp"
#include "storage/id_run.hpp"
#include "wire/event.hpp"

namespace weir::broker {

/// What the rows of all topics may come to. All nodes decide by it, so it is no setting of a node: as much memory as
/// dedup.memory_bytes gives to all other ids.
inline constexpr std::size_t kForeverBytesMax = std::size_t{256} << 20U;

/// An id inside its topic.
struct EventId {
  std::string_view source;
  std::string_view id;
};

struct ForeverRow {
  raft::Index log_index;  ///< of the entry that stored or claimed it
  raft::Offset offset;
  raft::Position position;  ///< 0 = of a claim, which has neither offset nor content
  std::uint64_t time_ms = 0;
  wire::Hash128 content{};  ///< wire::content_digest of the event
};

class ForeverIds {
 public:
  explicit ForeverIds(std::size_t bytes_max = kForeverBytesMax);
  ~ForeverIds();
  ForeverIds(ForeverIds&&) noexcept;
  ForeverIds& operator=(ForeverIds&&) noexcept;

  /// What a row counts for; about what it costs.
  [[nodiscard]] static std::size_t bytes_of(const EventId& id) { return kRowBytes + id.source.size() + id.id.size(); }
  /// For rows of so many bytes.
  [[nodiscard]] bool has_room(std::size_t bytes) const { return bytes_ + bytes <= bytes_max_; }

  /// `hash` is that of topic, source and id.
  [[nodiscard]] std::optional<ForeverRow> find(raft::TopicId topic, storage::IdHash hash, const EventId& id) const;
  /// Requires that it is not there. Never pauses for longer than an allocation of 2 MiB.
  void add(raft::TopicId topic, storage::IdHash hash, const EventId& id, const ForeverRow& row);
  /// Forgets all of a topic, at once.
  void clear(raft::TopicId topic);

  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] std::size_t bytes_max() const { return bytes_max_; }
  /// Of all rows, in whatever order they came; 0 while there are none.
  [[nodiscard]] std::uint64_t digest() const { return digest_; }

  /// How far a way through all rows has come; it begins at {}.
  struct Walk {
    std::size_t topic = 0;
    std::size_t row = 0;
  };
  using Visit = std::function<void(raft::TopicId, const EventId&, const ForeverRow&)>;
  /// Goes on by rows of `bytes` together; true at the end. Every row is met that is there from the beginning of the way
  /// to its end.
  bool visit(Walk& walk, std::size_t bytes, const Visit& found) const;

 private:
  /// 72 in its table, 4 for its place there, and what of a block is not used (measured: docs/decisions/0022).
  static constexpr std::size_t kRowBytes = 80;
  class Table;

  std::size_t bytes_max_;
  std::vector<std::unique_ptr<Table>> tables_;  ///< by TopicId; null: no row
  std::uint64_t size_ = 0;
  std::size_t bytes_ = 0;
  std::uint64_t digest_ = 0;
};

}  // namespace weir::broker
