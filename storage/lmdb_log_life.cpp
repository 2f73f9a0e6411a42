// A log that goes on as another cluster's: restored from a backup, or all that is left of a cluster.
#include <utility>

#include "raft/check.hpp"
#include "storage/lmdb_log_store.hpp"

namespace weir::storage {

// Into a segment of its own, which is listed in the commit that names the cluster: before it nothing has changed.
std::expected<void, Error> LmdbLogStore::begin_life(std::string_view cluster_id, const raft::Entry& config) {
  WEIR_CHECK(!cluster_id.empty());
  WEIR_CHECK(config.index == last_index_.next() && config.command == raft::Command::config, config.index, last_index_);
  WEIR_CHECK(config.term > state_.hard_state().current_term, config.term, state_.hard_state().current_term);
  if (!failed_.empty()) return std::unexpected(Error{Errc::io, failed_});
  auto fresh = begin_segment(config.index, kCommitBytes + record_size(config.data.size()));
  if (!fresh) return std::unexpected(std::move(fresh.error()));
  enter(*fresh);
  const raft::Entry* const entry = &config;
  if (auto put = put_chunks({&entry, 1}); !put) return fail(std::move(put.error()));
  if (auto synced = (*fresh)->env.sync(); !synced) return fail(std::move(synced.error()));
  const raft::HardState hard_state{.current_term = config.term, .voted_for = raft::kNobody};
  if (auto named = commit(*fresh, hard_state, cluster_id); !named) return fail(std::move(named.error()));
  identity_.cluster_id = cluster_id;
  return {};
}

}  // namespace weir::storage
