// Bytes, messages and events that the tests of wire/ share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "wire/peer_message.hpp"

namespace weir::wire::test {

/// WEIR_SEED if it is set, otherwise drawn; printed, so that a failure can be repeated.
[[nodiscard]] std::uint64_t seed();

/// The bytes in a heap block of exactly their size: a sanitizer sees every step outside of it. `shift` moves them that
/// far from an address divisible by 8.
[[nodiscard]] raft::Bytes tight(std::string_view bytes, std::size_t shift = 0);

[[nodiscard]] std::string to_hex(std::string_view bytes);
[[nodiscard]] std::string from_hex(std::string_view hex);

/// The parts of a frame, as the socket sends them.
[[nodiscard]] std::string joined(const EncodedFrame& frame);
/// What a connection does: header, then payload.
[[nodiscard]] std::expected<PeerMessage, Error> received(std::string_view bytes, std::size_t shift = 0);
[[nodiscard]] std::expected<PeerMessage, Error> round_trip(const PeerMessage& message);
/// A frame around any payload, its length and checksum right.
[[nodiscard]] std::string framed(FrameType type, std::string_view payload);

/// An entry whose checksum is right.
[[nodiscard]] raft::Entry entry(std::uint64_t index, std::uint64_t term, raft::Command command, std::string_view data);
[[nodiscard]] raft::Message message(std::uint64_t term, decltype(raft::Message::body) body);
[[nodiscard]] Hello hello();
/// One of each frame and of each raft body, every field set, by name.
[[nodiscard]] raft::InstallSnapshot install_snapshot();
[[nodiscard]] std::map<std::string, PeerMessage> every_message();

/// An event that owns what its view shows.
struct Event {
  std::string topic = "orders";
  std::string id{};
  std::string source{};
  std::string key{};
  std::string content_type{};
  std::vector<std::pair<std::string, std::string>> headers{};
  std::string body{};

  [[nodiscard]] EventView view() const;
  friend bool operator==(const Event&, const Event&) = default;
};
[[nodiscard]] Event copy_of(const EventView& view);

struct Request {
  std::vector<Event> events{};
  std::vector<std::pair<std::string, std::uint64_t>> expectations{};
  std::string request_id{};
  /// A group, its lease, a position.
  std::vector<std::tuple<std::string, std::uint64_t, std::uint64_t>> commits{};
  friend bool operator==(const Request&, const Request&) = default;
};
/// Fails the test if the builder refuses.
[[nodiscard]] raft::Bytes built(const Request& request);
[[nodiscard]] PublishView viewed(raft::Bytes data);
/// Everything the view shows, request by request. Reads all bytes that an applying node would read.
[[nodiscard]] std::vector<Request> copy_of(const PublishView& view);

/// Two events with every column in use.
[[nodiscard]] Request full_request();
/// The same, with a commit for each of two groups.
[[nodiscard]] Request full_batch();
[[nodiscard]] Request random_request(std::mt19937_64& random);

/// Field ids of PublishEntry, as wire/entry.fbs states them.
enum Field : std::uint8_t {
  time_ms = 0,
  request_end = 1,
  body_end = 2,
  body = 3,
  topics = 4,
  topic = 5,
  id_end = 6,
  id = 7,
  source_end = 8,
  source = 9,
  key_end = 10,
  key = 11,
  content_types = 12,
  content_type = 13,
  header_event = 14,
  header_names = 15,
  header_name = 16,
  header_value_end = 17,
  header_value = 18,
  request_id_end = 19,
  request_id = 20,
  expectation_request = 21,
  expectation_topic = 22,
  expectation_next = 23,
  commit_request = 24,
  commit_group = 25,
  commit_lease = 26,
  commit_position = 27,
};

/// A PublishEntry as another implementation would write it: any column may hold anything, or be missing.
struct RawEntry {
  std::optional<std::uint64_t> time = 0;
  std::map<int, std::vector<std::uint32_t>> numbers;
  std::map<int, std::string> blobs;
  std::map<int, std::vector<std::string>> names;
  std::map<int, std::vector<std::uint64_t>> longs;

  void erase(int field);
  [[nodiscard]] raft::Bytes build() const;
};
/// Three events in two requests, all columns in use; verifies.
[[nodiscard]] RawEntry honest_entry();

}  // namespace weir::wire::test
