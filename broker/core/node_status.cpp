// What a node says about itself.
#include <algorithm>

#include "broker/core/node_impl.hpp"

namespace weir::broker {

std::string Node::Impl::name_of(raft::NodeId node) const {
  const auto* known = member(node);
  return known != nullptr ? known->name : std::string();
}

std::string Node::Impl::epoch() const {
  return cluster_ && cluster_->cluster_id == identity_.cluster_id ? cluster_->epoch : std::string();
}

NodeStatus Node::Impl::status() const {
  NodeStatus status;
  status.phase = phase_;
  status.why = why_;
  status.name = config_.name;
  status.node = self_;
  status.cluster_id = identity_.cluster_id;
  status.applied_index = state_.applied_index();
  status.position = state_.last_position();
  status.compared_index = digest_.compared_index();
  status.writes_refused = dispute_text();
  if (!replica_) {
    return status;
  }
  const raft::Raft& raft = replica_->raft();
  status.epoch = epoch();
  status.role = raft.role();
  status.term = raft.current_term();
  if (const auto leader = name_of(raft.leader()); !leader.empty()) {
    status.leader = leader;
  }
  status.commit_index = raft.commit_index();
  status.first_index = disk_.first_index();
  status.last_index = raft.last_index();
  status.durable_index = raft.durable_index();
  if (raft.role() != raft::Role::leader) {
    status.leader_silent_ms = (clock_.steady_us() - leader_heard_us_) / 1000;
  }
  for (const auto& member : cluster_->members) {
    status.members.push_back(member_status(member));
  }
  return status;
}

MemberStatus Node::Impl::member_status(const wire::Member& member) const {
  const raft::Raft& raft = replica_->raft();
  MemberStatus status{.node = member.node,
                      .name = member.name,
                      .raft_address = member.raft_address,
                      .http_address = member.http_address,
                      .incarnation = member.incarnation,
                      .role = raft::Role::follower,
                      .match_index = std::nullopt,
                      .kind = member.kind,
                      .healthy = std::nullopt,
                      .why = {}};
  const auto connected = peers_.find(member.node);
  if (connected != peers_.end() && connected->second.incarnation == member.incarnation) {
    status.http_address = connected->second.http_address;
    status.raft_address = connected->second.raft_address;
  }
  if (member.node == self_) {
    status.role = raft.role();
    status.http_address = config_.http_address;
    status.raft_address = config_.raft_address;
  } else if (member.node == raft.leader()) {
    status.role = raft::Role::leader;
  }
  if (const auto damaged = damaged_.find(member.node); damaged != damaged_.end()) {
    status.why = damaged->second;
  } else if (const auto* older = set_back(member)) {
    status.why = "it came back with an older copy of its data: " + older->why;
  }
  if (!status.why.empty()) {
    status.healthy = false;
    return status;
  }
  if (raft.role() != raft::Role::leader) {
    return status;
  }
  if (member.node == self_) {
    status.match_index = raft.durable_index();
    status.healthy = true;
    return status;
  }
  const auto views = raft.progress();
  if (const auto view = std::ranges::find(views, member.node, &raft::ProgressView::node); view != views.end()) {
    status.match_index = view->match_index;
    status.healthy = is_heard(member.node);
  }
  return status;
}

Counters Node::Impl::counters() const {
  Counters counters = counters_;
  if (replica_) {
    counters.disk_writes = replica_->disk_writes();
    counters.disk_write_us = replica_->disk_write_us();
    counters.disk_write_us_p99 = replica_->disk_write_us_p99();
  }
  const Scrubbed scrubbed = disk_.scrubbed();
  counters.scrub_bytes = scrubbed.bytes;
  counters.scrub_passes = scrubbed.passes;
  counters.files_rewritten = rewriting_.files();
  counters.rewritten_bytes = rewriting_.bytes_given_back();
  counters.forwarded = forwarder_.forwarded();
  counters.topics = state_.live_topic_count();
  counters.ids = state_.ids().size();
  counters.ids_bytes = state_.ids().memory_bytes();
  for (const auto& run : state_.ids().runs()) {
    ++counters.id_runs;
    counters.ids_on_disk += run->size();
    counters.id_filter_bytes += run->memory_bytes();
    counters.id_run_bytes += run->disk_bytes();
  }
  counters.forever_ids = state_.forever_ids().size();
  counters.forever_ids_bytes = state_.forever_ids().bytes();
  counters.forever_ids_bytes_max = state_.forever_ids().bytes_max();
  counters.pending_requests = pending();
  counters.pending_bytes = pending_bytes_;
  counters.waiters = waiters_.size();
  return counters;
}

}  // namespace weir::broker
