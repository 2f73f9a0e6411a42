#include "tests/wire/samples.hpp"

#include <flatbuffers/flatbuffers.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace weir::wire::test {

std::uint64_t seed() {
  const char* set = std::getenv("WEIR_SEED");
  const std::uint64_t value = set != nullptr ? std::strtoull(set, nullptr, 10) : std::random_device{}();
  std::cout << "WEIR_SEED=" << value << '\n';
  return value;
}

raft::Bytes tight(std::string_view bytes, std::size_t shift) {
  const std::shared_ptr<char[]> owner(new char[bytes.size() + shift]);
  if (!bytes.empty()) std::memcpy(owner.get() + shift, bytes.data(), bytes.size());
  return {owner, std::string_view(owner.get() + shift, bytes.size())};
}

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    hex += kDigits[byte >> 4U];
    hex += kDigits[byte & 15U];
  }
  return hex;
}

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t at = 0; at + 1 < hex.size(); at += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(at, 2)), nullptr, 16));
  }
  return bytes;
}

std::string joined(const EncodedFrame& frame) {
  std::string bytes;
  for (const auto& part : frame.parts) bytes += part.view();
  EXPECT_EQ(bytes.size(), frame.size);
  return bytes;
}

std::expected<PeerMessage, Error> received(std::string_view bytes, std::size_t shift) {
  const auto header = decode_header(bytes, kFrameBytesMax);
  if (!header) return std::unexpected(header.error());
  return decode(*header, tight(bytes.substr(kFrameHeaderBytes), shift));
}

std::expected<PeerMessage, Error> round_trip(const PeerMessage& message) {
  return received(joined(encode(message)));
}

std::string framed(FrameType type, std::string_view payload) {
  std::string bytes(12, '\0');
  const auto length = static_cast<std::uint32_t>(payload.size());
  std::memcpy(bytes.data(), &length, sizeof length);
  bytes[4] = static_cast<char>(kFrameVersion);
  bytes[5] = static_cast<char>(type);
  const std::string checked = bytes + std::string(payload);
  const std::uint64_t checksum = XXH3_64bits(checked.data(), checked.size());
  bytes.append(reinterpret_cast<const char*>(&checksum), sizeof checksum);
  return bytes + std::string(payload);
}

raft::Entry entry(std::uint64_t index, std::uint64_t term, raft::Command command, std::string_view data) {
  return {raft::Index{index}, raft::Term{term}, command, entry_checksum(command, data), raft::Bytes::copy_of(data)};
}

raft::Message message(std::uint64_t term, decltype(raft::Message::body) body) {
  return {raft::NodeId{1}, raft::NodeId{2}, raft::Term{term}, 1'700'000'000'123, std::move(body)};
}

Hello hello() {
  return {.version_min = 1,
          .version_max = 2,
          .cluster_id = "k7m2qxa4",
          .node = "n1",
          .incarnation = 0x1122334455667788,
          .boot_nonce = 99,
          .members = {"n1", "n2", "n3"},
          .raft_address = "10.0.0.1:7400",
          .http_address = "10.0.0.1:7480"};
}

raft::InstallSnapshot install_snapshot() {
  const ConfigEntry config{"k7m2qxa4", "e7h3kq2mz", {{raft::NodeId{5}, "n1", "10.0.0.1:7400", "", 77}}};
  raft::Entry entry{raft::Index{8}, raft::Term{2}, raft::Command::config, 0, encode(config)};
  entry.checksum = entry_checksum(entry.command, entry.data.view());
  return {.snapshot = {.index = raft::Index{90},
                       .term = raft::Term{4},
                       .number = 0x5eed,
                       .size = 5000,
                       .config = std::move(entry)},
          .offset = 4096,
          .data = raft::Bytes::copy_of("thirteen bytes")};
}

