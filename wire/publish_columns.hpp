// A PUBLISH entry's columns (wire/entry.fbs) as plain spans: what the builder fills, the view reads and the writer lays
// down. Private to wire/*.cpp. Values only: no thread rule.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "raft/types.hpp"
#include "wire/entry.hpp"

namespace weir::wire {

/// Values back to back; value n ends at ends[n]. No ends: every value is empty.
struct BlobColumn {
  std::span<const std::uint32_t> ends;
  std::string_view blob;

  [[nodiscard]] bool present() const { return !ends.empty(); }
  /// Requires n < the number of rows.
  [[nodiscard]] std::string_view at(std::uint32_t n) const {
    if (ends.empty()) return {};
    const std::uint32_t begin = n == 0 ? 0 : ends[n - 1];
    return blob.substr(begin, ends[n] - begin);
  }
};

/// Numbers of names in a dictionary. No numbers: every number is 0.
struct NameColumn {
  std::vector<std::string_view> names;
  std::span<const std::uint32_t> numbers;

  [[nodiscard]] std::uint32_t number(std::uint32_t n) const { return numbers.empty() ? 0 : numbers[n]; }
  /// Empty where there are no names at all.
  [[nodiscard]] std::string_view at(std::uint32_t n) const {
    return names.empty() ? std::string_view{} : names[number(n)];
  }
};

struct PublishColumns {
  std::span<const std::uint32_t> request_end;
  BlobColumn request_id;

  BlobColumn body;
  NameColumn topic;
  BlobColumn id;
  BlobColumn source;
  BlobColumn key;
  NameColumn content_type;

  std::span<const std::uint32_t> header_event;
  NameColumn header_name;
  BlobColumn header_value;

  std::span<const std::uint32_t> expectation_request;
  std::vector<std::string_view> expectation_topics;
  std::span<const std::uint64_t> expectation_next;

  std::span<const std::uint32_t> commit_request;
  std::vector<std::string_view> commit_groups;
  std::span<const std::uint64_t> commit_lease;
  std::span<const std::uint64_t> commit_position;

  [[nodiscard]] std::uint32_t event_count() const { return static_cast<std::uint32_t>(body.ends.size()); }
  [[nodiscard]] std::uint32_t request_count() const { return static_cast<std::uint32_t>(request_end.size()); }
  [[nodiscard]] std::uint32_t header_count() const { return static_cast<std::uint32_t>(header_event.size()); }
};

/// The first rule of the format that the columns break, or nullptr. What the verifier has accepted is only then safe to
/// read through BlobColumn::at and NameColumn::at.
[[nodiscard]] const char* broken_rule(const PublishColumns& columns);

/// At most so many bytes does write_publish make of these parts.
[[nodiscard]] std::size_t written_bytes_max(std::span<const PublishColumns* const> parts);

/// One FlatBuffer with the rows of all parts, in order. Requires parts without broken rules.
[[nodiscard]] raft::Bytes write_publish(std::span<const PublishColumns* const> parts, std::uint64_t time_ms);

/// What PublishView shares between its copies.
struct PublishView::State {
  raft::Bytes data;
  std::uint64_t time_ms = 0;
  PublishColumns columns;
};

}  // namespace weir::wire
