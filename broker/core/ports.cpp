#include "broker/core/ports.hpp"

#include "raft/check.hpp"

namespace weir::broker {

void Disk::rewrite(raft::Index first, storage::KeepEntry /*keep*/, std::size_t /*bytes_max*/, RewriteDone /*done*/) {
  WEIR_CHECK(false, first);
}

void Disk::finish_rewrite(RewrittenDone /*done*/) {
  WEIR_CHECK(false);
}

}  // namespace weir::broker
