#include "storage/event_index.hpp"

#include <algorithm>

#include "raft/check.hpp"

namespace weir::storage {
namespace {

// Row numbers have 32 bits; topic ids are dense, so this only stops a bug from asking for the whole memory.
constexpr std::size_t kRowsMax = ~std::uint32_t{0};
constexpr std::uint64_t kTopicsMax = std::uint64_t{1} << 24U;

}  // namespace

void EventIndex::add(const EntryRow& row) {
  WEIR_CHECK(row.stored_count > 0 && !row.topics.empty(), row.log_index);
  WEIR_CHECK(row.first_position.value == last_position_ + 1, row.first_position, last_position_);
  WEIR_CHECK(rows_.empty() || row.log_index.value > rows_.back().log_index, row.log_index);
  WEIR_CHECK(rows_.empty() || row.time_ms >= rows_.back().time_ms, row.log_index, row.time_ms);
  WEIR_CHECK(rows_.size() < kRowsMax);
  std::uint64_t count = 0;
  for (const TopicPart& part : row.topics) count += part.count;
  WEIR_CHECK(count == row.stored_count, count, row.stored_count);

  const auto number = static_cast<std::uint32_t>(rows_.size());
  Row compact{row.log_index.value, row.first_position.value, row.time_ms, kSeveralTopics, 0};
  if (row.topics.size() == 1) {
    compact.topic = static_cast<std::uint32_t>(row.topics.front().topic.value);
    compact.part = add_part(row.topics.front());
  } else {
    compact.part = static_cast<std::uint32_t>(several_.size());
    several_.push_back({static_cast<std::uint32_t>(row.topics.size()), 0});
    for (const TopicPart& part : row.topics)
      several_.push_back({static_cast<std::uint32_t>(part.topic.value), add_part(part)});
  }
  if (!row.skipped.empty())
    skipped_runs_.push_back({number, static_cast<std::uint32_t>(row.skipped.size()), skipped_.size()});
  for (const std::uint32_t ordinal : row.skipped) skipped_.push_back(ordinal);
  rows_.push_back(compact);
  last_position_ += row.stored_count;
}

std::uint32_t EventIndex::add_part(const TopicPart& part) {
  WEIR_CHECK(part.topic.value < kTopicsMax && part.count > 0, part.topic, part.count);
  if (part.topic.value >= topics_.size()) topics_.resize(part.topic.value + 1);
  Topic& topic = topics_[part.topic.value];
  const std::uint64_t offset = part.first_offset.value;
  WEIR_CHECK(offset == topic.next_offset, part.topic, offset, topic.next_offset);
  topic.parts.push_back({static_cast<std::uint32_t>(offset >> 32U), static_cast<std::uint32_t>(offset),
                         static_cast<std::uint32_t>(rows_.size())});
  topic.next_offset += part.count;
  return static_cast<std::uint32_t>(topic.parts.size() - 1);
}

raft::Position EventIndex::last_position() const {
  return raft::Position{last_position_};
}

std::size_t EventIndex::row_count() const {
  return rows_.size();
}

const EventIndex::Topic* EventIndex::topic(raft::TopicId id) const {
  return id.value < topics_.size() ? &topics_[id.value] : nullptr;
}

raft::Offset EventIndex::next_offset(raft::TopicId id) const {
  const Topic* found = topic(id);
  return raft::Offset{found == nullptr ? 0 : found->next_offset};
}

TopicPart EventIndex::topic_part(PartRef ref) const {
  const Topic& topic = topics_[ref.topic];
  const std::uint64_t first = topic.parts[ref.part].first_offset();
  const bool is_last = ref.part + std::size_t{1} == topic.parts.size();
  const std::uint64_t end = is_last ? topic.next_offset : topic.parts[ref.part + std::size_t{1}].first_offset();
  return {raft::TopicId{ref.topic}, raft::Offset{first}, static_cast<std::uint32_t>(end - first)};
}

// The number of the row that holds `position`; row_count() beyond the last.
std::size_t EventIndex::row_at(std::uint64_t position) const {
  if (position > last_position_) return rows_.size();
  const std::size_t after = rows_.first_where([&](const Row& row) { return row.first_position > position; });
  return after == 0 ? 0 : after - 1;
}

std::optional<EntryRow> EventIndex::row(std::size_t number) const {
  if (number >= rows_.size()) return std::nullopt;
  const Row& compact = rows_[number];
  const std::uint64_t end = number + 1 < rows_.size() ? rows_[number + 1].first_position : last_position_ + 1;
  EntryRow row;
  row.log_index = raft::Index{compact.log_index};
  row.first_position = raft::Position{compact.first_position};
  row.stored_count = static_cast<std::uint32_t>(end - compact.first_position);
  row.time_ms = compact.time_ms;
  if (compact.topic != kSeveralTopics) {
    row.topics.push_back(topic_part({compact.topic, compact.part}));
  } else {
    const std::size_t list = compact.part;
    for (std::size_t entry = list + 1; entry <= list + several_[list].topic; ++entry)
      row.topics.push_back(topic_part(several_[entry]));
  }
  const std::size_t run = skipped_runs_.first_where([&](const SkippedRun& skipped) { return skipped.row >= number; });
  if (run < skipped_runs_.size() && skipped_runs_[run].row == number)
    for (std::uint32_t k = 0; k < skipped_runs_[run].count; ++k)
      row.skipped.push_back(skipped_[skipped_runs_[run].first + k]);
  return row;
}

std::optional<EntryRow> EventIndex::find(raft::Position position) const {
  if (position == raft::Position{}) return std::nullopt;
  return row(row_at(position.value));
}

std::optional<EntryRow> EventIndex::find(raft::TopicId id, raft::Offset offset) const {
  const Topic* found = topic(id);
  if (found == nullptr || offset.value >= found->next_offset) return std::nullopt;
  const std::size_t after =
      found->parts.first_where([&](const Part& part) { return part.first_offset() > offset.value; });
  return row(found->parts[after - 1].row);
}

std::optional<EntryRow> EventIndex::find(raft::Index log_index) const {
  const std::size_t number = rows_.first_where([&](const Row& row) { return row.log_index >= log_index.value; });
  if (number == rows_.size() || rows_[number].log_index != log_index.value) return std::nullopt;
  return row(number);
}

std::optional<EntryRow> EventIndex::next(std::span<const raft::TopicId> topics, raft::Position after) const {
  const std::size_t from = row_at(after.value + 1);
  std::size_t nearest = rows_.size();
  for (const raft::TopicId id : topics) {
    const Topic* found = topic(id);
    if (found == nullptr) continue;
    const std::size_t part = found->parts.first_where([&](const Part& candidate) { return candidate.row >= from; });
    if (part < found->parts.size()) nearest = std::min(nearest, std::size_t{found->parts[part].row});
  }
  return row(nearest);
}

raft::Position EventIndex::first_at(std::uint64_t time_ms) const {
  const std::size_t number = rows_.first_where([&](const Row& row) { return row.time_ms >= time_ms; });
  return raft::Position{number < rows_.size() ? rows_[number].first_position : last_position_ + 1};
}

}  // namespace weir::storage
