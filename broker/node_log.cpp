#include "broker/node_log.hpp"

#include <string_view>
#include <variant>

#include "wire/entry.hpp"

namespace weir::broker {
namespace {

[[nodiscard]] std::string_view to_string(raft::VoteKind kind) {
  switch (kind) {
    case raft::VoteKind::pre_vote:
      return "pre-vote";
    case raft::VoteKind::vote:
      return "vote";
    case raft::VoteKind::transfer_vote:
      return "transfer";
  }
  return "unknown";
}

}  // namespace

NodeLog::NodeLog(const Log& log, const std::vector<std::string>& members) : log_(log) {
  for (const std::string& member : members) names_.emplace(wire::node_id(member), member);
}

std::string NodeLog::name(raft::NodeId node) const {
  if (node == raft::kNobody) return "none";
  const auto found = names_.find(node);
  return found != names_.end() ? found->second : "unlisted-" + std::to_string(node.value);
}

void NodeLog::raft(const raft::Event& event) const {
  if (const auto* role = std::get_if<raft::RoleChanged>(&event)) {
    log_.info("role changed",
              {{"role", raft::to_string(role->role)}, {"term", role->term.value}, {"leader", name(role->leader)}});
  } else if (const auto* leader = std::get_if<raft::LeaderChanged>(&event)) {
    log_.info("leader changed", {{"leader", name(leader->leader)}, {"term", leader->term.value}});
  } else if (const auto* vote = std::get_if<raft::VoteCast>(&event)) {
    log_.debug("vote cast", {{"candidate", name(vote->candidate)},
                             {"term", vote->term.value},
                             {"kind", to_string(vote->kind)},
                             {"answer", vote->answer == raft::VoteAnswer::granted ? "granted" : "refused"}});
  } else if (const auto* truncated = std::get_if<raft::LogTruncated>(&event)) {
    log_.warn("log truncated: entries that no majority had give way to the leader's",
              {{"from", truncated->from.value}});
  } else if (const auto* refused = std::get_if<raft::MessageRefused>(&event)) {
    log_.debug("message refused", {{"peer", name(refused->from)}, {"why", refused->reason}});
  }
}

void NodeLog::phase(Phase phase, const std::string& why) const {
  const LogFields fields{{"phase", broker::to_string(phase)}, {"why", why}};
  switch (phase) {
    case Phase::failed:
      log_.error("this node has failed and serves nothing", fields);
      return;
    case Phase::waiting:
      log_.warn("phase changed", fields);
      return;
    case Phase::forming:
    case Phase::running:
    case Phase::draining:
      log_.info("phase changed", fields);
      return;
  }
}

void NodeLog::notice(const std::string& text) const {
  log_.warn(text);
}

}  // namespace weir::broker
