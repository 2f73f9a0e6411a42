// The binary messages of weir.bin.v1 (wire/client.fbs, wire/README.md). Values only: no thread rule.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "raft/types.hpp"
#include "wire/entry.hpp"
#include "wire/error.hpp"
#include "wire/outcome.hpp"

namespace weir::wire {

/// What stands around a request or an entry at most: 65,536 rows of 32 bytes, and tables.
inline constexpr std::size_t kClientEnvelopeBytesMax = (kBatchEventsMax * 32) + 4096;
/// A client's message: a request of the largest size.
inline constexpr std::size_t kPublishMessageBytesMax = kEntryBytesMax + 4096;

// NOLINTBEGIN(readability-redundant-member-init): without them g++ warns of every field a caller leaves out.
struct PublishMessage {
  std::uint64_t rid = 0;
  std::uint32_t timeout_ms = 0;  ///< 0: the broker's default
  PublishView request;           ///< exactly one request, time 0
};

struct DuplicateEvent {
  std::uint32_t event = 0;  ///< ordinal in the request
  EventResult original;     ///< Storing::duplicate
  friend bool operator==(const DuplicateEvent&, const DuplicateEvent&) = default;
};

/// Positions and offsets of the events stored now follow from their order (wire/client.fbs).
struct AckMessage {
  std::uint64_t rid = 0;
  std::uint64_t time_ms = 0;                  ///< 0: nothing was stored now
  raft::Position first_position{};            ///< 0: nothing was stored now
  std::vector<raft::Offset> first_offsets{};  ///< per topic of the request
  std::vector<DuplicateEvent> duplicates{};   ///< rising
  friend bool operator==(const AckMessage&, const AckMessage&) = default;
};

/// Ordinals [first, first + count).
struct OrdinalRun {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  friend bool operator==(const OrdinalRun&, const OrdinalRun&) = default;
};

struct EventsMessage {
  std::uint64_t sid = 0;
  std::vector<OrdinalRun> runs{};  ///< rising, not empty, inside the entry
  raft::Position first_position{};
  std::vector<raft::Offset> first_offsets{};  ///< per topic of the entry
  std::vector<raft::Position> positions{};    ///< empty: they rise by one
  std::vector<raft::Offset> offsets{};        ///< empty: they rise by one within each topic
  PublishView entry;

  [[nodiscard]] std::uint32_t event_count() const;
};

// NOLINTEND(readability-redundant-member-init)

using ClientMessage = std::variant<PublishMessage, AckMessage, EventsMessage>;

/// Appends one message. `request`: of PublishBuilder::finish().
void append_publish(std::string& out, std::uint64_t rid, std::uint32_t timeout_ms, const raft::Bytes& request);
void append_ack(std::string& out, const AckMessage& ack);
void append_events(std::string& out, const EventsMessage& events);

/// Verifies everything before anything is read, the entry inside included. Bytes that are not at an address divisible
/// by 8 are copied first.
[[nodiscard]] std::expected<ClientMessage, Error> decode_client(raft::Bytes data);

/// How a request ended, for its client; and back. Requires one result per event, as StateMachine::apply gives them.
[[nodiscard]] AckMessage ack_of(std::uint64_t rid, const PublishView& request, std::span<const EventResult> results);
/// malformed if the ack does not fit the request.
[[nodiscard]] std::expected<std::vector<EventResult>, Error> results_of(const AckMessage& ack,
                                                                        const PublishView& request);

/// Where a delivered event is.
struct PlacedEvent {
  std::uint32_t ordinal = 0;
  raft::Offset offset;
  raft::Position position;
  friend bool operator==(const PlacedEvent&, const PlacedEvent&) = default;
};
/// `placed`: events of `entry`, ordinals and positions rising, not empty. `entry` goes out as it is.
[[nodiscard]] EventsMessage events_message(std::uint64_t sid, PublishView entry, std::span<const PlacedEvent> placed);
[[nodiscard]] std::vector<PlacedEvent> placed_events(const EventsMessage& message);

}  // namespace weir::wire
