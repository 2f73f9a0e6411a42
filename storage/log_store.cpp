#include "storage/log_store.hpp"

namespace weir::storage {
namespace {

[[nodiscard]] std::unexpected<Error> not_kept() {
  return std::unexpected(Error{.code = Errc::gone, .text = "this store keeps no checkpoints"});
}

}  // namespace

std::expected<void, Error> LogStore::save(const Checkpoint& /*checkpoint*/) {
  return not_kept();
}

std::vector<raft::Index> LogStore::checkpoints() const {
  return {};
}

std::expected<Checkpoint, Error> LogStore::checkpoint(raft::Index /*index*/) const {
  return not_kept();
}

std::expected<SnapshotData, Error> LogStore::read_snapshot(std::uint64_t /*number*/, std::uint64_t /*offset*/,
                                                           std::size_t /*bytes_max*/) {
  return not_kept();
}

std::expected<PieceAnswer, Error> LogStore::receive(const raft::SnapshotPiece& /*piece*/) {
  return not_kept();
}

}  // namespace weir::storage
