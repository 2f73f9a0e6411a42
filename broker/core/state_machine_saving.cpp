// The state machine as bytes (Checkpoints). Numbers are u64, lowest byte first; a text is its size and its bytes:
//
//     state   applied index | first needed index (0: none) | log time |
//             last position | topics: count, then of each its last time and
//     its name delta   rows: count, then of each log index, first position, stored count, time, skipped ordinals
//     (count, each),
//             topics (count, then of each id, first offset, count)
//             ids: count, then of each its hash (high, low), log index, ordinal
//
// A topic's id is its place among the topics. Rows and ids are in the order in which they were added.
#include <utility>

#include "broker/core/state_machine.hpp"

namespace weir::broker {
namespace {

constexpr std::size_t kNumberBytes = 8;
/// What a row or an id comes to as bytes, about: enough to say when there is much of it.
constexpr std::size_t kRowBytes = 88;
constexpr std::size_t kIdBytes = 32;

void put(std::string& out, std::uint64_t number) {
  for (std::size_t i = 0; i < kNumberBytes; ++i) {
    out.push_back(static_cast<char>(number >> (8 * i)));
  }
}

/// Takes numbers and texts off the front. Whatever is missing is 0 or empty, and said at the end.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  std::uint64_t number() {
    if (bytes_.size() < kNumberBytes) {
      bytes_ = {};
      cut_off_ = true;
      return 0;
    }
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < kNumberBytes; ++i) {
      number |= std::uint64_t{static_cast<unsigned char>(bytes_[i])} << (8 * i);
    }
    bytes_.remove_prefix(kNumberBytes);
    return number;
  }
  std::uint32_t small_number() {
    const std::uint64_t wide = number();
    cut_off_ = cut_off_ || wide > UINT32_MAX;
    return static_cast<std::uint32_t>(wide);
  }
  std::string_view text() {
    const std::uint64_t size = number();
    if (size > bytes_.size()) {
      bytes_ = {};
      cut_off_ = true;
      return {};
    }
    const auto text = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return text;
  }
  [[nodiscard]] bool fits() const { return !cut_off_; }
  [[nodiscard]] bool ends() const { return !cut_off_ && bytes_.empty(); }

 private:
  std::string_view bytes_;
  bool cut_off_ = false;
};

void put(std::string& out, const storage::EntryRow& row) {
  put(out, row.log_index.value);
  put(out, row.first_position.value);
  put(out, row.stored_count);
  put(out, row.time_ms);
  put(out, row.skipped.size());
  for (const std::uint32_t ordinal : row.skipped) {
    put(out, ordinal);
  }
  put(out, row.topics.size());
  for (const storage::TopicPart& part : row.topics) {
    put(out, part.topic.value);
    put(out, part.first_offset.value);
    put(out, part.count);
  }
}

[[nodiscard]] storage::EntryRow read_row(Reader& in) {
  storage::EntryRow row;
  row.log_index = raft::Index{in.number()};
  row.first_position = raft::Position{in.number()};
  row.stored_count = in.small_number();
  row.time_ms = in.number();
  for (std::uint64_t left = in.number(); left > 0 && in.fits(); --left) {
    row.skipped.push_back(in.small_number());
  }
  for (std::uint64_t left = in.number(); left > 0 && in.fits(); --left) {
    const raft::TopicId topic{in.number()};
    const raft::Offset first_offset{in.number()};
    row.topics.push_back({.topic = topic, .first_offset = first_offset, .count = in.small_number()});
  }
  return row;
}

}  // namespace

std::string StateMachine::save() const {
  std::string out;
  put(out, applied_index_.value);
  put(out, first_needed_.value);
  put(out, time_ms_);
  put(out, events_.last_position().value);
  put(out, topics_.size());
  for (const Topic& topic : topics_) {
    put(out, topic.last_time_ms);
    put(out, topic.name.size());
    out += topic.name;
  }
  return out;
}

std::string StateMachine::take_delta() {
  std::string out;
  put(out, new_rows_.size());
  for (const storage::EntryRow& row : std::exchange(new_rows_, {})) {
    put(out, row);
  }
  put(out, new_ids_.size());
  for (const auto& [hash, place] : std::exchange(new_ids_, {})) {
    put(out, hash.high);
    put(out, hash.low);
    put(out, place.log_index.value);
    put(out, place.ordinal);
  }
  return out;
}

std::size_t StateMachine::delta_bytes() const {
  return new_rows_.size() * kRowBytes + new_ids_.size() * kIdBytes;
}

std::expected<void, std::string> StateMachine::restore(std::string_view state) {
  Reader in(state);
  applied_index_ = raft::Index{in.number()};
  first_needed_ = raft::Index{in.number()};
  time_ms_ = in.number();
  restored_to_ = raft::Position{in.number()};
  for (std::uint64_t left = in.number(); left > 0 && in.fits(); --left) {
    const std::uint64_t last_time_ms = in.number();
    const auto topic = topic_for(in.text());
    topics_[topic.value].last_time_ms = last_time_ms;
  }
  return in.ends() ? std::expected<void, std::string>() : std::unexpected("the state of the topics is cut off");
}

std::expected<void, std::string> StateMachine::add_delta(std::string_view delta) {
  Reader in(delta);
  for (std::uint64_t left = in.number(); left > 0 && in.fits(); --left) {
    const storage::EntryRow row = read_row(in);
    std::uint64_t count = 0;
    bool goes_on = in.fits() && row.first_position == events_.last_position().next();
    for (const storage::TopicPart& part : row.topics) {
      count += part.count;
      goes_on = goes_on && part.count > 0 && part.topic.value < topics_.size() &&
                part.first_offset == events_.next_offset(part.topic);
    }
    if (!goes_on || count == 0 || count != row.stored_count) {
      return std::unexpected("the row of entry " + std::to_string(row.log_index.value) +
                             " does not follow the one before it");
    }
    events_.add(row);
  }
  for (std::uint64_t left = in.number(); left > 0 && in.fits(); --left) {
    const std::uint64_t high = in.number();
    const std::uint64_t low = in.number();
    const raft::Index log_index{in.number()};
    ids_.insert({.high = high, .low = low}, {.log_index = log_index, .ordinal = in.small_number()});
  }
  return in.ends() ? std::expected<void, std::string>() : std::unexpected("what it adds is cut off");
}

std::expected<void, std::string> StateMachine::check_restored() const {
  if (events_.last_position() != restored_to_) {
    return std::unexpected("its events end at position " + std::to_string(events_.last_position().value) + ", not " +
                           std::to_string(restored_to_.value));
  }
  return {};
}

}  // namespace weir::broker
