// A client's write on its way into the log. Core strand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "raft/mutant.hpp"
#include "wire/entry.hpp"
#include "wire/outcome.hpp"

namespace weir::broker {

/// May the same write be handed over twice? Only if every event has an id that is remembered: then the second time
/// changes nothing.
enum class Repeatable : std::uint8_t { yes = 1, no = 2 };

/// Where the client asked: here, or on another node that forwarded it.
enum class Origin : std::uint8_t { local = 1, forwarded = 2 };

/// What a claim takes in a DEDUP entry beside its text: its table and its offsets.
inline constexpr std::size_t kClaimOverheadBytes = 48;

/// Of a write that was handed to a leader whose answer is missing.
inline constexpr const char* kHandedOver =
    "the leader was lost after the write was handed over; it may or may not be stored: repeat the same request with "
    "its "
    "ids";

/// What a change of a topic takes in a TOPIC entry beside its name.
inline constexpr std::size_t kTopicChangeBytes = 128;

/// What a change of a group takes in a GROUP entry beside its texts.
inline constexpr std::size_t kGroupChangeBytes = 128;

using WriteRequest = std::variant<wire::PublishView, wire::Claim, wire::TopicChange, wire::GroupChange>;

/// The command of the entry that such a request goes into; only those of one command share an entry.
[[nodiscard]] inline raft::Command command_of(const WriteRequest& request) {
  if (const auto* events = std::get_if<wire::PublishView>(&request)) {
    return events->is_batch() ? raft::Command::batch : raft::Command::publish;
  }
  if (std::holds_alternative<wire::Claim>(request)) {
    return raft::Command::dedup;
  }
  return std::holds_alternative<wire::TopicChange>(request) ? raft::Command::topic : raft::Command::group;
}

struct WriteJob {
  WriteRequest request;
  Repeatable repeatable = Repeatable::no;
  Origin origin = Origin::local;
  std::uint64_t deadline_us = 0;  ///< steady clock
  /// Times it was handed to another node and not answered: each of them may still store it.
  std::uint32_t open_hand_overs = 0;
  std::move_only_function<void(wire::Outcome)> done;

  [[nodiscard]] std::size_t bytes() const {
    if (const auto* events = std::get_if<wire::PublishView>(&request)) {
      return events->bytes().size();
    }
    if (const auto* change = std::get_if<wire::TopicChange>(&request)) {
      return kTopicChangeBytes + change->topic.size();
    }
    if (const auto* change = std::get_if<wire::GroupChange>(&request)) {
      std::size_t bytes = kGroupChangeBytes + change->group.size();
      for (const auto& pattern : change->patterns) {
        bytes += kGroupChangeBytes + pattern.size();
      }
      return bytes;
    }
    const auto& claim = std::get<wire::Claim>(request);
    return kClaimOverheadBytes + claim.topic.size() + claim.source.size() + claim.id.size();
  }
  /// FAULTS 65: refused means that it will never be stored. While another node may still store it, a refusal that does
  /// not hold whatever that node does is told as unknown.
  void answer(wire::Outcome outcome) {
    const auto* refused = std::get_if<wire::Refused>(&outcome);
    if (refused != nullptr && open_hand_overs > 0 && !is_final(refused->kind) &&
        !raft::is_mutated(raft::Mutant::refused_though_handed_over)) {
      outcome =
          wire::Refused{.kind = wire::RefusalKind::outcome_unknown, .event = 0, .offset = {}, .detail = kHandedOver};
    }
    done(std::move(outcome));
  }
  void refuse(wire::RefusalKind kind, std::string detail) {
    answer(wire::Refused{.kind = kind, .event = 0, .offset = {}, .detail = std::move(detail)});
  }

 private:
  [[nodiscard]] static bool is_final(wire::RefusalKind kind) {
    return kind == wire::RefusalKind::id_reuse || kind == wire::RefusalKind::id_claimed ||
           kind == wire::RefusalKind::too_large || kind == wire::RefusalKind::malformed ||
           kind == wire::RefusalKind::lease_lost;
  }
};

}  // namespace weir::broker
