#include <algorithm>

#include "wire/entry_generated.h"
#include "wire/flat.hpp"
#include "wire/publish_columns.hpp"
#include "wire/rules.hpp"

namespace weir::wire {
namespace {

PublishColumns columns_of(const fbs::PublishEntry& entry) {
  PublishColumns columns;
  columns.request_end = elements(entry.request_end());
  columns.request_id = {elements(entry.request_id_end()), blob_of(entry.request_id())};
  columns.body = {elements(entry.body_end()), blob_of(entry.body())};
  columns.topic = {texts_of(entry.topics()), elements(entry.topic())};
  columns.id = {elements(entry.id_end()), blob_of(entry.id())};
  columns.source = {elements(entry.source_end()), blob_of(entry.source())};
  columns.key = {elements(entry.key_end()), blob_of(entry.key())};
  columns.content_type = {texts_of(entry.content_types()), elements(entry.content_type())};
  columns.header_event = elements(entry.header_event());
  columns.header_name = {texts_of(entry.header_names()), elements(entry.header_name())};
  columns.header_value = {elements(entry.header_value_end()), blob_of(entry.header_value())};
  columns.expectation_request = elements(entry.expectation_request());
  columns.expectation_topics = texts_of(entry.expectation_topic());
  columns.expectation_next = elements(entry.expectation_next());
  columns.commit_request = elements(entry.commit_request());
  columns.commit_groups = texts_of(entry.commit_group());
  columns.commit_lease = elements(entry.commit_lease());
  columns.commit_position = elements(entry.commit_position());
  return columns;
}

/// The rows from..to of an ascending column that hold `value`.
struct Rows {
  std::uint32_t from;
  std::uint32_t to;
};

Rows rows_with(std::span<const std::uint32_t> column, std::uint32_t value) {
  const auto found = std::ranges::equal_range(column, value);
  return {static_cast<std::uint32_t>(found.begin() - column.begin()),
          static_cast<std::uint32_t>(found.end() - column.begin())};
}

}  // namespace

std::expected<PublishView, Error> PublishView::verify(raft::Bytes data) {
  if (data.size() > kMergedBytesMax) {
    return std::unexpected(Error{Errc::too_large, "PUBLISH entry: " + std::to_string(data.size()) + " bytes"});
  }
  data = aligned(std::move(data));
  // One table, no nesting: everything else is vectors.
  const auto* entry = verified<fbs::PublishEntry>(data.view(), VerifyLimits{.depth = 1, .tables = 1});
  if (entry == nullptr) return malformed("PUBLISH entry: not a FlatBuffer of this schema");
  if (!entry->time_ms() || *entry->time_ms() >= raft::kNumberLimit) return malformed("PUBLISH entry: no valid time");
  for (const auto* longs : {entry->expectation_next(), entry->commit_lease(), entry->commit_position()}) {
    if (longs != nullptr && !well_placed(longs->Data(), kAlignment)) {
      return malformed("PUBLISH entry: expectations or commits are not aligned");
    }
  }
  auto state = std::make_shared<State>(State{std::move(data), *entry->time_ms(), columns_of(*entry)});
  if (const char* rule = broken_rule(state->columns)) return malformed(std::string("PUBLISH entry: ") + rule);
  PublishView view;
  view.state_ = std::move(state);
  return view;
}

std::uint64_t PublishView::time_ms() const {
  return state_->time_ms;
}
std::uint32_t PublishView::request_count() const {
  return state_->columns.request_count();
}
std::uint32_t PublishView::event_count() const {
  return state_->columns.event_count();
}
const std::vector<std::string_view>& PublishView::topics() const {
  return state_->columns.topic.names;
}
std::uint32_t PublishView::topic_number(std::uint32_t ordinal) const {
  return state_->columns.topic.number(ordinal);
}
std::string_view PublishView::id(std::uint32_t ordinal) const {
  return state_->columns.id.at(ordinal);
}
std::string_view PublishView::source(std::uint32_t ordinal) const {
  return state_->columns.source.at(ordinal);
}
std::size_t PublishView::body_size(std::uint32_t ordinal) const {
  return state_->columns.body.at(ordinal).size();
}
const raft::Bytes& PublishView::bytes() const {
  return state_->data;
}

std::size_t PublishView::merged_bytes_max() const {
  const PublishColumns* part = &state_->columns;
  return written_bytes_max({&part, 1});
}

RequestView PublishView::request(std::uint32_t number) const {
  const auto& columns = state_->columns;
  RequestView request;
  request.first_event = number == 0 ? 0 : columns.request_end[number - 1];
  request.event_count = columns.request_end[number] - request.first_event;
  request.request_id = columns.request_id.at(number);
  const auto rows = rows_with(columns.expectation_request, number);
  for (auto row = rows.from; row < rows.to; ++row) {
    request.expectations.push_back({columns.expectation_topics[row], raft::Offset{columns.expectation_next[row]}});
  }
  const auto commits = rows_with(columns.commit_request, number);
  for (auto row = commits.from; row < commits.to; ++row) {
    request.commits.push_back(
        {columns.commit_groups[row], columns.commit_lease[row], raft::Position{columns.commit_position[row]}});
  }
  return request;
}

EventView PublishView::event(std::uint32_t ordinal) const {
  const auto& columns = state_->columns;
  EventView event;
  event.topic = columns.topic.at(ordinal);
  event.id = columns.id.at(ordinal);
  event.source = columns.source.at(ordinal);
  event.key = columns.key.at(ordinal);
  event.content_type = columns.content_type.at(ordinal);
  event.body = columns.body.at(ordinal);
  const auto rows = rows_with(columns.header_event, ordinal);
  event.headers.reserve(rows.to - rows.from);
  for (auto row = rows.from; row < rows.to; ++row) {
    event.headers.push_back({columns.header_name.at(row), columns.header_value.at(row)});
  }
  return event;
}

bool PublishView::is_batch() const {
  return state_->columns.request_id.present() || !state_->columns.commit_request.empty();
}

bool PublishView::every_event_has_id() const {
  const auto& id = state_->columns.id;
  if (!id.present() || id.ends.front() == 0) return false;
  return std::ranges::adjacent_find(id.ends) == id.ends.end();
}

}  // namespace weir::wire
