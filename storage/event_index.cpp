#include "storage/event_index.hpp"

#include <algorithm>

#include "raft/check.hpp"

namespace weir::storage {
namespace {

// Row numbers have 32 bits; topic ids are dense, so this only stops a bug from asking for the whole memory.
constexpr std::size_t kRowsMax = ~std::uint32_t{0};
constexpr std::uint64_t kTopicsMax = std::uint64_t{1} << 24U;

}  // namespace

std::string_view EventIndex::defect_of(const EntryRow& row) const {
  const std::uint64_t position = row.first_position.value;
  const bool goes_on_there =
      position == added_to_ + 1 || (rows_.empty() && position > added_to_ && position <= last_position_ + 1);
  if (!goes_on_there) return "position";
  if (!rows_.empty() && row.log_index.value <= rows_.back().log_index) return "log_index";
  if (!rows_.empty() && row.time_ms < rows_.back().time_ms) return "time_ms";
  std::uint64_t count = 0;
  for (const TopicPart& part : row.topics) {
    if (part.topic.value >= kTopicsMax || part.count == 0) return "topic";
    if (!goes_on(part)) return "offset";
    if (part.last >= row.stored_count || part.last + 1 < part.count) return "last";
    count += part.count;
  }
  if (row.stored_count == 0 || count != row.stored_count) return "stored_count";
  return rows_.count() < kRowsMax ? "" : "row count";
}

/// Where the topic's last part ended, or, as the first of those that come back, at most up to the topic's end.
bool EventIndex::goes_on(const TopicPart& part) const {
  const Topic* known = topic(part.topic);
  const std::uint64_t offset = part.first_offset.value;
  if (known == nullptr) return offset == 0;
  if (!known->parts.empty()) return offset == known->added_to;
  return offset == known->next_offset || offset + part.count <= known->next_offset;
}

void EventIndex::add(const EntryRow& row) {
  const std::string_view defect = defect_of(row);
  WEIR_CHECK(defect.empty(), defect, row.log_index, row.first_position, row.time_ms, last_position_, added_to_);

  const auto number = static_cast<std::uint32_t>(rows_.size());
  Row compact{row.log_index.value, row.first_position.value, row.time_ms, kSeveralTopics, 0};
  if (row.topics.size() == 1) {
    compact.topic = static_cast<std::uint32_t>(row.topics.front().topic.value);
    compact.part = add_part(row.topics.front());
  } else {
    compact.part = static_cast<std::uint32_t>(several_.size());
    several_.push_back({static_cast<std::uint32_t>(row.topics.size()), 0, 0});
    for (const TopicPart& part : row.topics)
      several_.push_back({static_cast<std::uint32_t>(part.topic.value), add_part(part), part.last});
  }
  if (!row.skipped.empty())
    skipped_runs_.push_back({number, static_cast<std::uint32_t>(row.skipped.size()), skipped_.size()});
  for (const std::uint32_t ordinal : row.skipped) skipped_.push_back(ordinal);
  rows_.push_back(compact);
  added_to_ = row.first_position.value + row.stored_count - 1;
  last_position_ = std::max(last_position_, added_to_);
}

void EventIndex::resume(raft::Position last_position, std::span<const raft::Offset> next_offsets) {
  WEIR_CHECK(rows_.empty() && last_position_ == 0);
  last_position_ = last_position.value;
  topics_.resize(next_offsets.size());
  for (std::size_t i = 0; i < next_offsets.size(); ++i) topics_[i].next_offset = next_offsets[i].value;
}

bool EventIndex::is_whole() const {
  return (rows_.empty() || added_to_ == last_position_) && std::ranges::all_of(topics_, [](const Topic& topic) {
           return topic.parts.empty() || topic.added_to == topic.next_offset;
         });
}

void EventIndex::drop_before(raft::Index index, std::size_t rows_max) {
  const std::size_t first = rows_.first();
  const std::size_t end = std::min(rows_.size(), first + rows_max);
  std::size_t number = first;
  for (; number < end && rows_[number].log_index < index.value; ++number) drop_parts(rows_[number]);
  rows_.drop_before(number);
  const std::size_t run =
      skipped_runs_.first_where([&](const SkippedRun& skipped) { return widen(skipped.row, first) >= number; });
  if (run == skipped_runs_.first()) return;
  skipped_.drop_before(run < skipped_runs_.size() ? skipped_runs_[run].first : skipped_.size());
  skipped_runs_.drop_before(run);
}

void EventIndex::drop_parts(const Row& row) {
  const auto drop = [this](PartRef ref) {
    GrowVector<Part>& parts = topics_[ref.topic].parts;
    parts.drop_before(widen(ref.part, parts.first()) + 1);
  };
  if (row.topic != kSeveralTopics) {
    drop({row.topic, row.part, 0});
    return;
  }
  const std::size_t list = widen(row.part, several_.first());
  const std::size_t end = list + 1 + several_[list].topic;
  for (std::size_t entry = list + 1; entry < end; ++entry) drop(several_[entry]);
  several_.drop_before(end);
}

std::optional<raft::Index> EventIndex::first_index() const {
  return rows_.empty() ? std::nullopt : std::optional(raft::Index{rows_[rows_.first()].log_index});
}

std::uint32_t EventIndex::add_part(const TopicPart& part) {
  if (part.topic.value >= topics_.size()) topics_.resize(part.topic.value + 1);
  Topic& topic = topics_[part.topic.value];
  const std::uint64_t offset = part.first_offset.value;
  topic.parts.push_back({static_cast<std::uint32_t>(offset >> 32U), static_cast<std::uint32_t>(offset),
                         static_cast<std::uint32_t>(rows_.size()), part.bytes});
  topic.kept_bytes += part.bytes;
  topic.added_to = offset + part.count;
  topic.next_offset = std::max(topic.next_offset, topic.added_to);
  return static_cast<std::uint32_t>(topic.parts.size() - 1);
}

raft::Position EventIndex::last_position() const {
  return raft::Position{last_position_};
}

std::size_t EventIndex::row_count() const {
  return rows_.count();
}

const EventIndex::Topic* EventIndex::topic(raft::TopicId id) const {
  return id.value < topics_.size() ? &topics_[id.value] : nullptr;
}

raft::Offset EventIndex::next_offset(raft::TopicId id) const {
  const Topic* found = topic(id);
  return raft::Offset{found == nullptr ? 0 : found->next_offset};
}

std::uint64_t EventIndex::part_end(const Topic& topic, std::size_t part) {
  return part + 1 == topic.parts.size() ? topic.next_offset : topic.parts[part + 1].first_offset();
}

std::uint64_t EventIndex::kept_bytes(raft::TopicId id) const {
  const Topic* found = topic(id);
  return found == nullptr ? 0 : found->kept_bytes;
}

raft::Offset EventIndex::first_offset_within(raft::TopicId id, std::uint64_t bytes) const {
  constexpr std::size_t kPartsPassed = 4096;
  const Topic* found = topic(id);
  if (found == nullptr) return {};
  std::uint64_t left = found->kept_bytes;
  std::size_t part = std::max(found->kept_from, found->parts.first());
  const std::size_t end = std::min(found->parts.size(), part + kPartsPassed);
  for (; part < end && left > bytes; ++part) left -= found->parts[part].bytes;
  return raft::Offset{part < found->parts.size() ? found->parts[part].first_offset() : found->next_offset};
}

void EventIndex::raise_floor(raft::TopicId id, raft::Offset first_offset) {
  if (id.value >= topics_.size()) return;
  Topic& topic = topics_[id.value];
  std::size_t& part = topic.kept_from;
  part = std::max(part, topic.parts.first());
  for (; part < topic.parts.size() && part_end(topic, part) <= first_offset.value; ++part)
    topic.kept_bytes -= topic.parts[part].bytes;
}

TopicPart EventIndex::topic_part(PartRef ref) const {
  const Topic& topic = topics_[ref.topic];
  const std::size_t part = widen(ref.part, topic.parts.first());
  const std::uint64_t first = topic.parts[part].first_offset();
  return {raft::TopicId{ref.topic}, raft::Offset{first}, static_cast<std::uint32_t>(part_end(topic, part) - first),
          topic.parts[part].bytes, ref.last};
}

// The number of the row that holds `position`, or of the oldest if that one was dropped; rows_.size() beyond the last.
std::size_t EventIndex::row_at(std::uint64_t position) const {
  if (position > last_position_) return rows_.size();
  const std::size_t after = rows_.first_where([&](const Row& row) { return row.first_position > position; });
  return after == rows_.first() ? after : after - 1;
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
    row.topics.push_back(topic_part({compact.topic, compact.part, row.stored_count - 1}));
  } else {
    const std::size_t list = widen(compact.part, several_.first());
    for (std::size_t entry = list + 1; entry <= list + several_[list].topic; ++entry)
      row.topics.push_back(topic_part(several_[entry]));
  }
  const auto row_of = [this](const SkippedRun& run) { return widen(run.row, rows_.first()); };
  const std::size_t run =
      skipped_runs_.first_where([&](const SkippedRun& skipped) { return row_of(skipped) >= number; });
  if (run < skipped_runs_.size() && row_of(skipped_runs_[run]) == number)
    for (std::uint32_t k = 0; k < skipped_runs_[run].count; ++k)
      row.skipped.push_back(skipped_[skipped_runs_[run].first + k]);
  return row;
}

