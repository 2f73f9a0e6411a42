// Requests, entries and outcomes that the tests of broker/core share. Values only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/core/decoded_entry.hpp"
#include "broker/core/digest.hpp"
#include "broker/core/reading.hpp"
#include "broker/core/state_machine.hpp"
#include "broker/core/write_job.hpp"
#include "wire/entry.hpp"
#include "wire/outcome.hpp"

namespace weir::broker::test {

struct Event {
  std::string topic = "t";
  std::string id{};
  std::string body = "body";
  std::string source{};
  std::string key{};
};

struct Request {
  std::vector<Event> events{};
  std::vector<std::pair<std::string, std::uint64_t>> expectations{};
  std::vector<wire::GroupCommit> commits{};  ///< with a key or a commit it is a batch
  std::string key{};
};

/// What Node::publish takes.
[[nodiscard]] raft::Bytes bytes_of(const Request& request);
[[nodiscard]] wire::PublishView view_of(const Request& request);
/// The data of a PUBLISH entry, or of a BATCH entry.
[[nodiscard]] raft::Bytes merged(const std::vector<Request>& requests, std::uint64_t time_ms);

[[nodiscard]] raft::Entry publish_entry(std::uint64_t index, const std::vector<Request>& requests,
                                        std::uint64_t time_ms = 1'000);
[[nodiscard]] raft::Entry claims_entry(std::uint64_t index, const std::vector<wire::Claim>& claims,
                                       std::uint64_t time_ms = 1'000);
[[nodiscard]] raft::Entry topic_entry(const std::vector<wire::TopicChange>& changes, std::uint64_t time_ms = 1'000);
[[nodiscard]] raft::Entry group_entry(const std::vector<wire::GroupChange>& changes, std::uint64_t time_ms = 1'000);
[[nodiscard]] raft::Entry retain_entry(const std::vector<wire::Floor>& floors, std::uint64_t claims_before = 0);
[[nodiscard]] raft::Entry noop_entry(std::uint64_t index, std::uint64_t term = 1);
[[nodiscard]] DecodedEntryPtr decoded(const raft::Entry& entry);

/// A state machine and the log it was given.
class Applying {
 public:
  /// Gives the entry the next index; `entry.index` is overwritten.
  Applied apply(raft::Entry entry);
  Applied publish(const std::vector<Request>& requests, std::uint64_t time_ms = 1'000);
  Applied claim(const std::vector<wire::Claim>& claims, std::uint64_t time_ms = 1'000);
  Applied change(const wire::TopicChange& change, std::uint64_t time_ms = 1'000);
  Applied change(const wire::GroupChange& change, std::uint64_t time_ms = 1'000);

  StateMachine state;
  Digest digest{1'024};
  std::vector<raft::Entry> log;
};

/// "offset@position" of each result, 'd' behind duplicates: "0@1 1@2d"; of a refusal its kind: "id_reuse(0)";
/// of a change of a topic what it did and the topic's offsets: "changed 0-2"; of a group the same with what it has
/// finished, its generation and its lease: "claimed 5 g4 L3".
[[nodiscard]] std::string text_of(const wire::Outcome& outcome);

[[nodiscard]] WriteJob job_of(const Request& request, std::uint64_t deadline_us,
                              std::move_only_function<void(wire::Outcome)> done);

[[nodiscard]] WriteJob job_of(wire::Claim claim, std::uint64_t deadline_us,
                              std::move_only_function<void(wire::Outcome)> done);

[[nodiscard]] Selector selector_of(const std::vector<std::string>& patterns);

/// WEIR_SEED if it is set, else `usual`; for tests that draw.
[[nodiscard]] std::uint64_t seed_or(std::uint64_t usual);

}  // namespace weir::broker::test
