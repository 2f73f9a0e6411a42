// Consumer groups, as a node's clients see and change them.
#include <algorithm>
#include <utility>

#include "broker/core/node_impl.hpp"

namespace weir::broker {

void Node::Impl::change_group(wire::GroupChange change, std::uint32_t timeout_ms, OutcomeDone done) {
  accept(std::move(change), Origin::local, timeout_ms, std::move(done));
}

std::optional<GroupInfo> Node::Impl::group(std::string_view name) const {
  const Group* known = state_.groups().find(name);
  return known == nullptr ? std::nullopt : std::optional(describe(std::string(name), *known));
}

std::vector<GroupInfo> Node::Impl::groups() const {
  std::vector<GroupInfo> infos;
  for (const auto& [name, known] : state_.groups().all()) {
    infos.push_back(describe(name, known));
  }
  return infos;
}

GroupInfo Node::Impl::describe(std::string name, const Group& group) const {
  const std::uint64_t now_ms = std::max(state_.time_ms(), log_time_.now(clock_.wall_ms(), clock_.steady_us()));
  const Group::Next next = group.next(now_ms);
  GroupInfo info{.name = std::move(name),
                 .patterns = group.patterns,
                 .committed = group.committed,
                 .gap_told = group.gap_told,
                 .generation = group.generation,
                 .leases = {},
                 .lag = 0,
                 .next_from = next.from,
                 .next_to = next.to,
                 .held_for_ms = 0};
  raft::Position from = group.committed;
  for (const auto& range : group.ranges) {
    if (range.is_held(now_ms)) {
      const std::uint64_t left_ms = range.expires_ms - now_ms + 1;
      info.held_for_ms = info.leases.empty() ? left_ms : std::min(info.held_for_ms, left_ms);
      info.leases.push_back({.lease = range.lease, .from = from, .to = range.to, .expires_ms = range.expires_ms});
    }
    from = range.to;
  }
  Selector selector;
  for (const auto& text : group.patterns) {
    if (auto pattern = Pattern::parse(text)) {
      selector.patterns.push_back(*std::move(pattern));
    }
  }
  info.lag = reader_.count_after(selector, group.committed);
  return info;
}

}  // namespace weir::broker
