#include "broker/core/digest.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>
#include <variant>

#include "raft/check.hpp"
#include "wire/hash.hpp"

namespace weir::broker {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are hashed and saved as they lie in memory");

/// Outcomes are told apart in what is hashed. Not on disk, but members of two versions compare: never changed.
constexpr std::uint64_t kPublished = 1;
constexpr std::uint64_t kClaimed = 2;
constexpr std::uint64_t kRefused = 3;
constexpr std::uint64_t kTopicChanged = 4;
constexpr std::uint64_t kGroupChanged = 5;
/// Before the digest of groups, so that it is not taken for that of settings.
constexpr std::uint64_t kGroups = 6;
/// The same for ids that outlive their events.
constexpr std::uint64_t kForeverIds = 7;

void put(std::string& out, std::uint64_t number) {
  std::array<char, sizeof number> bytes;
  std::memcpy(bytes.data(), &number, sizeof number);
  out.append(bytes.data(), bytes.size());
}

/// Takes the first number off `bytes`. Requires that there is one.
[[nodiscard]] std::uint64_t take(std::string_view& bytes) {
  std::uint64_t number = 0;
  std::memcpy(&number, bytes.data(), sizeof number);
  bytes.remove_prefix(sizeof number);
  return number;
}

void put(std::string& out, const wire::EventResult& result) {
  put(out, result.offset.value);
  put(out, result.position.value);
  put(out, result.time_ms);
  put(out, static_cast<std::uint64_t>(result.storing));
}

struct Decision {
  std::string& out;

  void operator()(const wire::Published& published) const {
    put(out, kPublished);
    put(out, published.results.size());
    for (const auto& result : published.results) {
      put(out, result);
    }
  }
  void operator()(const wire::Claimed& claimed) const {
    put(out, kClaimed);
    put(out, static_cast<std::uint64_t>(claimed.state));
    put(out, claimed.original);
  }
  /// Without its text, which two versions may word differently.
  void operator()(const wire::Refused& refused) const {
    put(out, kRefused);
    put(out, static_cast<std::uint64_t>(refused.kind));
    put(out, refused.event);
    put(out, refused.offset.value);
  }
  void operator()(const wire::TopicChanged& changed) const {
    put(out, kTopicChanged);
    put(out, static_cast<std::uint64_t>(changed.what));
    put(out, changed.first_offset.value);
    put(out, changed.next_offset.value);
  }
  void operator()(const wire::GroupChanged& changed) const {
    put(out, kGroupChanged);
    put(out, static_cast<std::uint64_t>(changed.what));
    put(out, changed.committed.value);
    put(out, changed.generation);
    put(out, changed.lease);
    put(out, changed.expires_ms);
  }
};

constexpr std::size_t kHeadNumbers = 4;
constexpr std::size_t kMarkNumbers = 2;

}  // namespace

void Digest::applied(const DecodedEntry& entry, const Applied& applied, const StateMachine& state) {
  WEIR_CHECK(entry.index == index_.next());
  std::string said;
  put(said, value_);
  put(said, entry.index.value);
  put(said, entry.term.value);
  put(said, static_cast<std::uint64_t>(entry.command));
  put(said, entry.checksum);
  put(said, applied.outcomes.size());
  for (const auto& outcome : applied.outcomes) {
    std::visit(Decision{said}, outcome);
  }
  put(said, state.last_position().value);
  put(said, state.topic_count());
  put(said, state.time_ms());
  put(said, state.first_index().value);
  if (state.settings_digest() != 0) {
    put(said, state.settings_digest());
  }
  if (state.groups().digest() != 0) {
    put(said, kGroups);
    put(said, state.groups().digest());
  }
  if (state.forever_ids().size() != 0) {
    put(said, kForeverIds);
    put(said, state.forever_ids().size());
    put(said, state.forever_ids().digest());
  }
  const std::array<std::string_view, 1> parts{said};
  value_ = wire::checksum_of(parts);
  index_ = entry.index;
  if (is_periodic(index_) || index_ == wanted_) {
    mark();
  }
}

void Digest::want(raft::Index index) {
  wanted_ = index;
  if (index != raft::Index{} && index == index_) {
    mark();
  }
}

void Digest::mark() {
  if (!marks_.empty() && marks_.back().index == index_) {
    return;
  }
  marks_.push_back({.index = index_, .digest = value_});
  if (marks_.size() > kDigestMarksMax) {
    marks_.pop_front();
  }
}

std::optional<std::uint64_t> Digest::at(raft::Index index) const {
  const auto place = std::ranges::lower_bound(marks_, index, {}, &raft::StateReport::index);
  return place != marks_.end() && place->index == index ? std::optional(place->digest) : std::nullopt;
}

std::optional<raft::StateReport> Digest::report() const {
  if (const auto wanted = at(wanted_)) {
    return raft::StateReport{.index = wanted_, .digest = *wanted};
  }
  return marks_.empty() ? std::nullopt : std::optional(marks_.back());
}

void Digest::compared(const wire::DigestEntry& entry, Outcome outcome) {
  compared_index_ = std::max(compared_index_, entry.index);
  if (outcome == Outcome::open) {
    dispute_ = entry;
  } else {
    dispute_.reset();
  }
}

std::string Digest::save() const {
  std::string saved;
  put(saved, index_.value);
  put(saved, value_);
  put(saved, compared_index_.value);
  put(saved, marks_.size());
  for (const auto& mark : marks_) {
    put(saved, mark.index.value);
    put(saved, mark.digest);
  }
  if (dispute_) {
    saved.append(wire::encode(*dispute_).view());
  }
  return saved;
}

std::expected<void, std::string> Digest::restore(std::string_view saved) {
  if (saved.size() < kHeadNumbers * sizeof(std::uint64_t)) {
    return std::unexpected("its digest is cut short");
  }
  Digest read(every_entries_);
  read.index_ = raft::Index{take(saved)};
  read.value_ = take(saved);
  read.compared_index_ = raft::Index{take(saved)};
  const std::uint64_t count = take(saved);
  if (count > kDigestMarksMax || saved.size() / (kMarkNumbers * sizeof(std::uint64_t)) < count) {
    return std::unexpected("the marks of its digest are cut short");
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    const raft::Index index{take(saved)};
    read.marks_.push_back({.index = index, .digest = take(saved)});
  }
  const bool rising =
      std::ranges::adjacent_find(read.marks_, std::greater_equal{}, &raft::StateReport::index) == read.marks_.end();
  if (!rising || (count > 0 && read.marks_.back().index > read.index_)) {
    return std::unexpected("the marks of its digest are not in order");
  }
  if (!saved.empty()) {
    auto dispute = wire::decode_digest(raft::Bytes::copy_of(saved));
    if (!dispute) {
      return std::unexpected("its digest: " + dispute.error().text);
    }
    read.dispute_ = *std::move(dispute);
  }
  *this = std::move(read);
  return {};
}

std::string digest_text(std::uint64_t digest) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4) {
    text += kDigits[digest >> static_cast<unsigned>(shift) & 15U];
  }
  return text;
}

}  // namespace weir::broker
