// What must hold of a PUBLISH entry beyond the shape that the FlatBuffers verifier has seen.
#include <algorithm>
#include <array>

#include "wire/dictionary.hpp"
#include "wire/publish_columns.hpp"
#include "wire/rules.hpp"

namespace weir::wire {
namespace {

using Numbers = std::span<const std::uint32_t>;

/// Never falls. Written without an early exit, so that the compiler can use vector instructions.
bool ascending(Numbers numbers) {
  std::uint32_t falls = 0;
  for (std::size_t n = 1; n < numbers.size(); ++n) falls |= static_cast<std::uint32_t>(numbers[n] < numbers[n - 1]);
  return falls == 0;
}

bool blob_holds(const BlobColumn& column) {
  return ascending(column.ends) && column.ends.back() == column.blob.size();
}

bool optional_blob_holds(const BlobColumn& column, std::size_t rows) {
  if (!column.present()) return column.blob.empty();
  return column.ends.size() == rows && blob_holds(column);
}

/// Every number is in range, every name is used, and names stand in order of first use: when a number is met that is
/// higher than all before, it is the next.
bool in_order_of_use(Numbers numbers, std::size_t name_count) {
  std::size_t met = 0;
  for (const auto number : numbers) {
    if (number > met) return false;
    met += static_cast<std::size_t>(number == met);
  }
  return met == name_count;
}

bool names_hold(const NameColumn& column, std::size_t rows) {
  if (!distinct(column.names)) return false;
  if (column.numbers.empty()) return column.names.size() <= 1;
  return column.numbers.size() == rows && in_order_of_use(column.numbers, column.names.size());
}

bool sized(const std::vector<std::string_view>& names, std::size_t min, std::size_t max) {
  return std::ranges::all_of(names, [=](auto name) { return name.size() >= min && name.size() <= max; });
}

bool requests_hold(const PublishColumns& columns) {
  const Numbers ends = columns.request_end;
  if (ends.empty() || ends.front() == 0 || ends.back() != columns.event_count()) return false;
  return std::ranges::adjacent_find(ends, std::greater_equal{}) == ends.end();
}

bool ids_hold(const BlobColumn& id) {
  std::uint32_t longest = 0;
  std::uint32_t begin = 0;
  for (const auto end : id.ends) {
    longest = std::max(longest, end - begin);
    begin = end;
  }
  return longest <= kIdBytesMax;
}

bool headers_hold(const PublishColumns& columns) {
  const std::size_t rows = columns.header_event.size();
  if (rows == 0) {
    return columns.header_name.names.empty() && columns.header_name.numbers.empty() &&
           !columns.header_value.present() && columns.header_value.blob.empty();
  }
  return ascending(columns.header_event) && columns.header_event.back() < columns.event_count() &&
         columns.header_name.numbers.size() == rows && names_hold(columns.header_name, rows) &&
         columns.header_value.present() && optional_blob_holds(columns.header_value, rows);
}

bool expectations_hold(const PublishColumns& columns) {
  const std::size_t rows = columns.expectation_request.size();
  if (columns.expectation_topics.size() != rows || columns.expectation_next.size() != rows) return false;
  if (rows == 0) return true;
  return ascending(columns.expectation_request) && columns.expectation_request.back() < columns.request_count() &&
         sized(columns.expectation_topics, 1, kTopicBytesMax) &&
         std::ranges::all_of(columns.expectation_next, [](auto next) { return next < raft::kNumberLimit; });
}

bool commits_hold(const PublishColumns& columns) {
  const std::size_t rows = columns.commit_request.size();
  if (columns.commit_groups.size() != rows || columns.commit_lease.size() != rows ||
      columns.commit_position.size() != rows) {
    return false;
  }
  if (rows == 0) return true;
  const auto in_range = [](auto number) { return number < raft::kNumberLimit; };
  return ascending(columns.commit_request) && columns.commit_request.back() < columns.request_count() &&
         sized(columns.commit_groups, 1, kGroupBytesMax) && std::ranges::all_of(columns.commit_lease, in_range) &&
         std::ranges::all_of(columns.commit_position, in_range);
}

}  // namespace

const char* broken_rule(const PublishColumns& columns) {
  const std::size_t events = columns.event_count();
  if (events == 0) return "an entry has at least one event";
  if (!blob_holds(columns.body)) return "ends of bodies never fall, and the last is the size of all";
  if (!requests_hold(columns)) return "every request has events, and together they have all";
  if (columns.topic.names.empty() || columns.topic.names.size() > events) return "every topic has an event";
  if (!sized(columns.topic.names, 1, kTopicBytesMax)) return "a topic's name has 1 to 255 bytes";
  if (!names_hold(columns.topic, events)) return "topics are distinct, in order of first use, one number per event";
  for (const auto* column : std::array{&columns.id, &columns.source, &columns.key}) {
    if (!optional_blob_holds(*column, events)) return "id, source and key: one value per event, or no column";
  }
  if (!ids_hold(columns.id)) return "an event's id has at most 256 bytes";
  if (columns.content_type.names.size() > events || !names_hold(columns.content_type, events)) {
    return "content types are distinct, in order of first use, one number per event";
  }
  if (!headers_hold(columns)) return "headers: one event, name and value per row, in the order of events";
  if (!optional_blob_holds(columns.request_id, columns.request_end.size())) return "request ids: one per request";
  if (!ids_hold(columns.request_id)) return "a request's id has at most 256 bytes";
  if (!expectations_hold(columns)) return "expectations: one request, topic and offset below 2^62 per row";
  if (!commits_hold(columns)) return "commits: one request, group, lease and position below 2^62 per row";
  return nullptr;
}

}  // namespace weir::wire
