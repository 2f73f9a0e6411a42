// The data of log entries: FlatBuffers built once, sent, stored and read in place (wire/entry.fbs).
// Values only; views are safe to read from any thread.
//
// A publish request and a PUBLISH entry have the same format: a request is an entry with one Request in it. The edge
// builds it where the bytes arrive; it is forwarded as it is; the leader stamps log time into it and, where several
// wait, merges them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "raft/entry.hpp"
#include "wire/error.hpp"
#include "wire/event.hpp"
#include "wire/group.hpp"
#include "wire/topic.hpp"

namespace weir::wire {

/// DESIGN §4 Sizes.
inline constexpr std::size_t kEntryBytesMax = std::size_t{12} << 20U;
inline constexpr std::size_t kBatchEventsMax = 65'536;
inline constexpr std::size_t kBatchBytesMax = std::size_t{8} << 20U;
inline constexpr std::size_t kEventBytesMax = std::size_t{1} << 20U;
/// What PublishView::verify accepts at most: as much as a frame can carry, because a merged entry may be larger than
/// the sum of its requests (PublishView::merged_bytes_max), and what is in the log must never be refused for its size.
inline constexpr std::size_t kMergedBytesMax = std::size_t{16} << 20U;

/// XXH3-64 of `data`, seeded with the command's number. What Raft's Entry::checksum holds; 0 for a noop and for
/// a hollow one.
[[nodiscard]] std::uint64_t entry_checksum(raft::Command command, std::string_view data);
/// entry.checksum is right for entry.data.
[[nodiscard]] bool checksum_holds(const raft::Entry& entry);

/// "The topic's next offset is `next`", checked at apply before the request has any effect.
struct Expectation {
  std::string_view topic;
  raft::Offset next;
};

/// Builds one publish request. One use: add events, then finish().
class PublishBuilder {
 public:
  PublishBuilder();
  ~PublishBuilder();
  PublishBuilder(PublishBuilder&&) noexcept;
  PublishBuilder& operator=(PublishBuilder&&) noexcept;

  /// Copies what the views show.
  void add(const EventView& event);
  void expect(std::string_view topic, raft::Offset next);
  void commit(const GroupCommit& commit);
  /// The client's Idempotency-Key of the batch, at most 256 bytes.
  void set_request_id(std::string_view request_id);
  [[nodiscard]] std::size_t event_count() const;
  /// The finished FlatBuffer, time 0. too_large above kEntryBytesMax or kBatchEventsMax; malformed if it breaks a rule
  /// of the format (no event, a topic not of 1 to 255 bytes, an id above 256 bytes, an offset of 2^62 or more).
  [[nodiscard]] std::expected<raft::Bytes, Error> finish();

 private:
  struct Columns;
  std::unique_ptr<Columns> columns_;
};

struct RequestView {
  std::uint32_t first_event = 0;
  std::uint32_t event_count = 0;
  std::vector<Expectation> expectations;
  std::string_view request_id;       ///< empty = none
  std::vector<GroupCommit> commits;  ///< of a batch
};

/// A verified PUBLISH entry or request, read in place. Keeps its bytes alive; copies share them.
/// Ordinals and request numbers that are out of range are a broken precondition.
class PublishView {
 public:
  /// Runs the FlatBuffers verifier (depth and table limits) and every rule of the format: columns of equal length, ends
  /// ascending and inside their blobs, topic and content type numbers in range, requests that add up to all events.
  /// Nothing is read before that. Bytes that are not at an address divisible by 8 are copied first.
  [[nodiscard]] static std::expected<PublishView, Error> verify(raft::Bytes data);

  /// Log time, ms since 1970; 0 in a request that no leader has stamped.
  [[nodiscard]] std::uint64_t time_ms() const;
  [[nodiscard]] std::uint32_t request_count() const;
  [[nodiscard]] RequestView request(std::uint32_t number) const;
  [[nodiscard]] std::uint32_t event_count() const;
  /// The event with this ordinal. Headers are decoded; everything else is a view.
  [[nodiscard]] EventView event(std::uint32_t ordinal) const;
  /// The topic's number within this entry, 0 <= n < topics().size(), without decoding the event.
  [[nodiscard]] std::uint32_t topic_number(std::uint32_t ordinal) const;
  /// Distinct names, in order of first appearance.
  [[nodiscard]] const std::vector<std::string_view>& topics() const;
  [[nodiscard]] std::string_view id(std::uint32_t ordinal) const;
  [[nodiscard]] std::string_view source(std::uint32_t ordinal) const;
  [[nodiscard]] std::size_t body_size(std::uint32_t ordinal) const;
  [[nodiscard]] bool every_event_has_id() const;
  /// Requests that have a key of their own, or commit for a group, make BATCH entries; all others PUBLISH entries.
  [[nodiscard]] bool is_batch() const;
  [[nodiscard]] const raft::Bytes& bytes() const;
  /// At most so many bytes does this request add to an entry that it is merged into. Columns are all or nothing: one
  /// event with a key gives every event of the entry a place for one, so an entry can be larger than its requests.
  [[nodiscard]] std::size_t merged_bytes_max() const;

