#include "wire/entry.hpp"
#include "wire/entry_generated.h"
#include "wire/flat.hpp"
#include "wire/rules.hpp"

namespace weir::wire {
namespace {

/// A change's place in the vector, its table with one offset, a string of one byte (as in dedup_entry.cpp).
constexpr std::size_t kChangeBytesMin = 4 + 8 + 8;

/// Patterns and a start belong to put and create, a range to claims, a lease to commits: what an action does not look
/// at is 0, so that one change is written in one way.
void check_action(const GroupChange& change, Rules& rules) {
  const bool sets = change.action == GroupAction::put || change.action == GroupAction::create;
  const bool claims = change.action == GroupAction::claim;
  const bool commits = change.action == GroupAction::commit;
  rules.that(change.action >= GroupAction::put && change.action <= GroupAction::remove, "action: a known one");
  rules.that(change.start <= GroupStart::time, "start: a known one");
  rules.that(sets || (change.patterns.empty() && change.start == GroupStart::keep), "patterns and start: where set");
  rules.that(change.action != GroupAction::create || !change.patterns.empty(), "patterns: of a new group");
  rules.that((change.start == GroupStart::time) == (change.time_ms != 0), "time: where a group starts by it");
  rules.that(claims ? change.from < change.to : change.from == raft::Position{}, "range: of a claim, not empty");
  rules.that(claims || commits || change.start == GroupStart::position || change.to == raft::Position{},
             "to: of a claim, a commit or a start");
  rules.that(claims == (change.lease_ms != 0), "lease: a claim's time, not 0");
  rules.that(commits || change.lease == 0, "lease: a commit's");
}

GroupChange decode_change(const fbs::GroupChange& table, Rules& rules) {
  GroupChange change{.group = std::string(text_of(table.group())),
                     .action = static_cast<GroupAction>(table.action()),
                     .patterns = {},
                     .start = static_cast<GroupStart>(table.start()),
                     .from = raft::Position{table.from()},
                     .to = raft::Position{table.to()},
                     .time_ms = table.time_ms(),
                     .lease_ms = table.lease_ms(),
                     .lease = table.lease()};
  for (const auto pattern : texts_of(table.patterns())) {
    rules.that(!pattern.empty() && pattern.size() <= kTopicBytesMax, "pattern: 1 to 255 bytes");
    if (rules.hold()) change.patterns.emplace_back(pattern);
  }
  for (const auto number : {table.from(), table.to(), table.time_ms(), table.lease_ms(), table.lease()}) {
    rules.number(number, "numbers: below 2^62");
  }
  check_action(change, rules);
  return change;
}

[[nodiscard]] std::size_t text_bytes(const fbs::GroupChange& table) {
  std::size_t bytes = text_of(table.group()).size();
  for (const auto pattern : texts_of(table.patterns())) bytes += pattern.size();
  return bytes;
}

}  // namespace

raft::Bytes encode(const GroupEntry& entry) {
  flatbuffers::FlatBufferBuilder builder;
  std::vector<flatbuffers::Offset<fbs::GroupChange>> changes;
  changes.reserve(entry.changes.size());
  for (const auto& change : entry.changes) {
    const auto group = builder.CreateString(change.group);
    const auto patterns = change.patterns.empty() ? 0 : builder.CreateVectorOfStrings(change.patterns);
    changes.push_back(fbs::CreateGroupChange(builder, group, static_cast<fbs::GroupAction>(change.action), patterns,
                                             static_cast<fbs::GroupStart>(change.start), change.from.value,
                                             change.to.value, change.time_ms, change.lease_ms, change.lease));
  }
  builder.Finish(fbs::CreateGroupEntry(builder, entry.time_ms, builder.CreateVector(changes)));
  return release(builder);
}

std::expected<GroupEntry, Error> decode_group(const raft::Bytes& data) {
  if (data.size() > kMergedBytesMax) {
    return std::unexpected(Error{Errc::too_large, "GROUP entry: " + std::to_string(data.size()) + " bytes"});
  }
  const auto bytes = aligned(data);
  const auto tables = static_cast<flatbuffers::uoffset_t>(1 + bytes.size() / kChangeBytesMin);
  const auto* table = verified<fbs::GroupEntry>(bytes.view(), VerifyLimits{.depth = 2, .tables = tables});
  if (table == nullptr) return malformed("GROUP entry: not a FlatBuffer of this schema");
  Rules rules("GROUP entry");
  rules.that(table->time_ms().has_value(), "time: present");
  rules.number(table->time_ms().value_or(0), "time: below 2^62");
  rules.that(table->changes()->size() > 0, "changes: at least one");
  GroupEntry entry;
  entry.time_ms = table->time_ms().value_or(0);
  std::size_t bytes_copied = 0;
  for (const auto* change : *table->changes()) {
    const std::size_t name_size = text_of(change->group()).size();
    const auto* patterns = change->patterns();
    rules.that(name_size > 0 && name_size <= kGroupBytesMax, "group: 1 to 64 bytes");
    rules.that(patterns == nullptr || patterns->size() <= kGroupPatternsMax, "patterns: at most 16");
    if (!rules.hold()) return rules.error();
    bytes_copied += text_bytes(*change);
    rules.that(bytes_copied <= bytes.size(), "changes: no shared strings");
    if (!rules.hold()) return rules.error();
    entry.changes.push_back(decode_change(*change, rules));
  }
  if (!rules.hold()) return rules.error();
  return entry;
}

}  // namespace weir::wire
