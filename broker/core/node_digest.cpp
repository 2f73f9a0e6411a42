// Replicas prove that they agree (DESIGN §9): followers report what they hold, the leader puts reports side by side
// into a DIGEST entry, and every node draws the same conclusion from it when it is applied.
#include <algorithm>
#include <utility>

#include "broker/core/node_impl.hpp"

namespace weir::broker {
namespace {

/// A comparison waits so long for a voter that is heard and has not reported: it may be catching up.
constexpr std::uint64_t kReportsTimeoutUs = 2'000'000;

[[nodiscard]] bool all_equal(const std::vector<wire::Report>& reports) {
  return std::ranges::adjacent_find(reports, std::not_equal_to{}, &wire::Report::digest) == reports.end();
}

}  // namespace

// --- reports

void Node::Impl::stamp(raft::Message& message) const {
  if (std::holds_alternative<raft::AppendEntriesReply>(message.body)) {
    message.report = digest_.report();
  } else if (verification_ && std::holds_alternative<raft::AppendEntries>(message.body)) {
    message.report_wanted = verification_->target;
  }
}

/// Before Raft takes the message: what it brings may be applied at once, and the place that is asked for passed.
void Node::Impl::hear_report(const raft::Message& message) {
  const raft::Raft& raft = replica_->raft();
  if (std::holds_alternative<raft::AppendEntries>(message.body)) {
    if (message.term >= raft.current_term()) {
      digest_.want(message.report_wanted);
    }
  } else if (message.report && replica_->leads()) {
    heard_reports_.hear(message.from, *message.report);
    answer_verify();
  }
}

std::vector<wire::Report> Node::Impl::reports_as_of(raft::Index index) const {
  auto reports = heard_reports_.as_of(index, *cluster_);
  if (const auto own = digest_.at(index); own && member(self_) != nullptr) {
    std::erase_if(reports, [this](const wire::Report& report) { return report.node == self_; });
    reports.push_back({.node = self_, .digest = *own});
    std::ranges::sort(reports, {}, &wire::Report::node);
  }
  return reports;
}

/// It answers, as the incarnation that CONFIG names.
bool Node::Impl::is_heard(raft::NodeId node) const {
  const auto views = replica_->raft().progress();
  const auto view = std::ranges::find(views, node, &raft::ProgressView::node);
  return view != views.end() && view->recently_active && is_current(node);
}

bool Node::Impl::has_heard_all(raft::Index index) const {
  return std::ranges::all_of(cluster_->members, [this, index](const wire::Member& member) {
    return member.kind == wire::MemberKind::awaited || member.node == self_ || !is_heard(member.node) ||
           heard_reports_.at(member.node, index).has_value();
  });
}

// --- the leader has them compared

void Node::Impl::tend_digests() {
  if (!replica_ || !replica_->leads() || state_.applied_index() < digest_proposed_ ||
      replica_->raft().configuration().voters.size() < 2) {
    return;
  }
  const auto& marks = digest_.marks();
  if (marks.empty() || marks.back().index <= digest_.compared_index()) {
    uncompared_since_us_ = 0;
    return;
  }
  if (uncompared_since_us_ == 0) {
    uncompared_since_us_ = clock_.steady_us();
  }
  if (const auto index = index_to_compare()) {
    propose_comparison(*index);
  }
}

std::optional<raft::Index> Node::Impl::index_to_compare() const {
  const bool waited = clock_.steady_us() - uncompared_since_us_ >= kReportsTimeoutUs;
  const auto& marks = digest_.marks();
  for (auto mark = marks.rbegin(); mark != marks.rend() && mark->index > digest_.compared_index(); ++mark) {
    const auto reports = reports_as_of(mark->index);
    const Comparison comparison = compare(reports, *cluster_);
    const bool decides = comparison.right || comparison.open;
    const bool is_due = digest_.is_periodic(mark->index) || !all_equal(reports);
    if (decides && is_due && (waited || has_heard_all(mark->index))) {
      return mark->index;
    }
  }
  return std::nullopt;
}

void Node::Impl::propose_comparison(raft::Index index) {
  const wire::DigestEntry entry{
      .time_ms = log_time_.next(clock_.wall_ms(), clock_.steady_us()), .index = index, .reports = reports_as_of(index)};
  raft::Proposal proposal{.command = raft::Command::digest, .checksum = 0, .data = wire::encode(entry)};
  proposal.checksum = wire::entry_checksum(proposal.command, proposal.data.view());
  std::vector<raft::Proposal> proposals;
  proposals.push_back(std::move(proposal));
  // Refused while leadership is handed over or too much is uncommitted: then it is tried again.
  if (const auto proposed = replica_->propose(std::move(proposals))) {
    digest_proposed_ = *proposed;
    uncompared_since_us_ = 0;
  }
}

// --- every node draws the conclusion

void Node::Impl::digest_applied(const DecodedEntry& entry, const Applied& applied) {
  digest_.applied(entry, applied, state_);
  if (verification_ && verification_->target == entry.index) {
    verification_->position = state_.last_position();
  }
  if (const auto* reports = entry.digest()) {
    ++counters_.digests_compared;
    counters_.digests_differing += all_equal(reports->reports) ? 0 : 1;
    // The configuration in force where the entry stands, not the latest: all nodes must conclude the same.
    if (const auto config = wire::decode_config(applier_->config().data)) {
      take_verdict(*reports, *config);
    }
  } else if (applied.config && digest_.dispute()) {
    const wire::DigestEntry dispute = *digest_.dispute();
    take_verdict(dispute, *applied.config);
  }
}

/// What a node itself holds counts, not what it reported in an earlier life: it may have been mended since.
void Node::Impl::take_verdict(const wire::DigestEntry& reports, const wire::ConfigEntry& config) {
  const Comparison comparison = compare(reports.reports, config);
  if (!comparison.right && !comparison.open) {
    return;
  }
  const std::string where = " at log entry " + std::to_string(reports.index.value);
  digest_.compared(reports, comparison.open ? Digest::Outcome::open : Digest::Outcome::settled);
  damaged_.clear();
  for (const raft::NodeId node : comparison.wrong) {
    damaged_[node] = "its data differs from the majority's" + where;
  }
  const auto own = digest_.at(reports.index);
  if (comparison.right && own && *own != *comparison.right) {
    applier_->pause();
    stop_damaged("this node's data differs from the majority's" + where + " (" + digest_text(*own) + ", theirs " +
                 digest_text(*comparison.right) +
                 "): it gets everything from them again; if it does not by itself, stop it, remove its data folder, "
                 "start it");
    return;
  }
  if (!events_.notice) {
    return;
  }
  if (comparison.open) {
    events_.notice(dispute_text());
  }
  for (const auto& [node, why] : damaged_) {
    events_.notice("'" + name_of(node) + "': " + why);
  }
}

std::string Node::Impl::dispute_text() const {
  if (!digest_.dispute()) {
    return {};
  }
  std::string text = "the members' data differ and none has a majority, as of log entry " +
                     std::to_string(digest_.dispute()->index.value) + ":";
  for (const auto& report : digest_.dispute()->reports) {
    text += ' ' + name_of(report.node) + '=' + digest_text(report.digest);
  }
  return text + "; no writes are taken until those that are wrong are removed: weir cluster remove NAME";
}

// --- now

void Node::Impl::verify(std::uint32_t timeout_ms, VerifyDone done) {
  const auto refuse = [&done](ChangeRefusalKind kind, std::string detail) {
    done(std::unexpected(ChangeRefusal{.kind = kind, .detail = std::move(detail)}));
  };
  if (!replica_ || !replica_->leads()) {
    refuse(ChangeRefusalKind::not_leader, "not the leader");
    return;
  }
  const raft::Raft& raft = replica_->raft();
  if (verification_) {
    refuse(ChangeRefusalKind::busy, "members are being compared already; try again");
    return;
  }
  // Nobody has applied more than the leader knows to be committed, once that includes an entry of its own term.
  if (raft.term_at(raft.commit_index()) != raft.current_term()) {
    refuse(ChangeRefusalKind::busy, "the leader is new; try again");
    return;
  }
  verification_ = Verification{.target = raft.commit_index(),
                               .position = state_.last_position(),
                               .deadline_us = deadline(timeout_ms),
                               .done = std::move(done)};
  digest_.want(verification_->target);
  heard_reports_.forget(verification_->target);
  answer_verify();
}

void Node::Impl::answer_verify() {
  if (!verification_) {
    return;
  }
  if (!replica_->leads()) {
    abandon_verify("leadership was lost meanwhile; try again");
    return;
  }
  const raft::Index target = verification_->target;
  const bool complete = digest_.at(target) && has_heard_all(target);
  if (!complete && clock_.steady_us() < verification_->deadline_us) {
    return;
  }
  if (!digest_.at(target)) {
    abandon_verify("this node has not applied entry " + std::to_string(target.value) + " in time; try again");
    return;
  }
  Verified result = verified();
  auto done = std::move(verification_->done);
  verification_.reset();
  digest_.want({});
  done(std::move(result));
}

Verified Node::Impl::verified() const {
  const raft::Index target = verification_->target;
  const auto reports = reports_as_of(target);
  const std::uint64_t own = *digest_.at(target);
  const auto holders = [&reports](std::uint64_t digest) {
    return std::ranges::count(reports, digest, &wire::Report::digest);
  };
  Verified result{.index = target,
                  .position = verification_->position,
                  .digest = own,
                  .agree = {},
                  .differ = {},
                  .unreachable = {}};
  for (const auto& report : reports) {
    if (holders(report.digest) > holders(result.digest)) {
      result.digest = report.digest;
    }
  }
  for (const auto& member : cluster_->members) {
    const auto report = std::ranges::find(reports, member.node, &wire::Report::node);
    auto& names = report == reports.end()           ? result.unreachable
                  : report->digest == result.digest ? result.agree
                                                    : result.differ;
    names.push_back(member.name);
  }
  return result;
}

void Node::Impl::abandon_verify(const std::string& why) {
  if (!verification_) {
    return;
  }
  auto done = std::move(verification_->done);
  verification_.reset();
  digest_.want({});
  done(std::unexpected(ChangeRefusal{.kind = ChangeRefusalKind::busy, .detail = why}));
}

}  // namespace weir::broker
