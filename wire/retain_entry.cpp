#include "wire/entry.hpp"
#include "wire/entry_generated.h"
#include "wire/flat.hpp"
#include "wire/rules.hpp"

namespace weir::wire {

raft::Bytes encode(const RetainEntry& entry) {
  flatbuffers::FlatBufferBuilder builder;
  std::vector<flatbuffers::Offset<fbs::Floor>> floors;
  floors.reserve(entry.floors.size());
  for (const auto& floor : entry.floors) {
    floors.push_back(fbs::CreateFloor(builder, builder.CreateString(floor.topic), floor.first_offset.value));
  }
  builder.Finish(
      fbs::CreateRetainEntry(builder, entry.time_ms, builder.CreateVector(floors), entry.claims_before.value));
  return release(builder);
}

std::expected<RetainEntry, Error> decode_retain(const raft::Bytes& data) {
  if (data.size() > kMergedBytesMax) {
    return std::unexpected(Error{Errc::too_large, "RETAIN entry: " + std::to_string(data.size()) + " bytes"});
  }
  const auto bytes = aligned(data);
  const auto* table = verified<fbs::RetainEntry>(bytes.view(), VerifyLimits{.depth = 2, .tables = 1 + kFloorsMax});
  if (table == nullptr) return malformed("RETAIN entry: not a FlatBuffer of this schema");
  Rules rules("RETAIN entry");
  rules.that(table->time_ms().has_value(), "time: present");
  rules.number(table->time_ms().value_or(0), "time: below 2^62");
  rules.number(table->claims_before(), "claims before: below 2^62");
  RetainEntry entry;
  entry.time_ms = table->time_ms().value_or(0);
  entry.claims_before = raft::Index{table->claims_before()};
  std::size_t bytes_copied = 0;
  for (const auto* floor : *table->floors()) {
    const auto topic = text_of(floor->topic());
    rules.that(!topic.empty() && topic.size() <= kTopicBytesMax, "topic: 1 to 255 bytes");
    rules.number(floor->first_offset(), "first offset: below 2^62");
    bytes_copied += topic.size();
    rules.that(bytes_copied <= bytes.size(), "floors: no shared strings");
    if (!rules.hold()) return rules.error();
    entry.floors.push_back({std::string(topic), raft::Offset{floor->first_offset()}});
  }
  if (!rules.hold()) return rules.error();
  return entry;
}

}  // namespace weir::wire
