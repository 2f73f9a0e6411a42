#include "wire/publish_columns.hpp"

namespace weir::wire {

raft::Bytes merge(std::span<const PublishView> requests, std::uint64_t time_ms) {
  std::vector<const PublishColumns*> parts;
  parts.reserve(requests.size());
  for (const auto& request : requests) parts.push_back(&request.state_->columns);
  return write_publish(parts, time_ms);
}

}  // namespace weir::wire
