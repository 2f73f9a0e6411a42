#include "tests/sim/workload/operator.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "tests/sim/checkers/checkers.hpp"
#include "tests/sim/sim_node.hpp"

namespace weir::sim {
namespace {

using broker::ChangeRefusalKind;
using broker::MemberAction;
using broker::MemberStatus;
using wire::MemberKind;

constexpr std::array<std::uint32_t, 4> kPausesMaxMs{400, 1'500, 4'000, 15'000};
/// Then the wish is given up: another leader may know better.
constexpr std::uint32_t kAttemptsMax = 12;
/// A node that is to be added and is not heard so often gets other peers.
constexpr std::uint32_t kUnheardMax = 3;

[[nodiscard]] const MemberStatus* find(const std::vector<MemberStatus>& members, const std::string& name) {
  const auto place = std::ranges::find(members, name, &MemberStatus::name);
  return place == members.end() ? nullptr : &*place;
}

[[nodiscard]] std::size_t voter_count(const std::vector<MemberStatus>& members) {
  return static_cast<std::size_t>(std::ranges::count(members, MemberKind::voter, &MemberStatus::kind));
}

}  // namespace

Operator::Operator(World& world, std::size_t founder_count, Dice dice)
    : world_(world),
      dice_(dice),
      pause_max_ms_(kPausesMaxMs[dice_.below(kPausesMaxMs.size())]),
      voters_min_(founder_count < 3 ? 1 : 3),
      voters_max_(std::max<std::size_t>(founder_count, 5)),
      call_(world, {.broken = [this] { ++wish_->attempts; }, .text = [] { return "a change of the members"; }}) {}

SimNode* Operator::find(const std::string& name) const {
  const auto place = std::ranges::find(world_.nodes, name, [](const auto& node) { return node->name(); });
  return place == world_.nodes.end() ? nullptr : place->get();
}

/// Any that thinks it is one: in a split that may be the wrong one.
SimNode* Operator::leader() {
  std::vector<SimNode*> leaders;
  for (const auto& node : world_.nodes) {
    if (node->running() && node->node().status().role == raft::Role::leader) {
      leaders.push_back(node.get());
    }
  }
  return leaders.empty() ? nullptr : leaders[dice_.below(leaders.size())];
}

void Operator::look_again() {
  const bool hurries = healed_ || wish_;
  const std::uint64_t pause_ms = hurries ? dice_.between(30, 300) : dice_.between(30, pause_max_ms_);
  world_.timeline.after(pause_ms * kMillisecond, [this] {
    if (!call_.open()) {
      attempt();
    }
    look_again();
  });
}

void Operator::choose() {
  if (healed_) {
    wish_ = next_repair();
    return;
  }
  if (SimNode* node = leader()) {
    wish_ = draw(node->node().status().members);
  }
}

std::optional<Operator::Wish> Operator::draw(const std::vector<MemberStatus>& members) {
  std::vector<std::string> absent;
  for (const auto& node : world_.nodes) {
    if (sim::find(members, node->name()) == nullptr) {
      absent.push_back(node->name());
    }
  }
  const std::size_t voters = voter_count(members);
  const std::size_t kind = dice_.below(100);
  if (kind < 12) {
    const std::string to = dice_.chance(1, 2) ? std::string() : members[dice_.below(members.size())].name;
    return Wish{.change = {.action = MemberAction::add, .node = to}, .transfer = true};
  }
  if (kind < 25) {
    const auto learner = std::ranges::find(members, MemberKind::learner, &MemberStatus::kind);
    if (learner != members.end()) {
      return Wish{.change = {.action = MemberAction::promote, .node = learner->name}};
    }
  }
  const bool grows = voters <= voters_min_ || (voters < voters_max_ && kind < 62);
  if (grows && !absent.empty()) {
    const auto action = dice_.chance(1, 6) ? MemberAction::add_learner : MemberAction::add;
    return Wish{.change = {.action = action, .node = absent[dice_.below(absent.size())]}};
  }
  if (voters > voters_min_) {
    return Wish{.change = {.action = MemberAction::remove, .node = members[dice_.below(members.size())].name}};
  }
  return std::nullopt;
}

/// Where nobody brings back a member that lost its disk, the operator takes it out and adds it again. Everywhere, if a
/// leader that had not heard of the loss was told to add it: then the life that is named is over, and the one that is
/// there is not empty any more (it was let in before).
std::optional<Operator::Wish> Operator::next_repair() const {
  const ConfigPtr config = world_.checkers->raft.config();
  if (config == nullptr) {
    return std::nullopt;
  }
  const bool automatic = world_.readmission == broker::Readmission::automatic;
  for (const auto& member : config->members) {
    const SimNode* node = find(member.name);
    const bool comes_back = automatic && (node->is_empty() || member.kind == MemberKind::awaited);
    if (node->incarnation() != member.incarnation && !comes_back) {
      return Wish{.change = {.action = MemberAction::remove, .node = member.name}};
    }
  }
  return std::nullopt;
}

/// Of the voters that are left, more than half have their disks.
bool Operator::is_safe(const Wish& wish, const std::vector<MemberStatus>& members) const {
  if (wish.transfer || wish.change.action != MemberAction::remove) {
    return true;
  }
  std::size_t voters = 0;
  std::size_t lost = 0;
  for (const auto& member : members) {
    if (member.kind == MemberKind::voter && member.name != wish.change.node) {
      ++voters;
      lost += find(member.name)->incarnation() != member.incarnation ? 1U : 0U;
    }
  }
  return lost * 2 < voters;
}

void Operator::elected(SimNode& node) {
  if (healed_ || call_.open() || !dice_.chance(1, 3)) {
    return;
  }
  world_.timeline.after(dice_.between(0, 3'000), [this, &node, boot = node.boot()] {
    if (healed_ || call_.open() || !node.running() || node.boot() != boot) {
      return;
    }
    if (!wish_) {
      wish_ = draw(node.node().status().members);
      if (!wish_) {
        return;
      }
    }
    submit(node);
  });
}

void Operator::attempt() {
  if (!wish_) {
    choose();
  }
  SimNode* node = dice_.chance(1, 20) ? world_.nodes[dice_.below(world_.nodes.size())].get() : leader();
  if (wish_ && node != nullptr && node->running()) {
    submit(*node);
  }
}

void Operator::submit(SimNode& node) {
  const std::uint64_t number = call_.begin(node, dice_.between(200, 3'000));
  node.later(dice_.between(0, 500), [this, &node, number] {
    if (!call_.is_latest(number)) {
      return;
    }
    if (wish_->transfer) {
      return transfer(node);
    }
    if (!is_safe(*wish_, node.node().status().members)) {
      call_.end();
      return wish_.reset();
    }
    world_.history.note("change", node.place(), static_cast<std::uint64_t>(wish_->change.action), wish_->attempts);
    world_.history.say([&] {
      static constexpr const char* kActions[] = {"", "add", "add as a learner", "promote", "remove"};
      return "operator asks " + node.name() + " to " + kActions[static_cast<std::size_t>(wish_->change.action)] + " " +
             wish_->change.node;
    });
    node.node().change_members(wish_->change, call_.timeout_ms(),
                               [this, &node, number](const Answer& answer) { answered(node, number, answer); });
  });
}

void Operator::transfer(SimNode& node) {
  const auto asked = node.node().transfer_leadership(wish_->change.node);
  world_.history.note("transfer", node.place(), asked.has_value() ? 1 : 0);
  world_.history.coverage.transfers += asked.has_value() ? 1U : 0U;
  call_.end();
  wish_.reset();
}

void Operator::answered(SimNode& node, std::uint64_t number, const Answer& answer) {
  if (!call_.open(number)) {
    return world_.checkers->verdict.fail("a change of the members is answered twice");
  }
  world_.history.note("changed", answer ? answer->value : 0,
                      answer ? 0 : static_cast<std::uint64_t>(answer.error().kind));
  world_.history.say([&] {
    return node.name() + " answers the operator: " +
           (answer ? "done, entry " + std::to_string(answer->value) : answer.error().detail);
  });
  call_.end();
  if (answer) {
    // What was committed in this very event is known to the checkers behind it.
    world_.timeline.after(0, [this, change = wish_->change, index = *answer] { check_done(change, index); });
    wish_.reset();
  } else {
    refused(answer.error());
  }
}

void Operator::refused(const broker::ChangeRefusal& refusal) {
  ++world_.history.coverage.refused_changes;
  ++wish_->attempts;
  if (refusal.kind == ChangeRefusalKind::no_member || refusal.kind == ChangeRefusalKind::conflict ||
      wish_->attempts > kAttemptsMax) {
    return wish_.reset();
  }
  if (refusal.kind == ChangeRefusalKind::not_connected && ++wish_->unheard >= kUnheardMax) {
    wish_->unheard = 0;
    start_empty();
  }
}

/// What is told as done is committed, and is what was asked for.
void Operator::check_done(const broker::MemberChange& change, raft::Index index) {
  const auto& raft = world_.checkers->raft;
  const std::string what =
      "the operator is told that entry " + std::to_string(index.value) + " changed '" + change.node + "', and ";
  if (index.value > raft.committed_count() || raft.committed(index).command != raft::Command::config) {
    return world_.checkers->verdict.fail(what + "it is not committed");
  }
  const auto config = wire::decode_config(raft.committed(index).data);
  const auto* member = find_member(*config, wire::node_id(change.node));
  const MemberAction action = change.action;
  const bool right = action == MemberAction::remove    ? member == nullptr
                     : action == MemberAction::promote ? member != nullptr && member->kind == MemberKind::voter
                     : action == MemberAction::add     ? member != nullptr && member->kind == MemberKind::joining
                                                       : member != nullptr && member->kind == MemberKind::learner;
  if (!right) {
    world_.checkers->verdict.fail(what + "it does not");
  }
}

void Operator::start_empty() {
  SimNode& node = *find(wish_->change.node);
  const ConfigPtr config = world_.checkers->raft.config();
  if (config == nullptr || world_.checkers->raft.is_named(node)) {
    return;
  }
  std::vector<std::string> peers{node.name()};
  for (const auto& member : config->members) {
    peers.push_back(member.name);
  }
  if (node.running()) {
    node.crash();
  }
  if (!node.is_empty()) {
    node.wipe();
  }
  node.set_peers(std::move(peers));
  node.start();
}

}  // namespace weir::sim
