#include "broker/core/ports.hpp"

#include "raft/check.hpp"

namespace weir::broker {

// NOLINTNEXTLINE(performance-unnecessary-value-param): whoever has files keeps it.
void Disk::rewrite(raft::Index first, storage::KeepEntry /*keep*/, std::size_t /*bytes_max*/, RewriteDone /*done*/) {
  WEIR_CHECK(false, first);
}

void Disk::finish_rewrite(RewrittenDone /*done*/) {
  WEIR_CHECK(false);
}

}  // namespace weir::broker