namespace {

Hello started_hello() {
  Hello started = hello();
  started.started_term = raft::Term{4};
  started.started_index = raft::Index{1'000};
  return started;
}

Hello damaged_hello() {
  Hello damaged = hello();
  damaged.cluster_id.clear();
  damaged.lost_data = true;
  return damaged;
}

raft::Message reporting() {
  auto reply = message(5, raft::AppendEntriesReply{raft::AppendAnswer::matched, raft::Index{12}, {}, {}, {}});
  reply.report = raft::StateReport{raft::Index{11}, 0x5f3a'0000'0000'0001};
  return reply;
}

raft::Message asking(const raft::AppendEntries& heartbeat) {
  auto asks = message(5, heartbeat);
  asks.report_wanted = raft::Index{8};
  return asks;
}

}  // namespace

std::map<std::string, PeerMessage> every_message() {
  const raft::ReadContext context{raft::NodeId{1}, 0xfeedfacecafebeef, 7};
  const EventResult result{raft::Offset{41}, raft::Position{1042}, 1'700'000'000'000, Storing::duplicate};
  raft::AppendEntries append{raft::Index{9}, raft::Term{3}, raft::Index{8}, {}, context};
  const raft::AppendEntries heartbeat = append;
  append.entries = {entry(10, 4, raft::Command::noop, ""), entry(11, 4, raft::Command::publish, "twelve bytes"),
                    entry(12, 5, static_cast<raft::Command>(200), "of a later version")};
  const ConfigEntry config{"k7m2qxa4", "e7h3kq2mz", {{raft::NodeId{5}, "n1", "10.0.0.1:7400", "", 77}}};
  return {
      {"hello", hello()},
      {"hello-started", started_hello()},
      {"hello-damaged", damaged_hello()},
      {"welcome", Welcome{hello(), ""}},
      {"welcome-refused", Welcome{hello(), "protocol 3 is not spoken here; upgrade n1 first"}},
      {"found", Found{encode(config)}},
      {"found-admitted", Found{encode(config), encode(config)}},
      {"request-vote", message(5, raft::RequestVote{raft::VoteKind::pre_vote, raft::Index{12}, raft::Term{4}})},
      {"request-vote-reply",
       message(5, raft::RequestVoteReply{raft::VoteKind::transfer_vote, raft::VoteAnswer::granted})},
      {"heartbeat", message(5, heartbeat)},
      {"append-entries", message(5, append)},
      {"append-entries-matched",
       message(5, raft::AppendEntriesReply{raft::AppendAnswer::matched, raft::Index{12}, {}, {}, context})},
      {"append-entries-conflict",
       message(5, raft::AppendEntriesReply{raft::AppendAnswer::conflict, {}, raft::Term{2}, raft::Index{4}, context})},
      {"append-entries-reporting", reporting()},
      {"heartbeat-asking", asking(heartbeat)},
      {"read-index", message(5, raft::ReadIndexRequest{context})},
      {"read-index-reply", message(5, raft::ReadIndexReply{context, raft::Index{12}})},
      {"timeout-now", message(5, raft::TimeoutNow{})},
      {"install-snapshot", message(5, install_snapshot())},
      {"install-snapshot-reply",
       message(5, raft::InstallSnapshotReply{raft::InstallAnswer::more, raft::Index{90}, 0x5eed, 4096})},
      {"forward", Forward{17, 99, raft::Command::publish, 5000, built(full_request())}},
      {"reply-published", ForwardReply{17, 99, Published{{result, {raft::Offset{42}, raft::Position{1043}, 5}}}}},
      {"reply-topic",
       ForwardReply{17, 99,
                    TopicChanged{TopicWhat::changed,
                                 {{Setting::Kind::value, 7}, {Setting::Kind::off, 0}, {}, {Setting::Kind::value, 9}},
                                 raft::Offset{2},
                                 raft::Offset{42},
                                 1'024,
                                 1'700'000'000'000}}},
      {"forward-batch", Forward{18, 99, raft::Command::batch, 5000, built(full_batch())}},
      {"reply-group",
       ForwardReply{17, 99, GroupChanged{GroupWhat::claimed, raft::Position{41}, 4, 7, 1'700'000'000'000}}},
      {"reply-claimed", ForwardReply{17, 99, Claimed{ClaimState::published_before, result}}},
      {"reply-refused",
       ForwardReply{17, 99, Refused{RefusalKind::id_reuse, 3, raft::Offset{40}, "id 'a1' has other content"}}},
  };
}

EventView Event::view() const {
  EventView view{topic, id, source, key, content_type, {}, body};
  for (const auto& [name, value] : headers) view.headers.push_back({name, value});
  return view;
}

Event copy_of(const EventView& view) {
  Event event{std::string(view.topic), std::string(view.id),           std::string(view.source),
              std::string(view.key),   std::string(view.content_type), {},
              std::string(view.body)};
  for (const auto& [name, value] : view.headers) event.headers.emplace_back(name, value);
  return event;
}

raft::Bytes built(const Request& request) {
  PublishBuilder builder;
  for (const auto& event : request.events) builder.add(event.view());
  for (const auto& [topic, next] : request.expectations) builder.expect(topic, raft::Offset{next});
  builder.set_request_id(request.request_id);
  for (const auto& [group, lease, position] : request.commits) {
    builder.commit({.group = group, .lease = lease, .position = raft::Position{position}});
  }
  auto data = builder.finish();
  EXPECT_TRUE(data) << data.error().text;
  return data ? *data : raft::Bytes{};
}

PublishView viewed(raft::Bytes data) {
  auto view = PublishView::verify(std::move(data));
  if (!view) throw std::runtime_error("entry refused: " + view.error().text);
  return *view;
}

std::vector<Request> copy_of(const PublishView& view) {
  std::vector<Request> requests;
  for (std::uint32_t number = 0; number < view.request_count(); ++number) {
    const auto shown = view.request(number);
    Request request;
    request.request_id = shown.request_id;
    for (const auto& [topic, next] : shown.expectations) request.expectations.emplace_back(topic, next.value);
    for (const auto& commit : shown.commits) {
      request.commits.emplace_back(commit.group, commit.lease, commit.position.value);
    }
    for (auto ordinal = shown.first_event; ordinal < shown.first_event + shown.event_count; ++ordinal) {
      request.events.push_back(copy_of(view.event(ordinal)));
    }
    requests.push_back(std::move(request));
  }
  return requests;
}

Request full_request() {
  return {.events =
              {{.topic = "orders",
                .id = "a1",
                .source = "till-7",
                .key = "customer-5",
                .content_type = "text/plain",
                .headers = {{"traceparent", "00-ab"}, {"x-shop", ""}},
                .body = "first"},
               {.topic = "stock", .id = "a2", .source = "", .key = "", .content_type = "", .headers = {}, .body = ""}},
          .expectations = {{"orders", 41}, {"stock", 0}},
          .request_id = "batch-1"};
}

Request full_batch() {
  Request batch = full_request();
  batch.commits = {{"billing", 7, 41}, {"audit", 0, 40}};
  return batch;
}

Request random_request(std::mt19937_64& random) {
  const auto below = [&](std::uint64_t limit) { return random() % limit; };
  const auto text = [&](std::size_t size_max) {
    std::string bytes(below(size_max + 1), '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    return bytes;
  };
  // Each request uses some of the columns, so that merging meets every mix.
  const std::uint64_t uses = random();
  const bool ids = (uses & 1U) != 0, sources = (uses & 2U) != 0, keys = (uses & 4U) != 0, types = (uses & 8U) != 0;
  const bool headers = (uses & 16U) != 0, expectations = (uses & 32U) != 0;
  const std::uint64_t topics = (uses & 64U) != 0 ? 1 : 20;
  Request request;
  const std::size_t count = 1 + below(below(10) == 0 ? 40 : 4);
  for (std::size_t n = 0; n < count; ++n) {
    Event event;
    event.topic = "topic-" + std::to_string(below(topics));
    event.body = text(30);
    if (ids) event.id = text(10);
    if (sources) event.source = text(3);
    if (keys) event.key = text(5);
    if (types) event.content_type = std::array{"", "text/plain", "application/json"}[below(3)];
    if (headers) {
      for (auto left = below(3); left > 0; --left) event.headers.emplace_back("h" + std::to_string(below(12)), text(6));
    }
    request.events.push_back(std::move(event));
  }
  if (expectations) request.expectations.emplace_back("topic-" + std::to_string(below(9)), below(1000));
  if ((uses & 128U) != 0) request.request_id = text(8);
  if ((uses & 256U) != 0) request.commits.emplace_back("group-" + std::to_string(below(9)), below(100), below(1000));
  return request;
}

void RawEntry::erase(int field) {
  if (field == time_ms) time.reset();
  numbers.erase(field);
  blobs.erase(field);
  names.erase(field);
  longs.erase(field);
}

raft::Bytes RawEntry::build() const {
  flatbuffers::FlatBufferBuilder builder;
  std::map<int, flatbuffers::Offset<void>> offsets;
  for (const auto& [field, values] : numbers) offsets[field] = builder.CreateVector(values).Union();
  for (const auto& [field, value] : blobs) {
    offsets[field] = builder.CreateVector(reinterpret_cast<const std::uint8_t*>(value.data()), value.size()).Union();
  }
  for (const auto& [field, values] : names) offsets[field] = builder.CreateVectorOfStrings(values).Union();
  for (const auto& [field, values] : longs) offsets[field] = builder.CreateVector(values).Union();
  const auto start = builder.StartTable();
  const auto slot = [](int field) { return static_cast<flatbuffers::voffset_t>(4 + 2 * field); };
  if (time) builder.AddElement<std::uint64_t>(slot(time_ms), *time);
  for (const auto& [field, offset] : offsets) builder.AddOffset(slot(field), offset);
  builder.Finish(flatbuffers::Offset<flatbuffers::Table>(builder.EndTable(start)));
  return tight({reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()});
}

RawEntry honest_entry() {
  RawEntry raw;
  raw.time = 12;
  raw.numbers = {{request_end, {2, 3}},         {body_end, {1, 1, 4}},     {topic, {0, 1, 0}},
                 {id_end, {2, 4, 6}},           {source_end, {0, 0, 1}},   {key_end, {0, 3, 3}},
                 {content_type, {0, 0, 1}},     {header_event, {0, 0, 2}}, {header_name, {0, 1, 0}},
                 {header_value_end, {1, 1, 3}}, {request_id_end, {0, 2}},  {expectation_request, {1}},
                 {commit_request, {1}}};
  raw.blobs = {{body, "xyzw"}, {id, "a1a2a3"}, {source, "s"}, {key, "key"}, {header_value, "vvv"}, {request_id, "r2"}};
  raw.names = {{topics, {"orders", "stock"}},
               {content_types, {"", "text/plain"}},
               {header_names, {"x-a", "x-b"}},
               {expectation_topic, {"orders"}},
               {commit_group, {"billing"}}};
  raw.longs = {{expectation_next, {4}}, {commit_lease, {7}}, {commit_position, {41}}};
  return raw;
}

}  // namespace weir::wire::test
