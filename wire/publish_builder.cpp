#include <array>
#include <deque>

#include "wire/dictionary.hpp"
#include "wire/publish_columns.hpp"
#include "wire/rules.hpp"

namespace weir::wire {
namespace {

/// A column being filled. A column whose values are all empty is never begun, and left out of the entry.
struct Blob {
  std::vector<std::uint32_t> ends;
  std::string blob;

  /// The value of the event that comes after `rows` others.
  void add(std::size_t rows, std::string_view value) {
    if (value.empty() && blob.empty()) return;
    ends.resize(rows, 0);  // they were all empty, or are there already
    blob += value;
    ends.push_back(static_cast<std::uint32_t>(blob.size()));
  }
  /// With all `rows`, whether or not any of them holds anything.
  [[nodiscard]] BlobColumn whole(std::size_t rows) {
    ends.resize(rows, 0);
    return {ends, blob};
  }
  [[nodiscard]] BlobColumn column() const { return {ends, blob}; }
};

struct Names {
  std::deque<std::string> owned;  ///< a deque: what the dictionary views never moves
  Dictionary dictionary;
  std::vector<std::uint32_t> numbers;
  std::size_t bytes = 0;

  void add(std::string_view name) {
    // Neighbours mostly share their topic and content type.
    if (!numbers.empty() && dictionary.names()[numbers.back()] == name) {
      numbers.push_back(numbers.back());
      return;
    }
    auto number = dictionary.find(name);
    if (number == Dictionary::kAbsent) {
      number = dictionary.add(owned.emplace_back(name));
      bytes += name.size();
    }
    numbers.push_back(number);
  }
  [[nodiscard]] NameColumn column() const {
    NameColumn column{dictionary.names(), {}};
    if (column.names.size() > 1) column.numbers = numbers;
    return column;
  }
};

}  // namespace

struct PublishBuilder::Columns {
  Blob body;
  Blob id;
  Blob source;
  Blob key;
  Names topic;
  Names content_type;
  std::vector<std::uint32_t> header_event;
  Names header_name;
  Blob header_value;
  std::vector<std::string> expectation_topics;
  std::vector<std::uint64_t> expectation_next;
  std::vector<std::uint32_t> expectation_request;  ///< all 0: there is one request
  std::vector<std::string> commit_groups;
  std::vector<std::uint64_t> commit_lease;
  std::vector<std::uint64_t> commit_position;
  std::vector<std::uint32_t> commit_request;  ///< all 0
  std::string request_id;
  std::array<std::uint32_t, 1> request_id_end{};
  std::array<std::uint32_t, 1> request_end{};
  std::size_t event_count = 0;  ///< of all that were added, also past the limit
  std::size_t bytes = 0;        ///< of values; names are counted where they are kept

  [[nodiscard]] bool too_many() const {
    return event_count > kBatchEventsMax || expectation_next.size() > kBatchEventsMax ||
           commit_lease.size() > kBatchEventsMax;
  }
  [[nodiscard]] bool too_large() const {
    return bytes + topic.bytes + content_type.bytes + header_name.bytes > kEntryBytesMax;
  }
  [[nodiscard]] PublishColumns view();
};

PublishColumns PublishBuilder::Columns::view() {
  request_end = {static_cast<std::uint32_t>(event_count)};
  request_id_end = {static_cast<std::uint32_t>(request_id.size())};
  PublishColumns columns;
  columns.request_end = request_end;
  if (!request_id.empty()) columns.request_id = {request_id_end, request_id};
  columns.body = body.whole(event_count);
  columns.topic = topic.column();
  columns.id = id.column();
  columns.source = source.column();
  columns.key = key.column();
  columns.content_type = content_type.column();
  columns.header_event = header_event;
  columns.header_name = {header_name.dictionary.names(), header_name.numbers};
  columns.header_value = header_value.whole(header_event.size());
  columns.expectation_request = expectation_request;
  columns.expectation_topics.assign(expectation_topics.begin(), expectation_topics.end());
  columns.expectation_next = expectation_next;
  columns.commit_request = commit_request;
  columns.commit_groups.assign(commit_groups.begin(), commit_groups.end());
  columns.commit_lease = commit_lease;
  columns.commit_position = commit_position;
  return columns;
}

PublishBuilder::PublishBuilder() : columns_(std::make_unique<Columns>()) {}
PublishBuilder::~PublishBuilder() = default;
PublishBuilder::PublishBuilder(PublishBuilder&&) noexcept = default;
PublishBuilder& PublishBuilder::operator=(PublishBuilder&&) noexcept = default;

void PublishBuilder::add(const EventView& event) {
  auto& columns = *columns_;
  ++columns.event_count;
  columns.bytes += event.id.size() + event.source.size() + event.key.size() + event.body.size();
  for (const auto& header : event.headers) columns.bytes += header.value.size();
  // finish() will refuse: no need to hold more of what is too much.
  if (columns.too_many() || columns.too_large()) return;
  const std::size_t ordinal = columns.event_count - 1;
  columns.body.add(ordinal, event.body);
  columns.id.add(ordinal, event.id);
  columns.source.add(ordinal, event.source);
  columns.key.add(ordinal, event.key);
  columns.topic.add(event.topic);
  columns.content_type.add(event.content_type);
  for (const auto& header : event.headers) {
    columns.header_value.add(columns.header_event.size(), header.value);
    columns.header_event.push_back(static_cast<std::uint32_t>(ordinal));
    columns.header_name.add(header.name);
  }
}

void PublishBuilder::expect(std::string_view topic, raft::Offset next) {
  auto& columns = *columns_;
  columns.bytes += topic.size();
  if (columns.too_many() || columns.too_large()) return;
  columns.expectation_topics.emplace_back(topic);
  columns.expectation_next.push_back(next.value);
  columns.expectation_request.push_back(0);
}

void PublishBuilder::commit(const GroupCommit& commit) {
  auto& columns = *columns_;
  columns.bytes += commit.group.size();
  if (columns.too_many() || columns.too_large()) return;
  columns.commit_groups.emplace_back(commit.group);
  columns.commit_lease.push_back(commit.lease);
  columns.commit_position.push_back(commit.position.value);
  columns.commit_request.push_back(0);
}

void PublishBuilder::set_request_id(std::string_view request_id) {
  columns_->request_id = request_id;
}

std::size_t PublishBuilder::event_count() const {
  return columns_->event_count;
}

std::expected<raft::Bytes, Error> PublishBuilder::finish() {
  const auto too_large = [](std::size_t max, std::string_view of_what) {
    return std::unexpected(
        Error{Errc::too_large, "a request has at most " + std::to_string(max) + " " + std::string(of_what)});
  };
  if (columns_->too_many()) return too_large(kBatchEventsMax, "events, expectations and commits");
  if (columns_->too_large()) return too_large(kEntryBytesMax, "bytes, encoded");
  const PublishColumns columns = columns_->view();
  if (const char* rule = broken_rule(columns)) return malformed(std::string("request: ") + rule);
  const PublishColumns* part = &columns;
  auto data = write_publish({&part, 1}, 0);
  if (data.size() > kEntryBytesMax) return too_large(kEntryBytesMax, "bytes, encoded");
  return data;
}

}  // namespace weir::wire
