#include "raft/describe.hpp"

#include <algorithm>

#include "raft/raft.hpp"

namespace weir::raft {
namespace {

/// Longer data is told by its size.
constexpr std::size_t kDataShownMax = 32;

template <class Tag>
std::string text(Number<Tag> number) {
  return std::to_string(number.value);
}

std::string place(Index index, Term term) {
  return text(index) + "@" + text(term);
}

std::string read_of(const ReadContext& context) {
  return context.sequence == 0 ? "" : " read " + text(context.node) + "/" + std::to_string(context.sequence);
}

std::string describe_body(const RequestVote& request) {
  return " last " + place(request.last_log_index, request.last_log_term);
}

std::string describe_body(const RequestVoteReply& reply) {
  return " " + std::string(to_string(reply.answer));
}

std::string describe_body(const AppendEntries& request) {
  std::string line = " prev " + place(request.prev_log_index, request.prev_log_term) + " commit " +
                     text(request.leader_commit) + read_of(request.read_context);
  if (!request.entries.empty()) {
    line += " entries [";
    for (const Entry& entry : request.entries) {
      line += (line.back() == '[' ? "" : " ") + place(entry.index, entry.term);
    }
    line += "]";
  }
  return line;
}

std::string describe_body(const AppendEntriesReply& reply) {
  std::string line;
  if (reply.answer == AppendAnswer::matched) {
    line = " matched " + text(reply.match_index);
  } else if (reply.conflict_term == Term{}) {
    line = " conflict: log ends before " + text(reply.conflict_index);
  } else {
    line = " conflict: term " + text(reply.conflict_term) + " from " + text(reply.conflict_index) + " on";
  }
  return line + read_of(reply.read_context);
}

std::string describe_body(const ReadIndexRequest& request) {
  return read_of(request.context);
}
std::string describe_body(const ReadIndexReply& reply) {
  return read_of(reply.context) + " index " + text(reply.index);
}
std::string describe_body(const TimeoutNow&) {
  return "";
}
std::string describe_body(const InstallSnapshot& request) {
  const std::uint64_t end = request.offset + request.data.size();
  return " of " + place(request.snapshot.index, request.snapshot.term) + " bytes " + std::to_string(request.offset) +
         "-" + std::to_string(end) + " of " + std::to_string(request.snapshot.size);
}
std::string describe_body(const InstallSnapshotReply& reply) {
  return " of " + text(reply.index) +
         (reply.answer == InstallAnswer::installed ? std::string(" installed")
                                                   : " wants more from " + std::to_string(reply.offset) + " on");
}

std::string name_of(const RequestVote& request) {
  switch (request.kind) {
    case VoteKind::pre_vote:
      return "RequestPreVote";
    case VoteKind::vote:
      return "RequestVote";
    case VoteKind::transfer_vote:
      return "RequestVote (transfer)";
  }
  return "RequestVote (unknown)";
}
std::string name_of(const RequestVoteReply& reply) {
  return reply.kind == VoteKind::pre_vote ? "RequestPreVoteReply" : "RequestVoteReply";
}
std::string name_of(const AppendEntries& request) {
  return request.entries.empty() ? "Heartbeat" : "AppendEntries";
}
std::string name_of(const AppendEntriesReply&) {
  return "AppendEntriesReply";
}
std::string name_of(const ReadIndexRequest&) {
  return "ReadIndexRequest";
}
std::string name_of(const ReadIndexReply&) {
  return "ReadIndexReply";
}
std::string name_of(const TimeoutNow&) {
  return "TimeoutNow";
}
std::string name_of(const InstallSnapshot&) {
  return "InstallSnapshot";
}
std::string name_of(const InstallSnapshotReply&) {
  return "InstallSnapshotReply";
}

std::string describe_event(const RoleChanged& event) {
  std::string line = "became " + std::string(to_string(event.role)) + " in term " + text(event.term);
  if (event.role == Role::follower) {
    line += event.leader == kNobody ? ", no leader known" : " of leader " + text(event.leader);
  }
  return line;
}

std::string describe_event(const LeaderChanged& event) {
  return event.leader == kNobody ? "entered term " + text(event.term) + ", no leader known"
                                 : "learned that " + text(event.leader) + " leads term " + text(event.term);
}

std::string describe_event(const VoteCast& event) {
  return std::string(to_string(event.answer)) + " a " + std::string(to_string(event.kind)) + " to " +
         text(event.candidate) + " in term " + text(event.term);
}

std::string describe_event(const LogTruncated& event) {
  return "truncated its log from " + text(event.from);
}

std::string list_of(const std::vector<NodeId>& members) {
  std::string line;
  for (const NodeId member : members) {
    line += " " + text(member);
  }
  return line;
}

std::string describe_event(const ConfigurationAdopted& event) {
  const Configuration& members = event.configuration;
  return "uses the configuration of entry " + text(event.index) + ": voters" + list_of(members.voters) +
         (members.learners.empty() ? "" : ", learners" + list_of(members.learners));
}

std::string describe_event(const SnapshotInstalled& event) {
  return "put the snapshot of " + place(event.index, event.term) + " in the place of its log";
}

std::string describe_event(const MessageRefused& event) {
  return "refused a message of " + text(event.from) + ": " + event.reason;
}

}  // namespace

std::string_view to_string(Command command) {
  switch (command) {
    case Command::noop:
      return "NOOP";
    case Command::publish:
      return "SET";
    case Command::dedup:
      return "DEDUP";
    case Command::topic:
      return "TOPIC";
    case Command::group:
      return "GROUP";
    case Command::config:
      return "CONFIG";
    case Command::retain:
      return "RETAIN";
    case Command::digest:
      return "DIGEST";
    case Command::batch:
      return "BATCH";
    case Command::hollow:
      return "HOLLOW";
  }
  return "UNKNOWN";
}

std::string_view to_string(Role role) {
  switch (role) {
    case Role::follower:
      return "follower";
    case Role::pre_candidate:
      return "pre-candidate";
    case Role::candidate:
      return "candidate";
    case Role::leader:
      return "leader";
  }
  return "unknown";
}

std::string_view to_string(ProgressState state) {
  switch (state) {
    case ProgressState::probe:
      return "probe";
    case ProgressState::replicate:
      return "replicate";
    case ProgressState::snapshot:
      return "snapshot";
  }
  return "unknown";
}

std::string_view to_string(VoteKind kind) {
  switch (kind) {
    case VoteKind::pre_vote:
      return "pre-vote";
    case VoteKind::vote:
      return "vote";
    case VoteKind::transfer_vote:
      return "transfer vote";
  }
  return "unknown vote";
}

std::string_view to_string(VoteAnswer answer) {
  return answer == VoteAnswer::granted ? "granted" : "refused";
}

std::string describe(const Entry& entry) {
  std::string line = place(entry.index, entry.term) + " " + std::string(to_string(entry.command));
  const std::string_view data = entry.data.view();
  if (data.empty()) {
    return line;
  }
  const bool printable = std::ranges::all_of(data, [](char c) { return c >= ' ' && c <= '~'; });
  return line + " " +
         (printable && data.size() <= kDataShownMax ? std::string(data) : std::to_string(data.size()) + " bytes");
}

std::string describe(const Message& message) {
  const auto body = [&](const auto& of) {
    return text(message.from) + "->" + text(message.to) + " " + name_of(of) + " term " + text(message.term) +
           describe_body(of);
  };
  return std::visit(body, message.body);
}

std::string describe(const Event& event) {
  return std::visit([](const auto& of) { return describe_event(of); }, event);
}

std::string Raft::describe() const {
  std::string line = "node " + text(config_.id) + " " + std::string(to_string(role_)) + " term " + text(current_term_);
  if (role_ != Role::leader) {
    line += " leader " + (leader_ == kNobody ? "unknown" : text(leader_));
  }
  line += " vote " + (voted_for_ == kNobody ? "none" : text(voted_for_)) + " last " +
          place(log_.last_index(), log_.last_term()) + " durable " + text(log_.durable_index()) + " commit " +
          text(commit_index_);
  for (const ProgressView& view : progress()) {
    line += " | " + text(view.node) + " " + std::string(to_string(view.state)) + " match " + text(view.match_index) +
            " next " + text(view.next_index) + (view.recently_active ? "" : " silent");
  }
  return line;
}

}  // namespace weir::raft
