#include <algorithm>

#include "wire/entry.hpp"
#include "wire/entry_generated.h"
#include "wire/flat.hpp"
#include "wire/rules.hpp"

namespace weir::wire {
namespace {

/// A change's place in the vector, its table with one offset, a string of one byte (as in dedup_entry.cpp).
constexpr std::size_t kChangeBytesMin = 4 + 8 + 8;

fbs::Setting to_fbs(const Setting& setting) {
  return {setting.value, static_cast<fbs::SettingKind>(setting.kind)};
}

Setting decode_setting(const fbs::Setting* table, fbs::SettingKind last_kind, Rules& rules) {
  if (table == nullptr) return {};
  const Setting setting{static_cast<Setting::Kind>(table->kind()), table->value()};
  rules.that(table->kind() <= last_kind, "setting: a known kind");
  rules.that((setting.kind == Setting::Kind::value) == (setting.value != 0), "setting: a value where it has one");
  rules.number(setting.value, "setting: below 2^62");
  return setting;
}

TopicChange decode_change(const fbs::TopicChange& table, std::string_view topic, Rules& rules) {
  using enum fbs::SettingKind;
  TopicChange change{std::string(topic),
                     static_cast<TopicAction>(table.action()),
                     {decode_setting(table.age(), value, rules), decode_setting(table.bytes(), value, rules),
                      decode_setting(table.count(), value, rules), decode_setting(table.dedup(), forever, rules)}};
  const auto settings = change.settings.in_order();
  rules.that(table.action() >= fbs::TopicAction::put && table.action() <= fbs::TopicAction::remove,
             "action: a known one");
  rules.that(change.action == TopicAction::change ||
                 std::ranges::find(settings, Setting::Kind::keep, &Setting::kind) == settings.end(),
             "setting: kept by a change alone");
  return change;
}

}  // namespace

raft::Bytes encode(const TopicEntry& entry) {
  flatbuffers::FlatBufferBuilder builder;
  std::vector<flatbuffers::Offset<fbs::TopicChange>> changes;
  changes.reserve(entry.changes.size());
  for (const auto& change : entry.changes) {
    const auto age = to_fbs(change.settings.age_ms);
    const auto bytes = to_fbs(change.settings.bytes);
    const auto count = to_fbs(change.settings.count);
    const auto dedup = to_fbs(change.settings.dedup_ms);
    changes.push_back(fbs::CreateTopicChange(builder, builder.CreateString(change.topic),
                                             static_cast<fbs::TopicAction>(change.action), &age, &bytes, &count,
                                             &dedup));
  }
  builder.Finish(fbs::CreateTopicEntry(builder, entry.time_ms, builder.CreateVector(changes)));
  return release(builder);
}

std::expected<TopicEntry, Error> decode_topic(const raft::Bytes& data) {
  if (data.size() > kMergedBytesMax) {
    return std::unexpected(Error{Errc::too_large, "TOPIC entry: " + std::to_string(data.size()) + " bytes"});
  }
  const auto bytes = aligned(data);
  const auto tables = static_cast<flatbuffers::uoffset_t>(1 + bytes.size() / kChangeBytesMin);
  const auto* table = verified<fbs::TopicEntry>(bytes.view(), VerifyLimits{.depth = 2, .tables = tables});
  if (table == nullptr) return malformed("TOPIC entry: not a FlatBuffer of this schema");
  Rules rules("TOPIC entry");
  rules.that(table->time_ms().has_value(), "time: present");
  rules.number(table->time_ms().value_or(0), "time: below 2^62");
  rules.that(table->changes()->size() > 0, "changes: at least one");
  TopicEntry entry;
  entry.time_ms = table->time_ms().value_or(0);
  std::size_t bytes_copied = 0;
  for (const auto* change : *table->changes()) {
    const auto topic = text_of(change->topic());
    rules.that(!topic.empty() && topic.size() <= kTopicBytesMax, "topic: 1 to 255 bytes");
    bytes_copied += topic.size();
    rules.that(bytes_copied <= bytes.size(), "changes: no shared strings");
    if (!rules.hold()) return rules.error();
    entry.changes.push_back(decode_change(*change, topic, rules));
  }
  if (!rules.hold()) return rules.error();
  return entry;
}

}  // namespace weir::wire
