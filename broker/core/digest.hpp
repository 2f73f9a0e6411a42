// What this node has made of the log, as one number: replicas that applied the same entries and decided alike have the
// same (DESIGN §9). Covers each entry and what apply decided of it, never how files lie nor what a clock of this node
// says.
// Runs on the core strand. Deterministic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "broker/core/decoded_entry.hpp"
#include "broker/core/state_machine.hpp"
#include "raft/message.hpp"

namespace weir::broker {

/// Places that are remembered: a comparison is over long before so many more have come.
inline constexpr std::size_t kDigestMarksMax = 64;

class Digest {
 public:
  /// A mark is left at every multiple of `every_entries`, so that members leave theirs at the same places.
  explicit Digest(std::uint64_t every_entries) : every_entries_(every_entries) {}

  /// Requires entries in log order, each once, with what they did; `state` is as of behind the entry.
  void applied(const DecodedEntry& entry, const Applied& applied, const StateMachine& state);
  /// A mark is to be left at `index` too, and reported before all others; 0 = at none.
  void want(raft::Index index);

  [[nodiscard]] raft::Index index() const { return index_; }
  [[nodiscard]] std::uint64_t value() const { return value_; }
  [[nodiscard]] bool is_periodic(raft::Index index) const { return index.value % every_entries_ == 0; }
  /// Ascending.
  [[nodiscard]] const std::deque<raft::StateReport>& marks() const { return marks_; }
  /// As of `index`, if it is marked.
  [[nodiscard]] std::optional<std::uint64_t> at(raft::Index index) const;
  /// What the others are to hear: the mark that is wanted, else the newest.
  [[nodiscard]] std::optional<raft::StateReport> report() const;

  // --- what DIGEST entries said
  /// Members' reports were compared as of `entry.index`; `open`: no value had a majority.
  enum class Outcome : std::uint8_t { settled = 1, open = 2 };
  void compared(const wire::DigestEntry& entry, Outcome outcome);
  /// The latest index that was compared; 0 = none.
  [[nodiscard]] raft::Index compared_index() const { return compared_index_; }
  /// A comparison that nobody won: until one is, no member takes writes.
  [[nodiscard]] const std::optional<wire::DigestEntry>& dispute() const { return dispute_; }

  // --- with the state, in checkpoints
  /// Numbers are u64, lowest byte first: index, value, compared index, count of marks, then index and digest of each;
  /// then the data of the DIGEST entry in dispute, if there is one.
  [[nodiscard]] std::string save() const;
  /// Takes what save() gave; `every_entries` stays. The error says what is wrong; then nothing has changed.
  [[nodiscard]] std::expected<void, std::string> restore(std::string_view saved);

 private:
  void mark();

  std::uint64_t every_entries_;
  raft::Index index_;
  std::uint64_t value_ = 0;
  raft::Index wanted_;
  std::deque<raft::StateReport> marks_;  ///< ascending, at most kDigestMarksMax
  raft::Index compared_index_;
  std::optional<wire::DigestEntry> dispute_;
};

/// As people read it: 16 hexadecimal digits.
[[nodiscard]] std::string digest_text(std::uint64_t digest);

}  // namespace weir::broker
