// The state machine as bytes, for its checkpoints (storage::Checkpoint). Internal to StateMachine. Values only.
//
// Numbers are little-endian. Both kinds begin alike; the checksum is XXH3-64 of all that follows it:
//
//     0 checksum u64    8 "WSTM" or "WSTD"    12 version u16 = 4    14 zero u16
//
// WSTM, the small tables, whole (version 1 has no settings, 1 and 2 have no groups, 1 to 3 no ids that outlive their
// events; all are read):
//
//     16 applied index u64      24 log time u64, ms         32 last position u64
//     40 first index u64: the log before it is needed by nothing   48 claims before u64 (wire::RetainEntry)
//     56 count of topics u32, then for each, in order of creation:
//        size of the name u16, name, time of its last event u64, first offset u64, removed to u64 (a position),
//        next offset u64, what follows u8: 1 age, 2 bytes, 4 count, 8 dedup: a u64 each, 0 = off, what is not there is
//        not set; 16 claims made by entries before this u64 (a log index) went with the topic; 32 the topic is removed;
//        64 dedup is forever: ids that entries from this u64 (a log index) on stored outlive their events
//     then the last lease u64, count of groups u32, then for each, in order of name:
//        size of the name u16, name; count of patterns u32, then so many {size u16, text}; committed u64, gap told u64
//        (positions), generation u64; count of ranges u32, then so many {to u64, u8 1 held 2 finished 3 free,
//        lease u64, expires u64, ms}; count of commits u32, then so many {lease u64, to u64}
//     then the count of ids that outlive their events u64 and their digest u64 (ForeverIds): deltas hold them all
//
// WSTD, what entries added, as records in log order, each after its kind (version 1 has no last, 1 to 3 have no kind 5;
// all are read):
//
//     u8 1  a row: log index u64, first position u64, time u64, stored u32,
//           count of skipped u32, then so many u32; count of topics u32, then so many {topic u32, count u32,
//           bytes of bodies u32, last u32 (storage::TopicPart), first offset u64}
//     u8 2  from here on ids are of the entry with this log index: u64
//     u8 3  an event's id, or a batch's key: high u64, low u64, ordinal u32 (21 bytes with its kind)
//     u8 4  a claim's: the same
//     u8 5  an id that outlives its event: topic u32, log index u64 of the entry that stored it, offset u64, position
//           u64 (0 = a claim), time u64, content digest high u64, low u64, size of the source u16, of the id u16,
//           source, id. One that stands in an older delta may come again, so that the older one may go; one whose topic
//           is forever no longer, or only since a later entry, does not count
//
// Ids of an entry stand before its row. A reader refuses every later version, and every other kind and byte left over.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "broker/core/forever_ids.hpp"
#include "storage/dedup_index.hpp"
#include "storage/event_index.hpp"

namespace weir::broker {

/// Collects a WSTD while entries are applied.
class DeltaWriter {
 public:
  enum class Kind : std::uint8_t { event = 3, claim = 4 };
  void add(const storage::EntryRow& row);
  void add(storage::IdHash hash, storage::IdPlace place, Kind kind);
  void add(raft::TopicId topic, const EventId& id, const ForeverRow& row);
  [[nodiscard]] std::size_t bytes() const { return records_.size(); }
  void clear();
  /// The image of what was added since the last call.
  [[nodiscard]] std::string take();

 private:
  std::string records_;
  raft::Index ids_of_;  ///< 0 = no record of kind 2 yet
};

/// Numbers and texts, one after the other. After the first that is not there everything is 0 or empty, and whole() is
/// false.
class ImageReader {
 public:
  /// Checks what both kinds begin with. Later versions are refused.
  [[nodiscard]] static std::expected<ImageReader, std::string> open(std::string_view image, std::string_view magic);

  [[nodiscard]] std::uint8_t u8() { return number<std::uint8_t>(); }
  [[nodiscard]] std::uint16_t u16() { return number<std::uint16_t>(); }
  [[nodiscard]] std::uint32_t u32() { return number<std::uint32_t>(); }
  [[nodiscard]] std::uint64_t u64() { return number<std::uint64_t>(); }
  [[nodiscard]] std::string_view text(std::size_t size);
  struct ForeverId {
    raft::TopicId topic;
    EventId id;  ///< in the image
    ForeverRow row;
  };
  /// A record of kind 5, behind its kind.
  [[nodiscard]] ForeverId forever_id();
  /// A count of things of at least `size` bytes each: more than can follow are none.
  [[nodiscard]] std::uint32_t count(std::size_t size);
  [[nodiscard]] bool at_end() const { return rest_.empty() || broken_; }
  [[nodiscard]] std::uint16_t version() const { return version_; }
  /// Everything that was asked for was there, and nothing is left.
  [[nodiscard]] bool whole() const { return rest_.empty() && !broken_; }

 private:
  explicit ImageReader(std::string_view rest) : rest_(rest) {}
  template <class T>
  T number();

  std::string_view rest_;
  std::uint16_t version_ = 0;
  bool broken_ = false;
};

class ImageWriter {
 public:
  template <class T>
  void number(T value);
  void text(std::string_view text) { bytes_ += text; }
  [[nodiscard]] std::string finish(std::string_view magic);

 private:
  std::string bytes_;
};

inline constexpr std::string_view kStateMagic = "WSTM";
inline constexpr std::string_view kDeltaMagic = "WSTD";

}  // namespace weir::broker
