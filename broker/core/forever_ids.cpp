#include "broker/core/forever_ids.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "raft/check.hpp"
#include "storage/grow_vector.hpp"
#include "wire/hash.hpp"

namespace weir::broker {
namespace {

/// Texts lie in blocks, doubling from the first to the last size.
constexpr std::size_t kTextBlockFirst = 256;
constexpr std::size_t kTextBlockLast = std::size_t{64} << 10U;

[[nodiscard]] std::uint64_t digest_of(raft::TopicId topic, const EventId& id, const ForeverRow& row) {
  const std::array<std::uint64_t, 8> numbers{topic.value, row.log_index.value, row.offset.value, row.position.value,
                                             row.time_ms, row.content.high,    row.content.low,  id.source.size()};
  std::array<char, sizeof numbers> bytes;
  std::memcpy(bytes.data(), numbers.data(), sizeof numbers);
  const std::array parts{std::string_view(bytes.data(), bytes.size()), id.source, id.id};
  return wire::checksum_of(parts);
}

}  // namespace

/// Of one topic. Linear hashing: with each row one home is split, so that nothing is ever moved as a whole.
class ForeverIds::Table {
 public:
  [[nodiscard]] const ForeverRow* find(std::uint64_t hash, const EventId& id) const {
    std::uint32_t at = homes_.empty() ? 0 : homes_[home_of(hash)];
    while (at != 0) {
      const Slot& slot = rows_[at - 1];
      if (slot.hash == hash && slot.id().id == id.id && slot.id().source == id.source) {
        return &slot.row;
      }
      at = slot.next;
    }
    return nullptr;
  }

  void add(std::uint64_t hash, const EventId& id, const ForeverRow& row) {
    WEIR_CHECK(rows_.size() < UINT32_MAX && id.source.size() <= UINT16_MAX && id.id.size() <= UINT16_MAX);
    split();
    rows_.push_back({.row = row,
                     .text = keep(id),
                     .hash = hash,
                     .next = 0,
                     .source_size = static_cast<std::uint16_t>(id.source.size()),
                     .id_size = static_cast<std::uint16_t>(id.id.size())});
    link(static_cast<std::uint32_t>(rows_.size()));
    bytes_ += bytes_of(id);
  }

  /// In order of their coming.
  [[nodiscard]] EventId id(std::size_t number) const { return rows_[number].id(); }
  [[nodiscard]] const ForeverRow& row(std::size_t number) const { return rows_[number].row; }
  [[nodiscard]] std::size_t size() const { return rows_.size(); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] std::uint64_t digest() const { return digest_; }
  void add_to_digest(std::uint64_t row) { digest_ ^= row; }

 private:
  struct Slot {
    ForeverRow row;
    const char* text;    ///< source, then id
    std::uint64_t hash;  ///< half of it
    std::uint32_t next;  ///< of the same home: its number and one; 0 = none
    std::uint16_t source_size;
    std::uint16_t id_size;
    [[nodiscard]] EventId id() const { return {.source = {text, source_size}, .id = {text + source_size, id_size}}; }
  };

  /// Of as many homes as there are: those that were not split yet in this round are shared by two.
  [[nodiscard]] std::size_t home_of(std::uint64_t hash) const {
    const std::size_t round = std::bit_floor(homes_.size());
    const std::size_t home = hash & (2 * round - 1);
    return home < homes_.size() ? home : home & (round - 1);
  }

  void split() {
    if (homes_.empty()) {
      homes_.push_back(0);
      return;
    }
    const std::size_t shared = homes_.size() - std::bit_floor(homes_.size());
    homes_.push_back(0);
    std::uint32_t at = std::exchange(homes_[shared], 0);
    while (at != 0) {
      const std::uint32_t next = rows_[at - 1].next;
      link(at);
      at = next;
    }
  }

  void link(std::uint32_t number) {
    Slot& slot = rows_[number - 1];
    slot.next = std::exchange(homes_[home_of(slot.hash)], number);
  }

  const char* keep(const EventId& id) {
    const std::size_t size = id.source.size() + id.id.size();
    if (size > text_left_) {
      text_block_ = std::clamp(2 * text_block_, kTextBlockFirst, kTextBlockLast);
      text_left_ = std::max(text_block_, size);
      texts_.push_back(std::make_unique_for_overwrite<char[]>(text_left_));
      text_end_ = texts_.back().get();
    }
    char* const text = text_end_;
    id.source.copy(text, id.source.size());
    id.id.copy(text + id.source.size(), id.id.size());
    text_end_ += size;
    text_left_ -= size;
    return text;
  }

  storage::GrowVector<Slot> rows_;
  storage::GrowVector<std::uint32_t> homes_;  ///< as many as rows: the number of the first in it and one; 0 = none
  std::vector<std::unique_ptr<char[]>> texts_;
  char* text_end_ = nullptr;
  std::size_t text_left_ = 0;  ///< behind text_end_
  std::size_t text_block_ = 0;
  std::size_t bytes_ = 0;
  std::uint64_t digest_ = 0;
};

ForeverIds::ForeverIds(std::size_t bytes_max) : bytes_max_(bytes_max) {}
ForeverIds::~ForeverIds() = default;
ForeverIds::ForeverIds(ForeverIds&&) noexcept = default;
ForeverIds& ForeverIds::operator=(ForeverIds&&) noexcept = default;

std::optional<ForeverRow> ForeverIds::find(raft::TopicId topic, storage::IdHash hash, const EventId& id) const {
  if (topic.value >= tables_.size() || tables_[topic.value] == nullptr) {
    return std::nullopt;
  }
  const ForeverRow* row = tables_[topic.value]->find(hash.low, id);
  return row == nullptr ? std::nullopt : std::optional(*row);
}

void ForeverIds::add(raft::TopicId topic, storage::IdHash hash, const EventId& id, const ForeverRow& row) {
  if (topic.value >= tables_.size()) {
    tables_.resize(topic.value + 1);
  }
  auto& table = tables_[topic.value];
  if (table == nullptr) {
    table = std::make_unique<Table>();
  }
  const std::uint64_t digest = digest_of(topic, id, row);
  table->add(hash.low, id, row);
  table->add_to_digest(digest);
  digest_ ^= digest;
  bytes_ += bytes_of(id);
  ++size_;
}

void ForeverIds::clear(raft::TopicId topic) {
  if (topic.value >= tables_.size() || tables_[topic.value] == nullptr) {
    return;
  }
  const auto table = std::exchange(tables_[topic.value], nullptr);
  digest_ ^= table->digest();
  bytes_ -= table->bytes();
  size_ -= table->size();
}

bool ForeverIds::visit(Walk& walk, std::size_t bytes, const Visit& found) const {
  std::size_t met = 0;
  for (; walk.topic < tables_.size(); ++walk.topic, walk.row = 0) {
    const Table* table = tables_[walk.topic].get();
    for (; table != nullptr && walk.row < table->size(); ++walk.row) {
      if (met >= bytes) {
        return false;
      }
      const EventId id = table->id(walk.row);
      found(raft::TopicId{walk.topic}, id, table->row(walk.row));
      met += bytes_of(id);
    }
  }
  return true;
}

}  // namespace weir::broker
