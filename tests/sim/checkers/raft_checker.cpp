#include "tests/sim/checkers/raft_checker.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include "tests/sim/sim_node.hpp"

namespace weir::sim {
namespace {

/// Two virtual seconds: several of the longest election timeouts, and the latest of late messages.
constexpr std::uint32_t kPastTicksMax = 200;
/// disk.stall_timeout, by the node's own clock, and a tick.
constexpr std::uint64_t kStallMaxUs = 1'011'000;

[[nodiscard]] std::string at(raft::Index index, raft::Term term) {
  return std::to_string(index.value) + "@" + std::to_string(term.value);
}

}  // namespace

RaftChecker::RaftChecker(World& world, Verdict& verdict, std::function<void(const raft::Entry&)> committed)
    : world_(world), verdict_(verdict), on_committed_(std::move(committed)) {}

void RaftChecker::started(SimNode& node) {
  View view;
  reset_log(view, whole_log(node.image()));
  view.first_index = node.image().first_index();
  view.durable = view.given = node.image().hard_state();
  views_[node.place()] = std::move(view);
  forget_unkept(node);
  // A founder tells nobody of its CONFIG before it is on its disk: until then it may draw another one.
  if (std::ranges::all_of(world_.nodes, [](const auto& each) { return each->image().last_index() == raft::Index{}; })) {
    seen_.clear();
  }
}

/// The only voter tells nobody of a term before its disk knows it: after a crash it may lead the same term, and fill
/// the same index, a second time.
void RaftChecker::forget_unkept(const SimNode& node) {
  std::set<raft::Term> unkept;
  std::erase_if(leaders_, [&](const auto& leader) {
    const bool forgotten = leader.second.first == node.place() && leader.first > node.image().hard_state().current_term;
    if (forgotten) {
      unkept.insert(leader.first);
    }
    return forgotten;
  });
  if (!unkept.empty()) {
    for (auto& seen : seen_) {
      std::erase_if(seen, [&](const Seen& entry) { return unkept.contains(entry.term); });
    }
  }
}

void RaftChecker::reset_log(View& view, std::vector<raft::Entry> log) {
  view.log = std::move(log);
  view.configs.clear();
  for (const raft::Entry& entry : view.log) {
    view.configs.add(entry);
  }
}

std::vector<raft::Entry> RaftChecker::whole_log(const SimDisk& image) const {
  std::vector<raft::Entry> log;
  const std::uint64_t before = image.first_index().value - 1;
  if (before > committed_.size()) {
    verdict_.fail("a log begins with entry " + std::to_string(before + 1) +
                  ", and what was before it is not committed");
    return log;
  }
  for (std::uint64_t i = 0; i < before; ++i) {
    log.push_back(committed_[i].entry);
  }
  for (const raft::Entry& entry : image.entries()) {
    const bool is_hollow = entry.command == raft::Command::hollow;
    if (is_hollow && entry.index > image.covered()) {
      verdict_.fail("a log has a hollow entry " + at(entry.index, entry.term) + ", and no checkpoint behind it");
      return log;
    }
    log.push_back(is_hollow ? committed_[entry.index.value - 1].entry : entry);
  }
  return log;
}

void RaftChecker::given(const SimNode& node, const broker::DiskWrite& write) {
  View& view = views_[node.place()];
  if (write.hard_state) {
    check_hard_state(node, view.given, *write.hard_state);
    view.given = *write.hard_state;
  }
  if (write.install) {
    install(node, view, *write.install);
  }
  if (write.truncate_from) {
    truncate(node, view, *write.truncate_from);
  }
  for (const raft::Entry& entry : write.entries) {
    append(node, view, entry);
  }
}

void RaftChecker::truncate(const SimNode& node, View& view, raft::Index from) {
  view.truncated = true;
  ++world_.history.coverage.truncations;
  world_.history.note("truncate", node.place(), from.value);
  if (from <= view.commit_index) {
    verdict_.fail("Leader Completeness: " + node.name() + " cuts off committed entries from " +
                  std::to_string(from.value));
  }
  view.log.resize(std::min<std::size_t>(view.log.size(), from.value - 1));
  world_.history.coverage.configs_cut_off += view.configs.truncate_from(from);
}

void RaftChecker::append(const SimNode& node, View& view, const raft::Entry& entry) {
  if (entry.index.value != view.log.size() + 1) {
    verdict_.fail(node.name() + " writes entry " + std::to_string(entry.index.value) + " behind entry " +
                  std::to_string(view.log.size()));
    return;
  }
  view.log.push_back(entry);
  view.configs.add(entry);
  if (entry.command == raft::Command::config) {
    view.new_configs.push_back(entry.index);
  }
  match_log(node, view.log, entry.index);
}

/// A snapshot holds committed entries, and takes the place of no more than them: what it covers is above commit_index.
void RaftChecker::install(const SimNode& node, View& view, const raft::Snapshot& snapshot) {
  const std::string what = node.name() + " installs the snapshot of " + at(snapshot.index, snapshot.term);
  world_.history.note("install", node.place(), snapshot.index.value, snapshot.number);
  world_.history.say([&] { return what; });
  const std::uint64_t count = snapshot.index.value;
  if (count == 0 || count > committed_.size() || committed_[count - 1].entry.term != snapshot.term) {
    verdict_.fail("State Machine Safety: " + what + ", which is not committed");
    return;
  }
  if (snapshot.index <= view.commit_index) {
    verdict_.fail(what + ", and has entry " + std::to_string(view.commit_index.value) + " committed already");
  }
  std::vector<raft::Entry> log;
  for (std::uint64_t i = 0; i < count; ++i) {
    log.push_back(committed_[i].entry);
  }
  reset_log(view, std::move(log));
  view.installing = snapshot.index;
}

/// FAULTS 27, 29: at every moment the log meets what the newest checkpoint covers, and what a snapshot brought is what
/// was committed.
void RaftChecker::check_image(const SimNode& node, View& view) {
  const SimDisk& image = node.image();
  const bool meets = image.covered().next() >= image.first_index() && image.covered() <= image.last_index();
  if (!meets) {
    verdict_.fail("FAULTS 27: the log of " + node.name() + " has entries " + std::to_string(image.first_index().value) +
                  " to " + std::to_string(image.last_index().value) + ", its newest checkpoint is of entry " +
                  std::to_string(image.covered().value));
    return;
  }
  world_.history.coverage.log_drops += image.first_index() > std::exchange(view.first_index, image.first_index());
  if (image.covered().value > committed_.size()) {
    verdict_.fail(node.name() + " has a checkpoint of entry " + std::to_string(image.covered().value) +
                  ", which is not committed");
    return;
  }
  if (!view.installing || image.covered() < *view.installing) {
    return;
  }
  ++world_.history.coverage.snapshots_installed;
  const raft::Index last = *std::exchange(view.installing, std::nullopt);
  for (raft::Index index = image.first_index(); index <= last; index = index.next()) {
    const raft::Entry& entry = image.entries()[index - image.first_index()];
    const raft::Entry& known = committed_[index.value - 1].entry;
    const bool same =
        entry.command == raft::Command::hollow || (entry.checksum == known.checksum && entry.data == known.data);
    if (entry.term != known.term || !same) {
      verdict_.fail("FAULTS 29: the snapshot that " + node.name() + " installed has another entry " +
                    at(index, entry.term));
      return;
    }
  }
}

/// Log Matching: two logs with the same index and term there are the same up to there. By induction it is enough that
/// the entry and the term before it are.
void RaftChecker::match_log(const SimNode& node, const std::vector<raft::Entry>& log, raft::Index index) {
  const raft::Entry& entry = log[index.value - 1];
  const raft::Term prev_term = index.value > 1 ? log[index.value - 2].term : raft::Term{};
  if (seen_.size() < index.value) {
    seen_.resize(index.value);
  }
  auto& seen = seen_[index.value - 1];
  const auto known = std::ranges::find(seen, entry.term, &Seen::term);
  if (known == seen.end()) {
    seen.push_back({.term = entry.term, .prev_term = prev_term, .command = entry.command, .checksum = entry.checksum});
  } else if (known->prev_term != prev_term || known->command != entry.command || known->checksum != entry.checksum) {
    verdict_.fail("Log Matching: " + node.name() + " has another entry " + at(entry.index, entry.term));
  }
}

void RaftChecker::durable(const SimNode& node) {
  View& view = views_[node.place()];
  check_hard_state(node, view.durable, node.image().hard_state());
  view.durable = node.image().hard_state();
  check_image(node, view);
}

void RaftChecker::check_hard_state(const SimNode& node, const raft::HardState& was, const raft::HardState& is) {
  const bool vote_changes =
      is.current_term == was.current_term && was.voted_for != raft::kNobody && is.voted_for != was.voted_for;
  if (is.current_term < was.current_term || vote_changes) {
    verdict_.fail("hard state goes back on " + node.name() + " in term " + std::to_string(was.current_term.value));
  }
}

void RaftChecker::raft_event(const SimNode& node, const raft::Event& event) {
  if (const auto* adopted = std::get_if<raft::ConfigurationAdopted>(&event)) {
    views_[node.place()].in_force = *adopted;
  }
  const auto* changed = std::get_if<raft::RoleChanged>(&event);
  if (changed == nullptr) {
    return;
  }
  world_.history.note("role", node.place(), static_cast<std::uint64_t>(changed->role), changed->term.value);
  if (changed->role == raft::Role::candidate) {
    campaigned_.insert(changed->term);
  }
  if (changed->role == raft::Role::leader) {
    ++world_.history.coverage.elections;
    became_leader(node, changed->term);
  }
}

void RaftChecker::became_leader(const SimNode& node, raft::Term term) {
  const auto [place, is_first] = leaders_.try_emplace(term, node.place(), node.boot());
  if (!is_first && place->second != std::pair(node.place(), node.boot())) {
    verdict_.fail("Election Safety: term " + std::to_string(term.value) + " has a second leader, " + node.name());
  }
  const View& view = views_[node.place()];
  check_votes(node, view, term);
  for (std::size_t i = 0; i < committed_.size(); ++i) {
    const Committed& committed = committed_[i];
    if (committed.commit_term < term && (view.log.size() <= i || view.log[i].term != committed.entry.term)) {
      verdict_.fail("Leader Completeness: " + node.name() + " leads term " + std::to_string(term.value) +
                    " without the committed entry " + at(committed.entry.index, committed.entry.term));
      return;
    }
  }
}

void RaftChecker::after(SimNode& node) {
  View& view = views_[node.place()];
  const broker::NodeStatus status = node.node().status();
  check_leader(node, view, status);
  check_indexes(node, view, status);
  check_standing(node, view, status);
  check_in_force(node, view);
  for (const raft::Index index : std::exchange(view.new_configs, {})) {
    check_change(node, view, status, index);
  }
  if (!verdict_.holds()) {
    return;
  }
  if (status.commit_index > view.commit_index && status.commit_index.value <= view.log.size()) {
    // A leader commits by an entry of its own term; it is the first to report it.
    const raft::Term commit_term = view.log[status.commit_index.value - 1].term;
    if (status.role == raft::Role::leader && commit_term != status.term) {
      verdict_.fail("Figure 8: " + node.name() + " leads term " + std::to_string(status.term.value) + " and commits " +
                    at(status.commit_index, commit_term) + " by counting");
    }
    for (raft::Index index = view.commit_index.next(); index <= status.commit_index; index = index.next()) {
      commit(node, view, index, commit_term);
    }
    view.commit_index = status.commit_index;
  }
  view.applied_index = status.applied_index;
  view.term = status.term;
  view.role = status.role;
  view.truncated = false;
}

void RaftChecker::ticked(SimNode& node) {
  View& view = views_[node.place()];
  const broker::NodeStatus status = node.node().status();
  const bool leads = status.role == raft::Role::leader;
  // FAULTS 9, 10: check-quorum. What is still on its way may sound like a majority for a while.
  const bool is_past = leads && !leaders_.empty() && leaders_.rbegin()->first > status.term;
  view.past_ticks = is_past ? view.past_ticks + 1 : 0;
  if (view.past_ticks > kPastTicksMax) {
    verdict_.fail("check-quorum: " + node.name() + " still leads term " + std::to_string(status.term.value) +
                  " while there is a leader of term " + std::to_string(leaders_.rbegin()->first.value));
  }
  if (leads && node.disk().hangs_for_us() > kStallMaxUs) {
    verdict_.fail("FAULTS 120: " + node.name() + " leads while its flush hangs");
  }
}

void RaftChecker::check_leader(const SimNode& node, const View& view, const broker::NodeStatus& status) {
  // Pre-vote: only an election raises a term, and what makes one is that a member stood in it. Term 1 is the
  // founding's.
  if (status.term > view.term && status.term > raft::Term{1} && !campaigned_.contains(status.term)) {
    verdict_.fail(node.name() + " enters term " + std::to_string(status.term.value) + ", in which nobody stood");
  }
  if (view.truncated && view.role == raft::Role::leader && status.role == raft::Role::leader &&
      view.term == status.term) {
    verdict_.fail("Leader Append-Only: " + node.name() + " cut its log while it led term " +
                  std::to_string(status.term.value));
  }
}

void RaftChecker::check_indexes(const SimNode& node, const View& view, const broker::NodeStatus& status) {
  const auto fail = [&](const char* what) {
    verdict_.fail(node.name() + ": " + what + " (commit " + std::to_string(status.commit_index.value) + ", applied " +
                  std::to_string(status.applied_index.value) + ", durable " +
                  std::to_string(node.image().last_index().value) + ")");
  };
  if (status.commit_index < view.commit_index || status.applied_index < view.applied_index) {
    fail("commit_index or applied_index goes back");
  }
  if (status.term < view.term) {
    fail("current_term goes back");
  }
  if (status.commit_index.value > view.log.size()) {
    fail("commit_index beyond the log");
  }
  // FAULTS 21: what a reader can see is on this disk, and so is what counts as this member's own.
  const auto is_on_disk = [&](raft::Index index) {
    const SimDisk& image = node.image();
    const bool covered = index < image.first_index() && index <= image.covered();
    return index == raft::Index{} || covered ||
           (index.value <= view.log.size() && image.term_at(index) == view.log[index.value - 1].term);
  };
  if (!is_on_disk(status.durable_index)) {
    fail("takes entries for durable that are not");
  }
  if (status.applied_index > status.commit_index || !is_on_disk(status.applied_index)) {
    fail("applied what is not committed and durable here");
  }
}

/// State Machine Safety: all nodes commit, and so apply, the same entries in the same order.
void RaftChecker::commit(const SimNode& node, const View& view, raft::Index index, raft::Term commit_term) {
  const raft::Entry& entry = view.log[index.value - 1];
  if (index.value <= committed_.size()) {
    const raft::Entry& known = committed_[index.value - 1].entry;
    if (known.term != entry.term || known.checksum != entry.checksum) {
      verdict_.fail("State Machine Safety: " + node.name() + " commits " + at(index, entry.term) + ", others " +
                    at(index, known.term));
    }
    return;
  }
  const PlacedConfig* in_force = view.configs.latest();
  if (in_force == nullptr) {
    verdict_.fail(node.name() + " commits " + at(index, entry.term) + " without a configuration");
    return;
  }
  committed_.push_back({.entry = entry, .commit_term = commit_term, .config = in_force->config});
  world_.history.note("commit", index.value, entry.term.value, entry.checksum);
  check_majority(node, index);
  if (entry.command == raft::Command::config) {
    const auto place = std::ranges::find(view.configs.all(), index, &PlacedConfig::index);
    const ConfigPtr before = std::exchange(config_, place->config);
    if (before != nullptr) {
      count_change(*before, *config_);
    }
  }
  on_committed_(entry);
}

raft::Term RaftChecker::term_of(const SimNode& node) const {
  const auto view = views_.find(node.place());
  return view == views_.end() ? raft::Term{} : view->second.term;
}

}  // namespace weir::sim
