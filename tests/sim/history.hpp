// What happened in a run: a hash that is the same for the same seed, lines for people, and what was covered.
// Values and printing; one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tests/sim/timeline.hpp"

namespace weir::sim {

/// How often something happened that a run must not be without. Whatever else the cluster learns gets its counter here
/// (and its row in history.cpp) together with what provokes it.
struct Coverage {
  std::uint64_t elections = 0;
  std::uint64_t truncations = 0;
  std::uint64_t crashes = 0;
  std::uint64_t leader_crashes = 0;
  std::uint64_t short_reigns = 0;
  std::uint64_t torn_writes = 0;
  std::uint64_t partitions = 0;
  std::uint64_t isolated_leaders = 0;
  std::uint64_t bridges = 0;
  std::uint64_t one_way_cuts = 0;
  std::uint64_t messages_lost = 0;
  std::uint64_t messages_doubled = 0;
  std::uint64_t messages_overtaken = 0;
  std::uint64_t checkpoints = 0;
  std::uint64_t id_moves = 0;
  std::uint64_t failed_id_moves = 0;
  std::uint64_t ids_in_runs = 0;  ///< found there
  std::uint64_t failed_saves = 0;
  std::uint64_t log_drops = 0;
  std::uint64_t files_rewritten = 0;
  std::uint64_t hollow_reads = 0;  ///< of entries that such a file has no more
  std::uint64_t snapshot_pieces = 0;
  std::uint64_t snapshots_refused = 0;
  std::uint64_t snapshots_installed = 0;
  std::uint64_t snapshot_crashes = 0;
  std::uint64_t starts_from_checkpoints = 0;
  std::uint64_t digests_compared = 0;
  std::uint64_t adds = 0;
  std::uint64_t promotes = 0;
  std::uint64_t removals = 0;
  std::uint64_t leader_removals = 0;
  std::uint64_t refused_changes = 0;
  std::uint64_t transfers = 0;
  std::uint64_t configs_cut_off = 0;
  std::uint64_t wipes = 0;
  std::uint64_t readmissions = 0;
  std::uint64_t drains = 0;
  std::uint64_t pauses = 0;
  std::uint64_t stalls = 0;
  std::uint64_t full_disks = 0;
  std::uint64_t disk_errors = 0;
  std::uint64_t clock_jumps = 0;
  std::uint64_t stored = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t outlived = 0;  ///< of these: known although the event was gone
  std::uint64_t unknown_outcomes = 0;
  std::uint64_t refusals = 0;
  std::uint64_t id_reuses = 0;
  std::uint64_t failed_expectations = 0;
  std::uint64_t claims = 0;
  std::uint64_t events_read = 0;
  std::uint64_t floors_raised = 0;
  std::uint64_t gaps_told = 0;
  std::uint64_t reader_moves = 0;
  std::uint64_t linear_lookups = 0;
  std::uint64_t linear_reads = 0;
  std::uint64_t leases = 0;
  std::uint64_t leases_lost = 0;
  std::uint64_t commits = 0;

  Coverage& operator+=(const Coverage& other);
  /// "elections 12, truncations 3, ...".
  [[nodiscard]] std::string text() const;
  /// The name of something that never happened; empty if everything did.
  [[nodiscard]] std::string missing() const;
};

enum class Verbosity : std::uint8_t { quiet = 1, lines = 2 };

class History {
 public:
  History(const Timeline& timeline, Verbosity verbosity) : timeline_(timeline), verbosity_(verbosity) {}

  /// Something happened: its kind and numbers that tell it from others. Goes into the hash with the time.
  void note(std::string_view kind, std::uint64_t a = 0, std::uint64_t b = 0, std::uint64_t c = 0, std::uint64_t d = 0);
  /// For people only; `text` is a function so that quiet runs do not pay for it.
  template <class Text>
  void say(const Text& text) {
    if (verbosity_ == Verbosity::lines) {
      print(text());
    }
  }
  [[nodiscard]] std::uint64_t hash() const { return hash_; }

  Coverage coverage;

 private:
  void mix(std::uint64_t word);
  void print(const std::string& text) const;

  const Timeline& timeline_;
  Verbosity verbosity_;
  std::uint64_t hash_ = 0xcbf29ce484222325U;
};

}  // namespace weir::sim
