#include <algorithm>

#include "broker/core/state_machine.hpp"

namespace weir::broker {
namespace {

/// A topic in WSTM without its name, a part and an id in WSTD: what their counts are held against.
constexpr std::size_t kTopicBytesMin = 2 + 4 * 8;
constexpr std::size_t kPartBytesMin = 20;
constexpr std::size_t kOrdinalBytes = 4;
constexpr std::size_t kIdBytes = 1 + 8 + 8 + 4;
/// What follows a topic: settings are the bits below.
constexpr unsigned kClaimsBefore = 16;
constexpr unsigned kRemoved = 32;
constexpr unsigned kForever = 64;
constexpr std::uint8_t kRow = 1;
constexpr std::uint8_t kIdsOf = 2;
constexpr std::uint8_t kForeverId = 5;

[[nodiscard]] std::unexpected<std::string> damaged(std::string_view what, const std::string& why) {
  return std::unexpected("the saved " + std::string(what) + " cannot be used: " + why);
}

}  // namespace

std::string StateMachine::save() const {
  ImageWriter image;
  image.number(applied_index_.value);
  image.number(time_ms_);
  image.number(last_position().value);
  image.number(first_index_.value);
  image.number(claims_before_.value);
  image.number(static_cast<std::uint32_t>(topics_.size()));
  for (std::size_t i = 0; i < topics_.size(); ++i) {
    const Topic& topic = topics_[i];
    image.number(static_cast<std::uint16_t>(topic.name.size()));
    image.text(topic.name);
    image.number(topic.last_time_ms);
    image.number(topic.first_offset.value);
    image.number(topic.removed_to.value);
    image.number(events_.next_offset(raft::TopicId{i}).value);
    save_settings(topic, image);
  }
  groups_.save(image);
  image.number(forever_ids_.size());
  image.number(forever_ids_.digest());
  return image.finish(kStateMagic);
}

void StateMachine::save_settings(const Topic& topic, ImageWriter& image) {
  auto settings = topic.settings.in_order();
  if (topic.forever_from != raft::Index{}) {
    settings.back() = {};  // said by its flag
  }
  unsigned flags = topic.removed ? kRemoved : 0;
  flags |= topic.claims_before != raft::Index{} ? kClaimsBefore : 0;
  flags |= topic.forever_from != raft::Index{} ? kForever : 0;
  for (std::size_t i = 0; i < settings.size(); ++i) {
    flags |= settings[i].kind != wire::Setting::Kind::unset ? 1U << i : 0;
  }
  image.number(static_cast<std::uint8_t>(flags));
  for (const auto& setting : settings) {
    if (setting.kind != wire::Setting::Kind::unset) {
      image.number(setting.value);
    }
  }
  if (topic.claims_before != raft::Index{}) {
    image.number(topic.claims_before.value);
  }
  if (topic.forever_from != raft::Index{}) {
    image.number(topic.forever_from.value);
  }
}

void StateMachine::restore_settings(Topic& topic, ImageReader& image) {
  const unsigned flags = image.u8();
  auto settings = topic.settings.in_order();
  for (std::size_t i = 0; i < settings.size(); ++i) {
    if ((flags & (1U << i)) != 0) {
      const std::uint64_t value = image.u64();
      settings[i] = {.kind = value == 0 ? wire::Setting::Kind::off : wire::Setting::Kind::value, .value = value};
    }
  }
  if ((flags & kClaimsBefore) != 0) {
    topic.claims_before = raft::Index{image.u64()};
  }
  if ((flags & kForever) != 0) {
    topic.forever_from = raft::Index{image.u64()};
    settings.back() = {.kind = wire::Setting::Kind::forever, .value = 0};
  }
  topic.settings = wire::TopicSettings::from(settings);
  topic.removed = (flags & kRemoved) != 0;
}

std::expected<void, std::string> StateMachine::restore(std::string_view state) {
  auto image = ImageReader::open(state, kStateMagic);
  if (!image) {
    return damaged("state", image.error());
  }
  applied_index_ = raft::Index{image->u64()};
  time_ms_ = image->u64();
  const raft::Position last_position{image->u64()};
  first_index_ = raft::Index{image->u64()};
  claims_before_ = raft::Index{image->u64()};
  std::vector<raft::Offset> next_offsets;
  for (std::uint32_t left = image->count(kTopicBytesMin); left > 0 && !image->at_end(); --left) {
    Topic topic;
    topic.name = image->text(image->u16());
    topic.last_time_ms = image->u64();
    topic.first_offset = raft::Offset{image->u64()};
    topic.removed_to = raft::Position{image->u64()};
    next_offsets.emplace_back(image->u64());
    if (image->version() >= 2) {
      restore_settings(topic, *image);
    }
    count_settings(topic, 1);
    some_removed_to_ = std::max(some_removed_to_, topic.removed_to);
    topic_ids_.emplace(topic.name, raft::TopicId{topics_.size()});
    topics_.push_back(std::move(topic));
  }
  const bool groups_fit = image->version() < 3 || groups_.restore(*image);
  if (image->version() >= 4) {
    forever_size_saved_ = image->u64();
    forever_digest_saved_ = image->u64();
  }
  if (!groups_fit || !image->whole() || topic_ids_.size() != topics_.size() || first_index_ > applied_index_.next()) {
    return damaged("state", "its tables do not fit together");
  }
  events_.resume(last_position, next_offsets);
  return {};
}

std::expected<void, std::string> StateMachine::add_delta(std::string_view delta) {
  auto image = ImageReader::open(delta, kDeltaMagic);
  if (!image) {
    return damaged("delta", image.error());
  }
  raft::Index ids_of;
  std::vector<storage::DedupIndex::Id> ids;
  ids.reserve(delta.size() / kIdBytes);
  while (!image->at_end()) {
    const std::uint8_t kind = image->u8();
    if (kind == kRow) {
      if (auto added = restore_row(*image); !added) {
        return damaged("delta", added.error());
      }
    } else if (kind == kIdsOf) {
      ids_of = raft::Index{image->u64()};
    } else if (kind == static_cast<std::uint8_t>(DeltaWriter::Kind::event) ||
               kind == static_cast<std::uint8_t>(DeltaWriter::Kind::claim)) {
      restore_id(*image, ids_of, static_cast<DeltaWriter::Kind>(kind), ids);
    } else if (kind == kForeverId) {
      restore_forever(*image);
    } else {
      return damaged("delta", "a record of an unknown kind");
    }
  }
  ids_.insert(ids);
  return image->whole() ? std::expected<void, std::string>{} : damaged("delta", "cut short");
}

std::expected<void, std::string> StateMachine::ids_in_delta(std::string_view delta,
                                                            std::vector<storage::KeyedPlace>& ids) {
  auto image = ImageReader::open(delta, kDeltaMagic);
  if (!image) {
    return damaged("delta", image.error());
  }
  raft::Index ids_of;
  while (!image->at_end()) {
    const std::uint8_t kind = image->u8();
    if (kind == kRow) {
      static_cast<void>(read_row(*image));
    } else if (kind == kIdsOf) {
      ids_of = raft::Index{image->u64()};
    } else if (kind == static_cast<std::uint8_t>(DeltaWriter::Kind::event) ||
               kind == static_cast<std::uint8_t>(DeltaWriter::Kind::claim)) {
      const auto [hash, place] = read_id(*image, ids_of);
      ids.push_back({.key = key_of(hash), .place = place});
    } else if (kind == kForeverId) {
      static_cast<void>(image->forever_id());
    } else {
      return damaged("delta", "a record of an unknown kind");
    }
  }
  return image->whole() ? std::expected<void, std::string>{} : damaged("delta", "cut short");
}

storage::EntryRow StateMachine::read_row(ImageReader& image) {
  storage::EntryRow row;
  row.log_index = raft::Index{image.u64()};
  row.first_position = raft::Position{image.u64()};
  row.time_ms = image.u64();
  row.stored_count = image.u32();
  for (std::uint32_t left = image.count(kOrdinalBytes); left > 0; --left) {
    row.skipped.push_back(image.u32());
  }
  for (std::uint32_t left = image.count(kPartBytesMin); left > 0; --left) {
    const raft::TopicId topic{image.u32()};
    const std::uint32_t count = image.u32();
    const std::uint32_t bytes = image.u32();
    const std::uint32_t last = image.version() < 2 ? row.stored_count - 1 : image.u32();
    row.topics.push_back(
        {.topic = topic, .first_offset = raft::Offset{image.u64()}, .count = count, .bytes = bytes, .last = last});
  }
  return row;
}

std::expected<void, std::string> StateMachine::restore_row(ImageReader& image) {
  const storage::EntryRow row = read_row(image);
  std::uint64_t stored = 0;
  for (const storage::TopicPart& part : row.topics) {
    stored += part.count;
  }
  if (row.log_index < first_index_) {
    return {};
  }
  if (row.topics.empty() || stored != row.stored_count || row.log_index > applied_index_ ||
      !events_.defect_of(row).empty()) {
    return std::unexpected("a row that does not go on where the one before it ended");
  }
  events_.add(row);
  return {};
}

storage::DedupIndex::Id StateMachine::read_id(ImageReader& image, raft::Index log_index) {
  storage::DedupIndex::Id id;
  id.hash.high = image.u64();
  id.hash.low = image.u64();
  id.place = {.log_index = log_index, .ordinal = image.u32()};
  return id;
}

void StateMachine::restore_id(ImageReader& image, raft::Index log_index, DeltaWriter::Kind kind,
                              std::vector<storage::DedupIndex::Id>& ids) {
  const storage::DedupIndex::Id id = read_id(image, log_index);
  if (log_index < first_index_ || log_index > applied_index_) {
    return;
  }
  if (!ids_.is_in_runs(log_index)) {
    ids.push_back(id);
  }
  if (kind == DeltaWriter::Kind::claim && log_index >= claims_before_ &&
      (claim_entries_.empty() || claim_entries_.back() != log_index)) {
    claim_entries_.push_back(log_index);
  }
}

std::expected<void, std::string> StateMachine::finish_restore() {
  if (!events_.is_whole()) {
    return std::unexpected("the saved state is not whole: events are missing between its deltas and its end");
  }
  if (forever_ids_.size() != forever_size_saved_ || forever_ids_.digest() != forever_digest_saved_) {
    return std::unexpected("the saved state is not whole: ids that outlive their events are missing from its deltas");
  }
  for (std::size_t i = 0; i < topics_.size(); ++i) {
    events_.raise_floor(raft::TopicId{i}, topics_[i].first_offset);
  }
  removed_to_ = events_.position_before(first_index_);
  ids_.forget_before(first_index_);
  return {};
}

}  // namespace weir::broker
