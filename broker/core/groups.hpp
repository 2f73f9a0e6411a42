// Consumer groups: how far each has come, and which ranges of positions are held by whom (docs/decisions/0019).
// Runs on the core strand. Deterministic: the only clock is the log time it is given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "broker/core/state_image.hpp"
#include "raft/types.hpp"
#include "wire/outcome.hpp"

namespace weir::broker {

/// A group is a service, not a client: a thousand of them, each with all it may hold, are 30 MiB of state.
inline constexpr std::size_t kGroupsMax = 1024;
/// Ranges of one group that are held, or wait between held ones: as many workers as share one log.
inline constexpr std::size_t kGroupRangesMax = 512;
/// Leases whose commit is known again when it is repeated: those committed last.
inline constexpr std::size_t kCommitsRememberedMax = 256;

/// Positions a group has handed out, behind those of the range before it.
struct GroupRange {
  enum class State : std::uint8_t {
    held = 1,      ///< by `lease`, up to and with `expires_ms`
    finished = 2,  ///< before the ranges below it
    free = 3,      ///< to be handed out again
  };
  raft::Position to;
  State state = State::held;
  std::uint64_t lease = 0;
  std::uint64_t expires_ms = 0;

  [[nodiscard]] bool is_held(std::uint64_t now_ms) const { return state == State::held && now_ms <= expires_ms; }
  /// Nobody has it any more.
  [[nodiscard]] bool is_given_up(std::uint64_t now_ms) const { return state != State::finished && !is_held(now_ms); }
  friend bool operator==(const GroupRange&, const GroupRange&) = default;
};

struct Group {
  std::vector<std::string> patterns;
  raft::Position committed;  ///< everything up to here is finished
  raft::Position gap_told;   ///< what retention took up to here was not asked for
  std::uint64_t generation = 0;
  std::vector<GroupRange> ranges;  ///< behind `committed`, without holes; the first is not finished
  struct Commit {
    std::uint64_t lease = 0;
    raft::Position to;
    friend bool operator==(const Commit&, const Commit&) = default;
  };
  std::vector<Commit> commits;  ///< whole leases, oldest first, at most kCommitsRememberedMax

  /// What the next claim gets: behind `from`; up to `to` if it is a range that was given up.
  struct Next {
    raft::Position from;
    std::optional<raft::Position> to;
    std::size_t range = 0;  ///< its number, or that of the one to be added
  };
  [[nodiscard]] Next next(std::uint64_t now_ms) const;
  [[nodiscard]] raft::Position handed_out_to() const { return ranges.empty() ? committed : ranges.back().to; }
  friend bool operator==(const Group&, const Group&) = default;
};

class Groups {
 public:
  /// Where a change of a group sees the log.
  struct Now {
    std::uint64_t time_ms = 0;
    raft::Position last_position;
  };
  /// Where a group begins or is set to: what `start` of a change stands for.
  struct Start {
    raft::Position committed;
    raft::Position gap_told;
  };

  /// Null if there is none of this name.
  [[nodiscard]] const Group* find(std::string_view name) const;
  [[nodiscard]] const std::map<std::string, Group, std::less<>>& all() const { return groups_; }
  /// Of all groups; 0 while there are none.
  [[nodiscard]] std::uint64_t digest() const { return digest_; }

  /// Of put and create. `start`: none keeps what is there.
  wire::Outcome put(const wire::GroupChange& asked, std::optional<Start> start);
  wire::Outcome claim(const wire::GroupChange& asked, Now now);
  wire::Outcome commit(const wire::GroupCommit& asked, Now now);
  wire::Outcome remove(std::string_view name);

  /// Does a commit come with new events? Then it must be news too: whoever sends them with what a lease has committed
  /// before is repeating a request that was stored.
  enum class With : std::uint8_t { nothing_new = 1, new_events = 2 };
  /// Why commit() would refuse, or the batch around it must.
  [[nodiscard]] std::optional<wire::Refused> check(const wire::GroupCommit& asked, Now now, With with) const;

  void save(ImageWriter& image) const;
  /// Into an empty object. What is cut short or makes no sense is for the caller to notice: by the image, and here.
  [[nodiscard]] bool restore(ImageReader& image);

 private:
  using Place = std::map<std::string, Group, std::less<>>::iterator;

  /// Takes the group out of the digest; add() puts it in again as it is by then.
  void take_out(const std::string& name, const Group& group) { digest_ ^= digest_of(name, group); }
  void add(const std::string& name, const Group& group) { digest_ ^= digest_of(name, group); }
  [[nodiscard]] static std::uint64_t digest_of(const std::string& name, const Group& group);
  wire::GroupChanged amend(Place place, const wire::GroupChange& asked, std::optional<Start> start);

  std::map<std::string, Group, std::less<>> groups_;
  std::uint64_t last_lease_ = 0;  ///< over all groups, so that a lease of a removed one is never mistaken
  std::uint64_t digest_ = 0;
};

}  // namespace weir::broker
