// A log entry with its data decoded, shared between apply and readers, and a bounded cache of recent ones.
// DecodedEntry: immutable, any thread. EntryCache: core strand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "raft/entry.hpp"
#include "storage/error.hpp"
#include "wire/entry.hpp"

namespace weir::broker {

struct DecodedEntry {
  raft::Index index;
  raft::Term term;
  raft::Command command = raft::Command::noop;
  std::uint64_t checksum = 0;
  std::size_t data_bytes = 0;
  std::variant<std::monostate, wire::PublishView, wire::DedupEntry, wire::ConfigEntry, wire::RetainEntry,
               wire::DigestEntry, wire::TopicEntry, wire::GroupEntry>
      content;

  /// Of a BATCH entry too: events are read alike.
  [[nodiscard]] const wire::PublishView* publish() const { return std::get_if<wire::PublishView>(&content); }
  [[nodiscard]] const wire::DedupEntry* dedup() const { return std::get_if<wire::DedupEntry>(&content); }
  [[nodiscard]] const wire::RetainEntry* retain() const { return std::get_if<wire::RetainEntry>(&content); }
  [[nodiscard]] const wire::DigestEntry* digest() const { return std::get_if<wire::DigestEntry>(&content); }
  [[nodiscard]] const wire::TopicEntry* topic() const { return std::get_if<wire::TopicEntry>(&content); }
  [[nodiscard]] const wire::GroupEntry* group() const { return std::get_if<wire::GroupEntry>(&content); }
  /// The stamp the entry carries; 0 if it carries none.
  [[nodiscard]] std::uint64_t time_ms() const;
};
using DecodedEntryPtr = std::shared_ptr<const DecodedEntry>;

/// Checks the entry's checksum and its format. The error says what is wrong with it; a command of a later version is
/// one.
[[nodiscard]] std::expected<DecodedEntryPtr, std::string> decode(const raft::Entry& entry);

/// Entries that were rewritten: they must not be sent to anybody as entries.
[[nodiscard]] bool any_hollow(const std::vector<raft::Entry>& entries);

/// Of one that cannot be decoded although its checksum holds: a matter of versions, not of the disk (FAULTS 38).
[[nodiscard]] storage::Error not_understood(std::string why);
/// Of one that should have been left as it was when its file was rewritten.
[[nodiscard]] storage::Error unexpectedly_hollow(raft::Index index);
/// Of one that the log should have.
[[nodiscard]] storage::Error missing_entry(raft::Index index);

/// Least recently used entries go first when they weigh more than bytes_max; the newest always stays.
class EntryCache {
 public:
  explicit EntryCache(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  void put(const DecodedEntryPtr& entry);
  /// Null if it is not here.
  [[nodiscard]] DecodedEntryPtr find(raft::Index index);
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;             ///< weight of `order_`
  std::list<DecodedEntryPtr> order_;  ///< most recently used first
  std::unordered_map<raft::Index, std::list<DecodedEntryPtr>::iterator> places_;
};

}  // namespace weir::broker