std::optional<EntryRow> EventIndex::find(raft::Position position) const {
  const std::size_t number = row_at(position.value);
  if (number == rows_.size() || rows_[number].first_position > position.value) return std::nullopt;
  return row(number);
}

std::optional<EntryRow> EventIndex::find(raft::TopicId id, raft::Offset offset) const {
  const Topic* found = topic(id);
  if (found == nullptr || offset.value >= found->next_offset) return std::nullopt;
  const std::size_t after =
      found->parts.first_where([&](const Part& part) { return part.first_offset() > offset.value; });
  if (after == found->parts.first()) return std::nullopt;
  return row(widen(found->parts[after - 1].row, rows_.first()));
}

std::optional<EntryRow> EventIndex::find(raft::Index log_index) const {
  const std::size_t number = rows_.first_where([&](const Row& row) { return row.log_index >= log_index.value; });
  if (number == rows_.size() || rows_[number].log_index != log_index.value) return std::nullopt;
  return row(number);
}

std::vector<EntryRow> EventIndex::rows(raft::Index first, raft::Index end, std::size_t rows_max) const {
  std::vector<EntryRow> found;
  std::size_t number = rows_.first_where([&](const Row& row) { return row.log_index >= first.value; });
  for (; number < rows_.size() && rows_[number].log_index < end.value && found.size() < rows_max; ++number)
    found.push_back(*row(number));
  return found;
}

raft::Position EventIndex::position_before(raft::Index index) const {
  const std::size_t number = rows_.first_where([&](const Row& row) { return row.log_index >= index.value; });
  return raft::Position{number < rows_.size() ? rows_[number].first_position - 1 : last_position_};
}

std::optional<EntryRow> EventIndex::next(std::span<const raft::TopicId> topics, raft::Position after) const {
  const std::size_t from = row_at(after.value + 1);
  std::size_t nearest = rows_.size();
  for (const raft::TopicId id : topics) {
    const Topic* found = topic(id);
    if (found == nullptr) continue;
    const auto row_of = [this](const Part& part) { return widen(part.row, rows_.first()); };
    const std::size_t part = std::max(
        found->kept_from, found->parts.first_where([&](const Part& candidate) { return row_of(candidate) >= from; }));
    if (part < found->parts.size()) nearest = std::min(nearest, row_of(found->parts[part]));
  }
  return row(nearest);
}

raft::Position EventIndex::first_at(std::uint64_t time_ms) const {
  const std::size_t number = rows_.first_where([&](const Row& row) { return row.time_ms >= time_ms; });
  return raft::Position{number < rows_.size() ? rows_[number].first_position : last_position_ + 1};
}

}  // namespace weir::storage
