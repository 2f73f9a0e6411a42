// Groups as bytes: in the saved state (state_image.hpp), and for the digest.
#include <algorithm>
#include <array>

#include "broker/core/groups.hpp"
#include "wire/hash.hpp"

namespace weir::broker {
namespace {

/// What counts are held against: a group without its name, a pattern, a range, a commit.
constexpr std::size_t kGroupBytesMin = 2 + 4 + 3 * 8 + 4 + 4;
constexpr std::size_t kPatternBytesMin = 2;
constexpr std::size_t kRangeBytes = 8 + 1 + 8 + 8;
constexpr std::size_t kCommitBytes = 8 + 8;

void save_text(ImageWriter& image, std::string_view text) {
  image.number(static_cast<std::uint16_t>(text.size()));
  image.text(text);
}

void save_group(ImageWriter& image, const std::string& name, const Group& group) {
  save_text(image, name);
  image.number(static_cast<std::uint32_t>(group.patterns.size()));
  for (const auto& pattern : group.patterns) {
    save_text(image, pattern);
  }
  image.number(group.committed.value);
  image.number(group.gap_told.value);
  image.number(group.generation);
  image.number(static_cast<std::uint32_t>(group.ranges.size()));
  for (const auto& range : group.ranges) {
    image.number(range.to.value);
    image.number(static_cast<std::uint8_t>(range.state));
    image.number(range.lease);
    image.number(range.expires_ms);
  }
  image.number(static_cast<std::uint32_t>(group.commits.size()));
  for (const auto& commit : group.commits) {
    image.number(commit.lease);
    image.number(commit.to.value);
  }
}

[[nodiscard]] Group restore_group(ImageReader& image) {
  Group group;
  for (std::uint32_t left = image.count(kPatternBytesMin); left > 0 && !image.at_end(); --left) {
    group.patterns.emplace_back(image.text(image.u16()));
  }
  group.committed = raft::Position{image.u64()};
  group.gap_told = raft::Position{image.u64()};
  group.generation = image.u64();
  for (std::uint32_t left = image.count(kRangeBytes); left > 0; --left) {
    GroupRange range;
    range.to = raft::Position{image.u64()};
    range.state = static_cast<GroupRange::State>(image.u8());
    range.lease = image.u64();
    range.expires_ms = image.u64();
    group.ranges.push_back(range);
  }
  for (std::uint32_t left = image.count(kCommitBytes); left > 0; --left) {
    const std::uint64_t lease = image.u64();
    group.commits.push_back({.lease = lease, .to = raft::Position{image.u64()}});
  }
  return group;
}

[[nodiscard]] bool makes_sense(const Group& group) {
  raft::Position before = group.committed;
  for (const auto& range : group.ranges) {
    const bool known = range.state >= GroupRange::State::held && range.state <= GroupRange::State::free;
    if (!known || range.to <= before) {
      return false;
    }
    before = range.to;
  }
  return !group.patterns.empty() && group.patterns.size() <= wire::kGroupPatternsMax &&
         group.ranges.size() <= 2 * kGroupRangesMax && group.commits.size() <= kCommitsRememberedMax;
}

}  // namespace

void Groups::save(ImageWriter& image) const {
  image.number(last_lease_);
  image.number(static_cast<std::uint32_t>(groups_.size()));
  for (const auto& [name, group] : groups_) {
    save_group(image, name, group);
  }
}

bool Groups::restore(ImageReader& image) {
  last_lease_ = image.u64();
  for (std::uint32_t left = image.count(kGroupBytesMin); left > 0 && !image.at_end(); --left) {
    std::string name(image.text(image.u16()));
    Group group = restore_group(image);
    const auto [place, is_new] = groups_.emplace(std::move(name), std::move(group));
    if (!is_new || !makes_sense(place->second)) {
      return false;
    }
    add(place->first, place->second);
  }
  return groups_.size() <= kGroupsMax;
}

std::uint64_t Groups::digest_of(const std::string& name, const Group& group) {
  ImageWriter image;
  save_group(image, name, group);
  const std::string bytes = image.finish("WGRP");
  const std::array<std::string_view, 1> parts{bytes};
  return wire::checksum_of(parts);
}

}  // namespace weir::broker
