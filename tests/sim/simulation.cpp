#include "tests/sim/simulation.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "raft/check.hpp"
#include "tests/sim/checkers/checkers.hpp"
#include "tests/sim/sim_network.hpp"
#include "tests/sim/sim_node.hpp"

namespace weir::sim {
namespace {

/// Healed, a cluster must have stored all the events that are asked for within so much virtual time: there must be
/// progress, not only peace.
constexpr std::uint64_t kProgressUs = 240 * kSecond;
/// And once the clients have stopped, it must have come together within so much.
constexpr std::uint64_t kHealedUs = 60 * kSecond;
/// Enough that they want the same positions.
constexpr std::size_t kWorkers = 3;

[[nodiscard]] std::size_t draw_founder_count(Dice& dice) {
  constexpr std::array<std::size_t, 10> kCounts{3, 3, 3, 3, 3, 5, 5, 7, 2, 1};
  return kCounts[dice.below(kCounts.size())];
}

/// Nodes that can be added.
[[nodiscard]] std::size_t spare_count_of(std::size_t founder_count) {
  return founder_count < 3 ? 3 : founder_count < 7 ? 2 : 1;
}

/// Small limits, so that much goes while it is still asked for; half of the runs keep everything.
[[nodiscard]] broker::RetentionLimits draw_retention(Dice& dice) {
  if (dice.chance(1, 2)) {
    return {};
  }
  return {.age_ms = dice.chance(1, 2) ? dice.between(1'000, 15'000) : 0U,
          .bytes = dice.chance(1, 3) ? dice.between(2'000, 40'000) : 0U,
          .count = dice.chance(1, 2) ? dice.between(20, 800) : 0U};
}

[[nodiscard]] broker::Selector selector_of(std::initializer_list<const char*> patterns) {
  broker::Selector selector;
  for (const char* text : patterns) {
    auto pattern = broker::Pattern::parse(text);
    WEIR_CHECK(pattern.has_value());
    selector.patterns.push_back(*std::move(pattern));
  }
  return selector;
}

}  // namespace

Simulation::Simulation(const Settings& settings)
    : dice_(settings.seed),
      founder_count_(draw_founder_count(dice_)),
      world_(settings, founder_count_, dice_.split(), spare_count_of(founder_count_)),
      maker_(world_.checkers->model, dice_.split()),
      faults_(world_, dice_.split()),
      operator_(world_, founder_count_, dice_.split()),
      look_ups_(world_, maker_, dice_.split()) {
  world_.readmission = dice_.chance(4, 5) ? broker::Readmission::automatic : broker::Readmission::by_hand;
  world_.retention = draw_retention(dice_);
  world_.on_leader = [this](SimNode& node) {
    faults_.elected(node);
    operator_.elected(node);
  };
  draw_clients();
}

void Simulation::draw_clients() {
  const std::size_t publishers = 3 + dice_.below(4);
  for (std::size_t i = 0; i < publishers; ++i) {
    publishers_.push_back(std::make_unique<Publisher>(world_, maker_, dice_.split()));
  }
  const std::array selectors{selector_of({"**"}), selector_of({"b"}), selector_of({"a/*"}),
                             selector_of({"a/2", "c/**"}), selector_of({"c/+/y", "b"})};
  for (std::size_t i = 0; i < selectors.size(); ++i) {
    subscribers_.push_back(
        std::make_unique<Subscriber>(world_, "s" + std::to_string(i + 1), selectors[i], dice_.split()));
  }
  for (std::size_t i = 0; i < kWorkers; ++i) {
    workers_.push_back(std::make_unique<Worker>(world_, dice_.split()));
  }
}

Result Simulation::run() {
  world_.history.note("seed", world_.settings.seed, world_.nodes.size());
  for (const auto& node : world_.nodes) {
    if (dice_.chance(1, 3)) {
      node->clock().set_wall(static_cast<std::int64_t>(dice_.between(0, 4'000)) - 2'000);
    }
    node->set_entries_in_use(dice_.chance(1, 2) ? dice_.between(1, 40) : 0);
    world_.timeline.after(dice_.between(0, 300) * kMillisecond, [&node] { node->running() ? void() : node->start(); });
  }
  for (const auto& publisher : publishers_) {
    publisher->start();
  }
  for (const auto& subscriber : subscribers_) {
    subscriber->start();
  }
  for (const auto& worker : workers_) {
    worker->start();
  }
  look_ups_.start();
  operator_.start();
  if (dice_.chance(1, 2)) {
    change_dedup();
  }
  run_faults();
  if (world_.checkers->verdict.holds()) {
    run_healed();
  }
  return {.seed = world_.settings.seed,
          .violation = world_.checkers->verdict.violation(),
          .hash = world_.history.hash(),
          .tasks = world_.timeline.tasks_run(),
          .virtual_us = world_.timeline.now_us(),
          .events = world_.checkers->model.events().size(),
          .coverage = world_.history.coverage};
}

/// Now and then a topic is told to remember ids forever, or no longer. Whether it comes to that nobody waits for.
void Simulation::change_dedup() {
  if (world_.timeline.now_us() >= world_.settings.faults_us) {
    return;
  }
  world_.timeline.after(dice_.between(100, 8'000) * kMillisecond, [this] {
    const auto& node = world_.nodes[dice_.below(world_.nodes.size())];
    const auto kind = dice_.chance(4, 5) ? wire::Setting::Kind::forever : wire::Setting::Kind::unset;
    const wire::TopicChange change{
        .topic = dice_.chance(1, 2) ? "b" : "c/x/y",
        .action = wire::TopicAction::put,
        .settings = {.age_ms = {}, .bytes = {}, .count = {}, .dedup_ms = {.kind = kind, .value = 0}}};
    if (node->running()) {
      node->later(0, [&node, change] { node->node().change_topic(change, 1'000, [](const wire::Outcome&) {}); });
    }
    change_dedup();
  });
}

void Simulation::run_faults() {
  faults_.start();
  while (world_.checkers->verdict.holds() && world_.timeline.now_us() < world_.settings.faults_us) {
    world_.timeline.run_next();
  }
}

bool Simulation::is_long_enough() const {
  return world_.timeline.now_us() >= world_.settings.whole_us &&
         world_.checkers->model.events().size() >= world_.settings.events;
}

void Simulation::run_healed() {
  world_.history.note("heal");
  world_.history.say([] { return std::string("--- healed"); });
  faults_.heal();
  operator_.heal();
  Verdict& verdict = world_.checkers->verdict;
  const std::uint64_t healed_us = world_.timeline.now_us();
  while (verdict.holds() && !is_long_enough()) {
    world_.timeline.run_next();
    if (world_.timeline.now_us() > std::max(healed_us + kProgressUs, world_.settings.whole_us)) {
      verdict.fail("no progress after the healing: " + what_is_missing());
    }
  }
  for (const auto& publisher : publishers_) {
    publisher->retire();
  }
  for (const auto& worker : workers_) {
    worker->retire();
  }
  come_together();
  read_everything();
  // Time went on: retention and comparisons of digests go on without clients.
  come_together();
  check_end();
}

void Simulation::come_together() {
  Verdict& verdict = world_.checkers->verdict;
  const std::uint64_t begun_us = world_.timeline.now_us();
  while (verdict.holds() && !what_is_missing().empty()) {
    world_.timeline.run_next();
    if (world_.timeline.now_us() > begun_us + kHealedUs) {
      verdict.fail("not together again after the healing: " + what_is_missing());
    }
  }
}

std::string Simulation::what_is_missing() const {
  for (const auto& publisher : publishers_) {
    if (!publisher->idle()) {
      return publisher->text();
    }
  }
  if (!std::ranges::all_of(workers_, &Worker::idle)) {
    return "a worker waits for an answer";
  }
  if (auto missing = missing_of_members(); !missing.empty()) {
    return missing;
  }
  const raft::Position last{world_.checkers->model.events().size()};
  for (const auto& subscriber : subscribers_) {
    if (subscriber->cursor() != last) {
      return "reader " + subscriber->name() + " at " + std::to_string(subscriber->cursor().value) + " of " +
             std::to_string(last.value);
    }
  }
  return {};
}

bool Simulation::is_member(const SimNode& node) const {
  const ConfigPtr config = world_.checkers->raft.config();
  return config != nullptr && find_member(*config, node.id()) != nullptr;
}

/// Members have the same log and go by the same configuration; nobody waits any more to become a voter.
std::string Simulation::missing_of_members() const {
  const raft::Index committed{world_.checkers->raft.committed_count()};
  if (!operator_.idle()) {
    return "the operator has something to mend";
  }
  for (const auto& node : world_.nodes) {
    if (!is_member(*node)) {
      continue;
    }
    const broker::NodeStatus status = node->node().status();
    const bool even = status.applied_index == committed && status.last_index == committed;
    if (status.phase != broker::Phase::running || !even) {
      return node->name() + " is " + std::string(broker::to_string(status.phase)) + " (" + status.why +
             "), last entry " + std::to_string(status.last_index.value) + ", applied " +
             std::to_string(status.applied_index.value) + " of " + std::to_string(committed.value);
    }
    for (const auto& member : status.members) {
      if (member.kind == wire::MemberKind::joining || member.kind == wire::MemberKind::awaited) {
        return member.name + " is no voter yet in the eyes of " + node->name();
      }
    }
  }
  return {};
}

/// Every member serves the same log, from the first event to the last.
void Simulation::read_everything() {
  for (const auto& node : world_.nodes) {
    if (is_member(*node) && node->running()) {
      ++open_reads_;
      node->later(0, [this, &node] { read_on(*node, {}); });
    }
  }
  while (world_.checkers->verdict.holds() && open_reads_ > 0) {
    world_.timeline.run_next();
  }
}

void Simulation::read_on(SimNode& node, broker::ReadState from) {
  broker::ReadLimits limits;
  limits.events_max = 1 + dice_.below(200);
  const auto everything = selector_of({"**"});
  node.node().read(everything, from, limits, [this, &node, everything, from](auto batch) {
    if (!batch) {
      world_.checkers->verdict.fail(node.name() + " cannot be read after the healing");
      return;
    }
    world_.checkers->readers.read("everything of " + node.name(), everything, from, *batch,
                                  node.node().status().applied_index);
    if (!batch->up_to_date) {
      return node.later(0, [this, &node, next = batch->next] { read_on(node, next); });
    }
    if (batch->next.after.value != world_.checkers->model.events().size()) {
      world_.checkers->verdict.fail(node.name() + " ends at position " + std::to_string(batch->next.after.value));
    }
    --open_reads_;
  });
}

void Simulation::check_end() {
  world_.checkers->clients.finish();
  const auto& model = world_.checkers->model;
  for (const auto& node : world_.nodes) {
    if (!is_member(*node) || !node->running()) {
      continue;
    }
    const auto topics = node->node().topics();
    const bool same = std::ranges::all_of(topics, [&model](const broker::TopicInfo& topic) {
      return topic.first_offset.value == model.first_offset(topic.name) &&
             topic.next_offset.value == model.next_offset(topic.name);
    });
    if (!same || topics.size() != model.topic_count()) {
      world_.checkers->verdict.fail("the topics of " + node->name() + " are not the model's");
    }
  }
  world_.history.note("end", model.events().size(), world_.checkers->raft.committed_count());
}

Result simulate(const Settings& settings) {
  return Simulation(settings).run();
}

}  // namespace weir::sim
