// ClientMessage as bytes. Encoders lay the large part, an entry, down once; the decoder reads it in place.
#include <optional>
#include <utility>

#include "wire/client_generated.h"
#include "wire/client_message.hpp"
#include "wire/flat.hpp"
#include "wire/rules.hpp"

namespace weir::wire {

namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

/// Message, and its body.
constexpr VerifyLimits kLimits{.depth = 2, .tables = 2};
/// Tables, vtables and padding of any message, columns not counted.
constexpr std::size_t kTableBytes = 256;
constexpr const char* kIdentifier = "WEIB";

static_assert(sizeof(raft::Offset) == sizeof(std::uint64_t) && sizeof(raft::Position) == sizeof(std::uint64_t),
              "columns of numbers are copied as they are");
static_assert(sizeof(OrdinalRun) == sizeof(fbs::Run), "as above");

/// An entry as a vector of bytes whose first lies at a multiple of 8.
Offset<flatbuffers::Vector<std::uint8_t>> create_nested(FlatBufferBuilder& builder, const raft::Bytes& bytes) {
  builder.ForceVectorAlignment(bytes.size(), sizeof(std::uint8_t), kAlignment);
  return builder.CreateVector(bytes.data(), bytes.size());
}

template <class Number>
Offset<flatbuffers::Vector<std::uint64_t>> create_numbers(FlatBufferBuilder& builder,
                                                          const std::vector<Number>& numbers) {
  std::uint64_t* elements = nullptr;
  const auto vector = unfilled_vector<std::uint64_t>(builder, numbers.size(), elements);
  for (std::size_t i = 0; i < numbers.size(); ++i) elements[i] = numbers[i].value;
  return vector;
}

void finish(FlatBufferBuilder& builder, std::string& out, fbs::ClientBody type, Offset<void> body) {
  builder.Finish(fbs::CreateClientMessage(builder, type, body), kIdentifier);
  out += finished(builder);
}

template <class Number>
std::vector<Number> numbers_of(const flatbuffers::Vector<std::uint64_t>* vector, Rules& rules, std::string_view name) {
  std::vector<Number> numbers;
  if (vector == nullptr) return numbers;
  rules.that(well_placed(vector->Data(), sizeof(std::uint64_t)), name);
  if (!rules.hold()) return numbers;
  numbers.reserve(vector->size());
  for (const std::uint64_t number : elements(vector)) {
    rules.number(number, name);
    numbers.push_back(Number{number});
  }
  return numbers;
}

/// Shares the message's owner.
std::expected<PublishView, Error> nested(const raft::Bytes& data, const flatbuffers::Vector<std::uint8_t>& vector) {
  const auto begin = static_cast<std::size_t>(vector.Data() - data.data());
  return PublishView::verify(data.slice(begin, vector.size()));
}

std::expected<ClientMessage, Error> decode(const raft::Bytes& data, const fbs::Publish& table) {
  auto request = nested(data, *table.request());
  if (!request) return std::unexpected(std::move(request.error()));
  if (request->request_count() != 1 || request->time_ms() != 0) {
    return malformed("Publish: one request that no leader has seen");
  }
  return PublishMessage{table.rid(), table.timeout_ms(), *std::move(request)};
}

std::expected<ClientMessage, Error> decode(const raft::Bytes& /*data*/, const fbs::Ack& table) {
  Rules rules("Ack");
  rules.number(table.time_ms(), "time_ms: below 2^62");
  rules.number(table.first_position(), "first_position: below 2^62");
  AckMessage ack{.rid = table.rid(),
                 .time_ms = table.time_ms(),
                 .first_position = raft::Position{table.first_position()},
                 .first_offsets = numbers_of<raft::Offset>(table.first_offset(), rules, "first_offset: below 2^62")};
  std::optional<std::uint64_t> before;
  if (table.duplicates() != nullptr) {
    rules.that(table.duplicates()->size() <= kBatchEventsMax, "duplicates: at most 65,536");
    rules.that(well_placed(table.duplicates()->Data(), sizeof(std::uint64_t)), "duplicates: aligned");
    if (!rules.hold()) return rules.error();
    for (const fbs::Duplicate* duplicate : *table.duplicates()) {
      rules.that(duplicate->event() < kBatchEventsMax && (!before || *before < duplicate->event()),
                 "duplicates: ordinals rise");
      before = duplicate->event();
      rules.number(duplicate->offset(), "duplicates: offset below 2^62");
      rules.number(duplicate->position(), "duplicates: position below 2^62");
      rules.number(duplicate->time_ms(), "duplicates: time_ms below 2^62");
      ack.duplicates.push_back({static_cast<std::uint32_t>(duplicate->event()),
                                {raft::Offset{duplicate->offset()}, raft::Position{duplicate->position()},
                                 duplicate->time_ms(), Storing::duplicate}});
    }
  }
  if (!rules.hold()) return rules.error();
  return ack;
}

/// Rising, not touching each other out of order, inside the entry. 64-bit sums: nothing wraps.
std::vector<OrdinalRun> runs_of(const fbs::Events& table, std::uint32_t event_count, Rules& rules) {
  if (table.runs() == nullptr) return {{0, event_count}};
  std::vector<OrdinalRun> runs;
  std::uint64_t end = 0;
  rules.that(table.runs()->size() > 0, "runs: at least one");
  for (const fbs::Run* run : *table.runs()) {
    rules.that(run->count() > 0 && run->first() >= end, "runs: rising, none empty");
    end = std::uint64_t{run->first()} + run->count();
    runs.push_back({run->first(), run->count()});
  }
  rules.that(end <= event_count, "runs: inside the entry");
  return runs;
}

std::expected<ClientMessage, Error> decode(const raft::Bytes& data, const fbs::Events& table) {
  auto entry = nested(data, *table.entry());
  if (!entry) return std::unexpected(std::move(entry.error()));
  Rules rules("Events");
  rules.number(table.first_position(), "first_position: below 2^62");
  auto runs = runs_of(table, entry->event_count(), rules);
  EventsMessage message{
      .sid = table.sid(),
      .runs = std::move(runs),
      .first_position = raft::Position{table.first_position()},
      .first_offsets = numbers_of<raft::Offset>(table.first_offset(), rules, "first_offset: below 2^62"),
      .positions = numbers_of<raft::Position>(table.position(), rules, "position: below 2^62"),
      .offsets = numbers_of<raft::Offset>(table.offset(), rules, "offset: below 2^62"),
      .entry = *std::move(entry)};
  if (!rules.hold()) return rules.error();
  rules.that(message.first_offsets.size() == message.entry.topics().size(), "first_offset: one per topic");
  const bool even = table.position() == nullptr && table.offset() == nullptr;
  const std::size_t count = message.event_count();
  rules.that(even || (message.positions.size() == count && message.offsets.size() == count),
             "position, offset: one per event, both or neither");
  if (!rules.hold()) return rules.error();
  return message;
}

}  // namespace

