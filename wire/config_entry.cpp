#include <algorithm>

#include "wire/entry.hpp"
#include "wire/entry_generated.h"
#include "wire/flat.hpp"
#include "wire/rules.hpp"

namespace weir::wire {
namespace {

Member decode_member(const fbs::Member& table, Rules& rules) {
  Member member;
  member.node = raft::NodeId{table.node()};
  member.name = text_of(table.name());
  member.raft_address = text_of(table.raft_address());
  member.http_address = text_of(table.http_address());
  member.incarnation = table.incarnation();
  member.kind = static_cast<MemberKind>(table.kind());
  rules.that(member.node != raft::kNobody, "node: not 0");
  rules.node_name(member.name, "name: 1 to 32 of [a-z0-9-]");
  rules.that(table.kind() <= fbs::MemberKind::awaited, "kind: a known one");
  rules.visible(member.raft_address, kAddressBytesMax, "raft_address: at most 255 visible bytes");
  rules.visible(member.http_address, kAddressBytesMax, "http_address: at most 255 visible bytes");
  return member;
}

/// No two members share what `field` says of them.
template <class Field>
bool all_different(const std::vector<Member>& members, Field field) {
  for (std::size_t n = 0; n < members.size(); ++n) {
    const auto same = [&](const Member& other) { return other.*field == members[n].*field; };
    if (std::any_of(members.begin(), members.begin() + static_cast<std::ptrdiff_t>(n), same)) return false;
  }
  return true;
}

}  // namespace

raft::Bytes encode(const ConfigEntry& entry) {
  flatbuffers::FlatBufferBuilder builder;
  std::vector<flatbuffers::Offset<fbs::Member>> members;
  for (const auto& member : entry.members) {
    const auto name = builder.CreateString(member.name);
    const auto raft_address = builder.CreateString(member.raft_address);
    const auto http_address = builder.CreateString(member.http_address);
    members.push_back(fbs::CreateMember(builder, member.node.value, name, raft_address, http_address,
                                        member.incarnation, static_cast<fbs::MemberKind>(member.kind)));
  }
  const auto cluster_id = builder.CreateString(entry.cluster_id);
  const auto epoch = builder.CreateString(entry.epoch);
  builder.Finish(fbs::CreateConfigEntry(builder, cluster_id, epoch, builder.CreateVector(members)));
  return release(builder);
}

std::expected<ConfigEntry, Error> decode_config(const raft::Bytes& data) {
  if (data.size() > kEntryBytesMax) {
    return std::unexpected(Error{Errc::too_large, "CONFIG entry: " + std::to_string(data.size()) + " bytes"});
  }
  const auto bytes = aligned(data);
  const auto* table = verified<fbs::ConfigEntry>(bytes.view(), VerifyLimits{.depth = 2, .tables = 1 + kMembersMax});
  if (table == nullptr) return malformed("CONFIG entry: not a FlatBuffer of this schema");
  Rules rules("CONFIG entry");
  ConfigEntry entry;
  const auto cluster_id = text_of(table->cluster_id());
  const auto epoch = text_of(table->epoch());
  rules.that(!cluster_id.empty(), "cluster_id: not empty");
  rules.visible(cluster_id, kClusterIdBytesMax, "cluster_id: at most 64 visible bytes");
  rules.that(!epoch.empty(), "epoch: not empty");
  rules.visible(epoch, kClusterIdBytesMax, "epoch: at most 64 visible bytes");
  rules.that(table->members()->size() > 0, "members: at least one");
  if (!rules.hold()) return rules.error();
  entry.cluster_id = cluster_id;
  entry.epoch = epoch;
  for (const auto* member : *table->members()) entry.members.push_back(decode_member(*member, rules));
  rules.that(std::ranges::find(entry.members, MemberKind::voter, &Member::kind) != entry.members.end(),
             "members: at least one voter");
  rules.that(all_different(entry.members, &Member::node), "members: no node twice");
  rules.that(all_different(entry.members, &Member::name), "members: no name twice");
  if (!rules.hold()) return rules.error();
  return entry;
}

}  // namespace weir::wire
