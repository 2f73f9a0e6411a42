#include "raft/validate.hpp"

namespace weir::raft {
namespace {

bool in_range(Index index) {
  return index.value < kNumberLimit;
}

/// An index and the term of the entry there: both 0, or neither.
bool is_place(Index index, Term term) {
  return (index == Index{}) == (term == Term{});
}

const char* defect(const RequestVote& request, Term term) {
  if (request.kind < VoteKind::pre_vote || request.kind > VoteKind::transfer_vote) {
    return "RequestVote of unknown kind";
  }
  if (term == Term{}) {
    return "RequestVote for term 0";
  }
  if (!in_range(request.last_log_index) || !is_place(request.last_log_index, request.last_log_term)) {
    return "RequestVote with an impossible last_log_index";
  }
  if (request.last_log_term >= term) {
    return "RequestVote for a term that the candidate's log already has";
  }
  return nullptr;
}

const char* defect(const RequestVoteReply& reply, Term) {
  if (reply.kind < VoteKind::pre_vote || reply.kind > VoteKind::transfer_vote) {
    return "RequestVoteReply of unknown kind";
  }
  if (reply.answer != VoteAnswer::granted && reply.answer != VoteAnswer::refused) {
    return "RequestVoteReply with an unknown answer";
  }
  return nullptr;
}

const char* defect(const AppendEntries& request, Term term) {
  if (term == Term{}) {
    return "AppendEntries of term 0";
  }
  if (!in_range(request.prev_log_index) || !in_range(request.leader_commit)) {
    return "AppendEntries with an index out of range";
  }
  if (!is_place(request.prev_log_index, request.prev_log_term) || request.prev_log_term > term) {
    return "AppendEntries with an impossible prev_log_term";
  }
  Index last = request.prev_log_index;
  Term last_term = request.prev_log_term;
  for (const Entry& entry : request.entries) {
    if (entry.index != last.next() || !in_range(entry.index)) {
      return "AppendEntries whose entries are not contiguous";
    }
    if (entry.term < last_term || entry.term > term || entry.term == Term{}) {
      return "AppendEntries whose terms are out of order";
    }
    if (entry.command == Command::hollow) {
      return "AppendEntries with an entry of which nothing is left";
    }
    if ((entry.command == Command::config) != (entry.configuration != nullptr)) {
      return "AppendEntries with a CONFIG entry that was not decoded";
    }
    if (entry.configuration && !entry.configuration->is_well_formed()) {
      return "AppendEntries with an impossible configuration";
    }
    last = entry.index;
    last_term = entry.term;
  }
  return nullptr;
}

const char* defect(const AppendEntriesReply& reply, Term term) {
  if (reply.answer != AppendAnswer::matched && reply.answer != AppendAnswer::conflict) {
    return "AppendEntriesReply with an unknown answer";
  }
  if (!in_range(reply.match_index) || !in_range(reply.conflict_index)) {
    return "AppendEntriesReply with an index out of range";
  }
  if (reply.answer == AppendAnswer::conflict && (reply.conflict_index == Index{} || reply.conflict_term > term)) {
    return "AppendEntriesReply with an impossible hint";
  }
  return nullptr;
}

const char* defect(const ReadIndexRequest& request, Term) {
  return request.context.sequence == 0 ? "ReadIndexRequest without a sequence" : nullptr;
}

const char* defect(const ReadIndexReply& reply, Term) {
  return in_range(reply.index) ? nullptr : "ReadIndexReply with an index out of range";
}

const char* defect(const InstallSnapshot& request, Term term) {
  const Snapshot& snapshot = request.snapshot;
  // FAULTS 28: a snapshot of nothing is none.
  if (!in_range(snapshot.index) || snapshot.index == Index{} || snapshot.term == Term{} || snapshot.term > term) {
    return "InstallSnapshot of an impossible place";
  }
  if (snapshot.size >= kNumberLimit || request.offset > snapshot.size ||
      request.data.size() > snapshot.size - request.offset) {
    return "InstallSnapshot with a piece beyond its end";
  }
  if (request.data.empty() && request.offset < snapshot.size) {
    return "InstallSnapshot with an empty piece";
  }
  if (snapshot.config.index > snapshot.index || !snapshot.config.configuration ||
      !snapshot.config.configuration->is_well_formed()) {
    return "InstallSnapshot without a configuration";
  }
  return nullptr;
}

const char* defect(const InstallSnapshotReply& reply, Term) {
  if (reply.answer != InstallAnswer::more && reply.answer != InstallAnswer::installed) {
    return "InstallSnapshotReply with an unknown answer";
  }
  return in_range(reply.index) ? nullptr : "InstallSnapshotReply with an index out of range";
}

const char* defect(const TimeoutNow&, Term term) {
  return term == Term{} ? "TimeoutNow of term 0" : nullptr;
}

}  // namespace

const char* defect_of(const Message& message) {
  if (message.term.value >= kNumberLimit) {
    return "term out of range";
  }
  return std::visit([&](const auto& body) { return defect(body, message.term); }, message.body);
}

}  // namespace weir::raft
