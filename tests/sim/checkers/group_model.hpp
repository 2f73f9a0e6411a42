// One consumer group, written a second time and as simply as possible: who holds each position, until when, and whether
// it is finished. What workers are told is compared with it. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "tests/sim/checkers/verdict.hpp"
#include "wire/entry.hpp"
#include "wire/outcome.hpp"

namespace weir::sim {

class GroupModel {
 public:
  explicit GroupModel(Verdict& verdict) : verdict_(verdict) {}

  /// A committed entry; `time_ms` is log time with it, `last` the position of the last event before it.
  void apply(const wire::GroupEntry& entry, std::uint64_t time_ms, std::uint64_t last);

  /// A worker asked for this and was told that. Looked at in after(): what was committed in this event is here by then.
  void told(const wire::GroupChange& asked, const wire::Outcome& outcome);
  void after();

 private:
  struct Place {
    std::uint64_t lease = 0;  ///< that had it last; 0 = nobody
    bool finished = false;
  };
  struct Lease {
    std::uint64_t from = 0;
    std::uint64_t to = 0;
    std::uint64_t expires_ms = 0;
    std::uint64_t finished_to = 0;  ///< 0 = nothing
    std::uint64_t done_as = 0;      ///< of those that were committed whole, its number; 0 = it was not
  };
  struct Told {
    wire::GroupChange asked;
    wire::Outcome outcome;
  };

  void claim(const wire::GroupChange& asked, std::uint64_t time_ms, std::uint64_t last);
  void commit(const wire::GroupChange& asked, std::uint64_t time_ms);
  /// The lowest position that nobody holds and that is not finished, less 1.
  [[nodiscard]] std::uint64_t next_free(std::uint64_t time_ms) const;
  /// Up to where what begins behind `from` was one lease's.
  [[nodiscard]] std::uint64_t end_of(std::uint64_t from, std::uint64_t last) const;
  [[nodiscard]] Place& at(std::uint64_t position);
  void check(const Told& told);
  void check_committed(const Told& told, const wire::GroupChanged& committed);
  void check_lost(const Told& told);

  Verdict& verdict_;
  bool exists_ = false;
  std::vector<Place> places_;  ///< of the positions that were handed out, from 1 on
  std::map<std::uint64_t, Lease> leases_;
  std::uint64_t last_lease_ = 0;
  std::uint64_t committed_ = 0;
  std::uint64_t done_count_ = 0;
  std::vector<Told> told_;
};

}  // namespace weir::sim
