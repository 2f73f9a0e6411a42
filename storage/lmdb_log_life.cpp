// A log that goes on as another cluster's: restored from a backup, or all that is left of a cluster.
#include <utility>

#include "raft/check.hpp"
#include "storage/lmdb_log_store.hpp"

namespace weir::storage {

// The entry first: a node that finds itself in a CONFIG of a cluster that is not its folder's knows that this was cut
// short (Node::Impl::join). The reverse order would leave a member of a cluster that nothing in its log speaks of.
std::expected<void, Error> LmdbLogStore::begin_life(std::string_view cluster_id, const raft::Entry& config) {
  WEIR_CHECK(!cluster_id.empty());
  WEIR_CHECK(config.index == last_index_.next() && config.command == raft::Command::config, config.index, last_index_);
  WEIR_CHECK(config.term > state_.hard_state().current_term, config.term, state_.hard_state().current_term);
  const LogWrite write{.hard_state = raft::HardState{.current_term = config.term, .voted_for = raft::kNobody},
                       .truncate_from = std::nullopt,
                       .entries = {&config, 1}};
  if (auto written = append({&write, 1}); !written) return written;
  if (auto named = state_.save_founding(cluster_id, *write.hard_state); !named) return fail(std::move(named.error()));
  identity_.cluster_id = cluster_id;
  return {};
}

}  // namespace weir::storage