 private:
  friend raft::Bytes merge(std::span<const PublishView> requests, std::uint64_t time_ms);
  PublishView() = default;
  struct State;
  std::shared_ptr<const State> state_;
};

/// One entry out of several requests, in order, boundaries kept, stamped with log time. A lone request comes out with
/// its own bytes but for the time. Requires a non-empty span whose sizes add up to at most kEntryBytesMax. To keep the
/// result within kEntryBytesMax too, let the requests' merged_bytes_max() add up to no more than that; a lone request
/// always fits.
[[nodiscard]] raft::Bytes merge(std::span<const PublishView> requests, std::uint64_t time_ms);

/// DEDUP: ids claimed without events.
struct Claim {
  std::string topic;
  std::string source;
  std::string id;
  friend bool operator==(const Claim&, const Claim&) = default;
};
struct DedupEntry {
  std::uint64_t time_ms = 0;
  std::vector<Claim> claims;  ///< each a request of its own
  friend bool operator==(const DedupEntry&, const DedupEntry&) = default;
};
[[nodiscard]] raft::Bytes encode(const DedupEntry& entry);
[[nodiscard]] std::expected<DedupEntry, Error> decode_dedup(const raft::Bytes& data);

/// TOPIC: settings of topics, and topics that are removed.
struct TopicEntry {
  std::uint64_t time_ms = 0;
  std::vector<TopicChange> changes;  ///< each a request of its own
  friend bool operator==(const TopicEntry&, const TopicEntry&) = default;
};
[[nodiscard]] raft::Bytes encode(const TopicEntry& entry);
[[nodiscard]] std::expected<TopicEntry, Error> decode_topic(const raft::Bytes& data);

/// GROUP: consumer groups, their claims and commits.
struct GroupEntry {
  std::uint64_t time_ms = 0;
  std::vector<GroupChange> changes;  ///< each a request of its own
  friend bool operator==(const GroupEntry&, const GroupEntry&) = default;
};
[[nodiscard]] raft::Bytes encode(const GroupEntry& entry);
[[nodiscard]] std::expected<GroupEntry, Error> decode_group(const raft::Bytes& data);

/// RETAIN: what is kept no longer.
struct Floor {
  std::string topic;
  raft::Offset first_offset;  ///< events below are gone
  friend bool operator==(const Floor&, const Floor&) = default;
};
struct RetainEntry {
  std::uint64_t time_ms = 0;
  std::vector<Floor> floors;  ///< at most kFloorsMax
  raft::Index claims_before;  ///< claims made by earlier entries are forgotten
  friend bool operator==(const RetainEntry&, const RetainEntry&) = default;
};
/// One entry raises so many floors at most; the next one raises more.
inline constexpr std::size_t kFloorsMax = 1024;
[[nodiscard]] raft::Bytes encode(const RetainEntry& entry);
[[nodiscard]] std::expected<RetainEntry, Error> decode_retain(const raft::Bytes& data);

/// DIGEST: what members have made of the log up to one index (DESIGN §9).
struct Report {
  raft::NodeId node;
  std::uint64_t digest = 0;
  friend bool operator==(const Report&, const Report&) = default;
};
struct DigestEntry {
  std::uint64_t time_ms = 0;
  raft::Index index;
  std::vector<Report> reports;  ///< nodes ascending
  friend bool operator==(const DigestEntry&, const DigestEntry&) = default;
};
[[nodiscard]] raft::Bytes encode(const DigestEntry& entry);
[[nodiscard]] std::expected<DigestEntry, Error> decode_digest(const raft::Bytes& data);

/// CONFIG: who the members are.
enum class MemberKind : std::uint8_t {
  voter = 0,
  learner = 1,  ///< gets the log and counts for nothing
  joining = 2,  ///< a learner that the leader makes a voter as soon as it has caught up
  awaited = 3,  ///< lost its data folder: no member until it shows up empty, then joining
};
struct Member {
  raft::NodeId node;
  std::string name;
  std::string raft_address;  ///< host:port
  std::string http_address;
  std::uint64_t incarnation = 0;  ///< random per data folder: a wiped disk is another member (DESIGN §5)
  MemberKind kind = MemberKind::voter;
  friend bool operator==(const Member&, const Member&) = default;
};
struct ConfigEntry {
  std::string cluster_id;
  std::string epoch;  ///< 'e' + 8 base32 characters; the first half of every cursor
  std::vector<Member> members;
  friend bool operator==(const ConfigEntry&, const ConfigEntry&) = default;
};
[[nodiscard]] raft::Bytes encode(const ConfigEntry& entry);
[[nodiscard]] std::expected<ConfigEntry, Error> decode_config(const raft::Bytes& data);

/// A member's number: XXH3-64 of its name, never 0.
[[nodiscard]] raft::NodeId node_id(std::string_view name);

}  // namespace weir::wire
