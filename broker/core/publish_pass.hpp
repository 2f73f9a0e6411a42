// One PUBLISH entry going through the state machine. Internal to apply. Runs on the core strand, within one call.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "broker/core/sibling_ids.hpp"
#include "broker/core/state_machine.hpp"

namespace weir::broker {

/// Checks each request in the order of DESIGN §4 (ids, expectations, leases) before it has any effect; then gives its
/// new events offsets and positions. Requests see the effects of those before them in the same entry.
class StateMachine::PublishPass {
 public:
  PublishPass(StateMachine& state, const DecodedEntryPtr& entry, const Past& past);
  Applied run();

 private:
  /// What a request's ids say about one of its events.
  struct Finding {
    enum class Kind : std::uint8_t { fresh, duplicate, duplicate_of_sibling } kind = Kind::fresh;
    wire::EventResult original;  ///< of a duplicate
    std::uint32_t sibling = 0;   ///< ordinal of an earlier event of the same request
  };
  struct Part {
    raft::TopicId topic;
    raft::Offset first_offset;
    std::uint32_t count = 0;
    std::uint32_t bytes = 0;
    std::uint32_t last = 0;  ///< of what the entry stored, the number of this topic's latest
  };

  wire::Outcome decide(std::uint32_t number, const wire::RequestView& request);
  /// The refusal that ids ask for, or what they say about each event.
  std::expected<std::vector<Finding>, wire::Refused> check_ids(const wire::RequestView& request);
  std::expected<Finding, wire::Refused> check_id(const wire::RequestView& request, std::uint32_t ordinal);
  [[nodiscard]] bool is_same_id(std::uint32_t ordinal, std::uint32_t other) const;
  std::expected<Finding, wire::Refused> compare(const Match& match, std::uint32_t ordinal, std::uint32_t in_request);
  [[nodiscard]] std::optional<wire::Refused> check_expectations(const wire::RequestView& request) const;
  /// Ids that are to be remembered forever must have room.
  [[nodiscard]] std::optional<wire::Refused> check_room(const wire::RequestView& request,
                                                        const std::vector<Finding>& findings) const;
  [[nodiscard]] EventId id_of(std::uint32_t ordinal) const;
  [[nodiscard]] raft::Offset next_offset(std::string_view topic) const;
  wire::Outcome store(const wire::RequestView& request, const std::vector<Finding>& findings);
  void store_event(std::uint32_t ordinal);
  /// Of an event that was given its place.
  void remember(std::uint32_t ordinal, raft::TopicId topic);
  void skip(const wire::RequestView& request);
  void finish();

  // --- batches (publish_pass_batch.cpp)
  /// If a batch was stored under this one's key: its answer, or the refusal because it was another.
  std::optional<wire::Outcome> repeated(const wire::RequestView& request);
  wire::Outcome recall(const Match& match, const wire::RequestView& request);
  [[nodiscard]] bool is_same_batch(const wire::PublishView& stored, const wire::RequestView& as,
                                   const wire::RequestView& request) const;
  /// Of one event of a batch that is repeated: where it is, as far as that is still known.
  [[nodiscard]] wire::EventResult recall_event(std::uint32_t ordinal,
                                               const std::optional<wire::EventResult>& given) const;
  [[nodiscard]] std::optional<wire::Refused> check_commits(const wire::RequestView& request, Groups::With with) const;
  /// Its commits, and that its key is known from here on.
  void take_effect(std::uint32_t number, const wire::RequestView& request);

  StateMachine& state_;
  DecodedEntryPtr entry_;
  const wire::PublishView& events_;
  const bool is_batch_;  ///< keys and commits are acted on
  const Past& past_;
  Applied applied_;
  std::map<std::uint32_t, Part> parts_;     ///< by the topic's number in the entry: those that got events
  std::vector<std::uint32_t> skipped_;      ///< ascending
  std::vector<storage::IdHash> hashes_;     ///< by ordinal; of an event without an id: nothing
  std::vector<wire::EventResult> results_;  ///< of this entry's events decided so far, by ordinal
  SiblingIds siblings_;                     ///< of the request that is being checked
  std::uint32_t stored_ = 0;
};

}  // namespace weir::broker
