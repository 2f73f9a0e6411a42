// The runs of ids of one generation. They are derived: what is damaged, half made or missing is removed, and made again
// from checkpoints.
//
// Thread rule: add() and forget_before() one call at a time; runs() and covered() from any thread.
#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "storage/id_run.hpp"

namespace weir::storage {

class IdRunFiles {
 public:
  /// So many of about one size, and smaller ones behind them, become one of the next: an id is written once in each
  /// size, and a look-up asks a handful of filters.
  static constexpr std::size_t kFanIn = 4;

  /// Opens what there is, if it is of entries that the log still needs, from `first_needed` on, and that checkpoints
  /// cover, up to `last_covered`.
  [[nodiscard]] static std::expected<std::shared_ptr<IdRunFiles>, Error> find(const std::string& generation,
                                                                              raft::Index first_needed,
                                                                              raft::Index last_covered);

  explicit IdRunFiles(std::string generation) : generation_(std::move(generation)) {}

  [[nodiscard]] IdRuns runs() const;
  /// The last entry whose ids are in a run; 0 = none is.
  [[nodiscard]] raft::Index covered() const;
  /// The ids of entries [covered() + 1, last], which it sorts. Durable on return. Runs become one as kFanIn says; what
  /// is of entries before `first_needed` is left out of that; where it fails there are more runs until the next time.
  /// An error leaves the runs as they were.
  [[nodiscard]] std::expected<void, Error> add(raft::Index last, std::vector<KeyedPlace>& ids,
                                               raft::Index first_needed);
  /// Those whose entries all are before `index` go.
  void forget_before(raft::Index index);

 private:
  [[nodiscard]] std::string path_of(raft::Index first, raft::Index last) const;
  /// Puts what was written under kBegunName in place.
  [[nodiscard]] std::expected<std::shared_ptr<const IdRun>, Error> put_in_place(raft::Index first, raft::Index last);
  /// As kFanIn says. One that fails is tried again with the next run.
  void merge_last(raft::Index first_needed);
  void publish(IdRuns runs);

  const std::string generation_;
  mutable std::mutex mutex_;  // of runs_ (docs/decisions/0021)
  IdRuns runs_;
};

}  // namespace weir::storage
