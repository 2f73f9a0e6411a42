#include "broker/core/decoded_entry.hpp"

#include <algorithm>
#include <utility>

namespace weir::broker {
namespace {

using Content = decltype(DecodedEntry::content);

/// What an entry takes in memory beside its data: views, counts, its places in list and map. Small entries are many.
constexpr std::size_t kEntryOverheadBytes = 512;

[[nodiscard]] std::size_t weight_of(const DecodedEntry& entry) {
  return entry.data_bytes + kEntryOverheadBytes;
}

template <class Decoded>
[[nodiscard]] std::expected<Content, std::string> to_content(std::expected<Decoded, wire::Error> decoded) {
  if (!decoded) {
    return std::unexpected(std::move(decoded.error().text));
  }
  return Content{std::move(*decoded)};
}

[[nodiscard]] std::expected<Content, std::string> decode_content(const raft::Entry& entry) {
  switch (entry.command) {
    case raft::Command::noop:
    case raft::Command::hollow:
      return Content{};
    case raft::Command::publish:
    case raft::Command::batch:
      return to_content(wire::PublishView::verify(entry.data));
    case raft::Command::dedup:
      return to_content(wire::decode_dedup(entry.data));
    case raft::Command::topic:
      return to_content(wire::decode_topic(entry.data));
    case raft::Command::group:
      return to_content(wire::decode_group(entry.data));
    case raft::Command::config:
      return to_content(wire::decode_config(entry.data));
    case raft::Command::retain:
      return to_content(wire::decode_retain(entry.data));
    case raft::Command::digest:
      return to_content(wire::decode_digest(entry.data));
    default:
      // Rolling upgrade rule (DESIGN §3): skipping what others may act on would let replicas differ.
      return std::unexpected("command " + std::to_string(static_cast<unsigned>(entry.command)) +
                             " is of a later version; upgrade this node");
  }
}

}  // namespace

std::uint64_t DecodedEntry::time_ms() const {
  if (const auto* events = publish()) {
    return events->time_ms();
  }
  if (const auto* claims = dedup()) {
    return claims->time_ms;
  }
  if (const auto* floors = retain()) {
    return floors->time_ms;
  }
  if (const auto* changes = topic()) {
    return changes->time_ms;
  }
  if (const auto* changes = group()) {
    return changes->time_ms;
  }
  if (const auto* reports = digest()) {
    return reports->time_ms;
  }
  return 0;
}

std::expected<DecodedEntryPtr, std::string> decode(const raft::Entry& entry) {
  const auto where = [&entry] { return "log entry " + std::to_string(entry.index.value) + ": "; };
  if (!wire::checksum_holds(entry)) {
    return std::unexpected(where() + "its checksum does not hold");
  }
  auto content = decode_content(entry);
  if (!content) {
    return std::unexpected(where() + content.error());
  }
  return std::make_shared<const DecodedEntry>(DecodedEntry{.index = entry.index,
                                                           .term = entry.term,
                                                           .command = entry.command,
                                                           .checksum = entry.checksum,
                                                           .data_bytes = entry.data.size(),
                                                           .content = std::move(*content)});
}

bool any_hollow(const std::vector<raft::Entry>& entries) {
  return std::ranges::any_of(entries, [](const raft::Entry& entry) { return entry.command == raft::Command::hollow; });
}

void EntryCache::put(const DecodedEntryPtr& entry) {
  if (const auto place = places_.find(entry->index); place != places_.end()) {
    bytes_ -= weight_of(**place->second);
    order_.erase(place->second);
    places_.erase(place);
  }
  order_.push_front(entry);
  places_.emplace(entry->index, order_.begin());
  bytes_ += weight_of(*entry);
  while (bytes_ > bytes_max_ && order_.size() > 1) {
    bytes_ -= weight_of(*order_.back());
    places_.erase(order_.back()->index);
    order_.pop_back();
  }
}

DecodedEntryPtr EntryCache::find(raft::Index index) {
  const auto place = places_.find(index);
  if (place == places_.end()) {
    return nullptr;
  }
  order_.splice(order_.begin(), order_, place->second);
  return *place->second;
}

storage::Error not_understood(std::string why) {
  return {.code = storage::Errc::version, .text = std::move(why)};
}

storage::Error unexpectedly_hollow(raft::Index index) {
  return {.code = storage::Errc::damaged,
          .text = "entry " + std::to_string(index.value) + " is hollow, although something of it is retained"};
}

storage::Error missing_entry(raft::Index index) {
  return {.code = storage::Errc::gone, .text = "entry " + std::to_string(index.value) + " is missing in the log"};
}

}  // namespace weir::broker