void append_publish(std::string& out, std::uint64_t rid, std::uint32_t timeout_ms, const raft::Bytes& request) {
  FlatBufferBuilder builder(request.size() + kTableBytes);
  const auto nested_request = create_nested(builder, request);
  finish(builder, out, fbs::ClientBody::Publish, fbs::CreatePublish(builder, rid, timeout_ms, nested_request).Union());
}

void append_ack(std::string& out, const AckMessage& ack) {
  FlatBufferBuilder builder(kTableBytes + (ack.first_offsets.size() * sizeof(std::uint64_t)) +
                            (ack.duplicates.size() * sizeof(fbs::Duplicate)));
  std::vector<fbs::Duplicate> rows;
  rows.reserve(ack.duplicates.size());
  for (const auto& [event, original] : ack.duplicates) {
    rows.emplace_back(event, original.offset.value, original.position.value, original.time_ms);
  }
  const auto duplicates = rows.empty() ? 0 : builder.CreateVectorOfStructs(rows);
  const auto first_offsets = ack.first_offsets.empty() ? 0 : create_numbers(builder, ack.first_offsets);
  finish(builder, out, fbs::ClientBody::Ack,
         fbs::CreateAck(builder, ack.rid, ack.time_ms, ack.first_position.value, first_offsets, duplicates).Union());
}

void append_events(std::string& out, const EventsMessage& events) {
  const std::size_t columns = events.first_offsets.size() + events.positions.size() + events.offsets.size();
  FlatBufferBuilder builder(events.entry.bytes().size() + kTableBytes + (columns * sizeof(std::uint64_t)) +
                            (events.runs.size() * sizeof(fbs::Run)));
  const auto entry = create_nested(builder, events.entry.bytes());
  const bool uneven = !events.positions.empty();
  const auto offsets = uneven ? create_numbers(builder, events.offsets) : 0;
  const auto positions = uneven ? create_numbers(builder, events.positions) : 0;
  const auto first_offsets = create_numbers(builder, events.first_offsets);
  const bool whole = events.event_count() == events.entry.event_count();
  const auto* const rows = reinterpret_cast<const fbs::Run*>(events.runs.data());
  const auto runs = whole ? 0 : builder.CreateVectorOfStructs(rows, events.runs.size());
  finish(builder, out, fbs::ClientBody::Events,
         fbs::CreateEvents(builder, events.sid, runs, events.first_position.value, first_offsets, positions, offsets,
                           entry)
             .Union());
}

std::expected<ClientMessage, Error> decode_client(raft::Bytes data) {
  // The root's offset and the identifier: the verifier compares the latter without looking whether it is there.
  if (data.size() < 2 * sizeof(std::uint32_t) || data.size() > kMergedBytesMax + kClientEnvelopeBytesMax) {
    return malformed("Message: refused by its size");
  }
  const raft::Bytes bytes = aligned(std::move(data));
  auto check = verifier(bytes.view(), kLimits);
  if (!check.VerifyBuffer<fbs::ClientMessage>(kIdentifier)) return malformed("Message: refused by the verifier");
  const auto* const message = flatbuffers::GetRoot<fbs::ClientMessage>(bytes.data());
  if (const auto* publish = message->body_as_Publish()) return decode(bytes, *publish);
  if (const auto* ack = message->body_as_Ack()) return decode(bytes, *ack);
  if (const auto* events = message->body_as_Events()) return decode(bytes, *events);
  return malformed("Message: of an unknown kind");
}

}  // namespace weir::wire
