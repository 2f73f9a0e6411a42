#include "storage/state_file.hpp"

#include <map>
#include <utility>

#include "storage/file.hpp"
#include "storage/page_file.hpp"

namespace weir::storage {
namespace {

// A few rows, and of each a few older copies until their pages are free again. The list of segments grows to 16 bytes
// times some thousands.
constexpr std::uint64_t kMapBytes = std::uint64_t{4} << 20U;
// Never near the map's end: space is taken once, at creation.
constexpr std::uint64_t kRowsBytes = std::uint64_t{1} << 20U;
constexpr std::uint32_t kReadersMax = 4;

constexpr const char* kWayOut =
    "; move the whole data folder away and start again: the node then joins as a new member and copies from its peers";

using Rows = std::map<std::string, std::string, std::less<>>;

std::expected<Rows, Error> rows_of(const std::string& path) {
  Rows rows;
  auto visited = visit_rows(path, [&](std::string_view key, std::string_view value) -> std::expected<void, Error> {
    rows.emplace(key, value);
    return {};
  });
  if (visited) return rows;
  return in_file(path, std::move(visited.error()), kWayOut);
}

std::string_view row(const Rows& rows, std::string_view key) {
  const auto it = rows.find(key);
  return it == rows.end() ? std::string_view() : std::string_view(it->second);
}

}  // namespace

std::string state_file_path(const std::string& generation) {
  return generation + "/state.mdb";
}

std::expected<StateFile, Error> StateFile::create(const std::string& path, const Identity& identity,
                                                  const raft::HardState& hard_state,
                                                  std::span<const SegmentRecord> segments) {
  auto env = Env::open({path, kMapBytes, kReadersMax});
  if (!env) return std::unexpected(std::move(env.error()));
  if (auto reserved = env->reserve(kRowsBytes); !reserved) return std::unexpected(std::move(reserved.error()));
  StateFile file(std::move(*env));
  if (auto written = file.write(identity, hard_state, {segments.begin(), segments.end()}); !written)
    return std::unexpected(std::move(written.error()));
  return file;
}

std::expected<StateFile, Error> StateFile::open(const std::string& path) {
  auto rows = rows_of(path);
  if (!rows) return std::unexpected(std::move(rows.error()));
  auto identity = decode_identity(row(*rows, kIdentityKey));
  if (!identity) return in_file(path, identity.error(), kWayOut);
  auto hard_state = decode_hard_state(row(*rows, kHardStateKey), identity->incarnation);
  if (!hard_state) return in_file(path, hard_state.error(), kWayOut);
  auto segments = decode_segment_list(row(*rows, kSegmentListKey));
  if (!segments) return in_file(path, segments.error(), kWayOut);

  auto env = Env::open({path, kMapBytes, kReadersMax});
  if (!env) return std::unexpected(std::move(env.error()));
  StateFile file(std::move(*env));
  file.identity_ = {std::move(identity->node), identity->incarnation, std::move(identity->cluster_id)};
  file.hard_state_ = *hard_state;
  file.segments_ = std::move(*segments);
  return file;
}

std::expected<void, Error> StateFile::save(const raft::HardState& hard_state) {
  return write(identity_, hard_state, segments_);
}

std::expected<void, Error> StateFile::save(const raft::HardState& hard_state,
                                           const std::vector<SegmentRecord>& segments) {
  return write(identity_, hard_state, segments);
}

std::expected<void, Error> StateFile::save_founding(std::string_view cluster_id, const raft::HardState& hard_state) {
  Identity identity = identity_;
  identity.cluster_id = cluster_id;
  return write(identity, hard_state, segments_);
}

// The list is written when it changes: 16 bytes for each segment would weigh on every vote.
std::expected<void, Error> StateFile::write(const Identity& identity, const raft::HardState& hard_state,
                                            const std::vector<SegmentRecord>& segments) {
  auto txn = WriteTxn::begin(env_);
  if (!txn) return std::unexpected(std::move(txn.error()));
  std::vector<std::pair<std::string_view, std::string>> rows{
      {kIdentityKey, encode_identity({identity.incarnation, identity.node, identity.cluster_id})},
      {kHardStateKey, encode_hard_state(hard_state, identity.incarnation)}};
  if (segments != segments_) rows.emplace_back(kSegmentListKey, encode_segment_list(segments));
  for (const auto& [key, value] : rows)
    if (auto put = txn->put(key, value); !put) return put;
  if (auto committed = txn->commit(); !committed) return committed;
  identity_ = identity;
  hard_state_ = hard_state;
  segments_ = segments;
  return {};
}

}  // namespace weir::storage
