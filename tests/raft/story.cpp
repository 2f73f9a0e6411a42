#include "tests/raft/story.hpp"

#include <algorithm>

#include "raft/check.hpp"
#include "raft/describe.hpp"
#include "raft/random.hpp"

namespace weir::raft::test {
namespace {

constexpr std::uint64_t kTickMs = 5;

/// SOURCE.md's times at a tick of 5 ms.
Config config() {
  Config config;
  config.election_ticks_min = 150 / kTickMs;
  config.election_ticks_max = 300 / kTickMs;
  config.heartbeat_ticks = 50 / kTickMs;
  return config;
}

std::uint64_t number(std::istringstream& words) {
  std::uint64_t value = 0;
  WEIR_CHECK(words >> value);
  return value;
}

/// "2=150,*,155": a seed with which this member draws these election timeouts, in ms, one after the other.
std::uint64_t seed_for(const Config& config, std::istringstream wanted) {
  std::vector<std::uint32_t> draws;
  for (std::string ms; std::getline(wanted, ms, ',');) {
    draws.push_back(ms == "*" ? 0 : static_cast<std::uint32_t>(std::stoul(ms) / kTickMs));
  }
  for (std::uint64_t seed = 1;; ++seed) {
    Random random(seed_of_member(seed, config.id.value));
    const bool fits = std::ranges::all_of(draws, [&](std::uint32_t draw) {
      const std::uint32_t drawn = random.between(config.election_ticks_min, config.election_ticks_max);
      return draw == 0 || draw == drawn;
    });
    if (fits) {
      return seed;
    }
  }
}

/// Data that says something; the rest is a filler (cluster.hpp, entry).
bool tells(const Entry& entry) {
  return !entry.data.empty() && entry.data.view().front() != 'x';
}

std::string name_of(NodeId id) {
  return std::to_string(id.value);
}

}  // namespace

const std::map<std::string, Story::Command>& Story::commands() {
  static const std::map<std::string, Command> all{
      {"cluster", &Story::do_cluster},     {"log", &Story::do_log},           {"term", &Story::do_term},
      {"start", &Story::do_start},         {"tick", &Story::do_tick},         {"quietly", &Story::do_quietly},
      {"silently", &Story::do_silently},   {"wait", &Story::do_wait},         {"watch", &Story::do_watch},
      {"campaign", &Story::do_campaign},   {"beat", &Story::do_beat},         {"propose", &Story::do_propose},
      {"deliver", &Story::do_deliver},     {"drop", &Story::do_drop},         {"repeat", &Story::do_repeat},
      {"remember", &Story::do_remember},   {"cut", &Story::do_cut},           {"isolate", &Story::do_isolate},
      {"split", &Story::do_split},         {"heal", &Story::do_heal},         {"crash", &Story::do_crash},
      {"hold-disk", &Story::do_hold_disk}, {"flush", &Story::do_flush},       {"free-disk", &Story::do_free_disk},
      {"stall", &Story::do_stall},         {"unstall", &Story::do_unstall},   {"read", &Story::do_read},
      {"transfer", &Story::do_transfer},   {"logs", &Story::do_logs},         {"describe", &Story::do_describe},
      {"change", &Story::do_change},       {"snapshot", &Story::do_snapshot},
  };
  return all;
}

std::vector<std::string> Story::execute(const std::string& command) {
  Words words(command);
  std::string name;
  words >> name;
  const auto found = commands().find(name);
  if (found == commands().end() || (cluster_ == nullptr && name != "cluster")) {
    return {"? " + name};
  }
  lines_.clear();
  (this->*found->second)(words);
  if (checker_ && !checker_->violations().empty()) {
    violations_ = checker_->violations();
  }
  return lines_;
}

/// The checker looks on as well: a story may be wrong in its comments, never in what it shows.
void Story::watch() {
  Watcher& watcher = cluster_->watcher;
  watcher.on_event = [this, check = watcher.on_event](NodeId id, const Event& event) {
    check(id, event);
    say(name_of(id) + " " + describe(event));
  };
  watcher.on_output = [this, check = watcher.on_output](NodeId id, const Output& output) {
    check(id, output);
    Index& known = commit_index_[id];
    const Index commit = cluster_->raft(id.value).commit_index();
    if (commit > known) {
      say(name_of(id) + " knows that " + std::to_string(commit.value) + " is committed");
    }
    known = commit;
    for (const ReadState& read : output.read_states) {
      say(name_of(id) + " may read " + std::to_string(read.context.sequence) + " once it has applied " +
          std::to_string(read.index.value));
    }
    for (const ReadRefused& read : output.reads_refused) {
      say(name_of(id) + " refuses read " + std::to_string(read.context.sequence));
    }
  };
  watcher.on_durable = [this, check = watcher.on_durable](NodeId id, const Turn& turn) {
    check(id, turn);
    say_durable(id, turn);
  };
  watcher.on_apply = [this, check = watcher.on_apply](NodeId id, const Entry& entry) {
    check(id, entry);
    say_applied(id, entry);
  };
  watcher.on_deliver = [this](const Message& message, bool arrives) {
    if (arrives) {
      last_arrived_.insert_or_assign({message.from, message.to}, message);
    }
    if (messages_shown_) {
      say(describe(message) + (arrives ? "" : ": lost"));
    }
  };
}

void Story::say_durable(NodeId id, const Turn& turn) {
  std::string line = name_of(id) + " has on disk:";
  if (turn.hard_state) {
    line += " term " + std::to_string(turn.hard_state->current_term.value) + " vote " +
            (turn.hard_state->voted_for == kNobody ? "none" : name_of(turn.hard_state->voted_for));
  }
  if (turn.install) {
    line += " the snapshot of " + std::to_string(turn.install->index.value);
  }
  if (turn.truncate_from) {
    line += " nothing from " + std::to_string(turn.truncate_from->value) + " on, then";
  }
  for (const Entry& each : turn.append) {
    line += " " + std::to_string(each.index.value) + "@" + std::to_string(each.term.value);
  }
  if (turn.writes()) {
    say(line);
  }
}

/// Several in a row go on one line.
void Story::say_applied(NodeId id, const Entry& entry) {
  const std::string start = name_of(id) + " applies ";
  if (lines_.empty() || !lines_.back().starts_with(start)) {
    return say(start + describe(entry));
  }
  lines_.back() += ", " + describe(entry);
}

// --- the cluster before it starts

void Story::do_cluster(Words& words) {
  const std::size_t size = number(words);
  std::size_t founders = size;
  if (words.peek() == '/') {
    words.get();
    founders = number(words);
  }
  checker_.reset();
  commit_index_.clear();
  last_arrived_.clear();
  remembered_.clear();
  now_ms_ = 0;
  cluster_ = std::make_unique<Cluster>(size, config(), founders);
  checker_ = std::make_unique<Checker>(*cluster_);
  watch();
  std::string word;
  while (words >> word) {
    if (word == "short-messages") {
      for (const NodeId id : cluster_->ids()) {
        cluster_->member(id.value).config.append_bytes_max = 1;
      }
    }
    if (const std::size_t equals = word.find('='); equals != std::string::npos) {
      Config& of = cluster_->member(std::stoull(word)).config;
      of.seed = seed_for(of, Words(word.substr(equals + 1)));
    }
  }
}

void Story::do_log(Words& words) {
  Disk& disk = cluster_->member(number(words)).disk;
  std::vector<std::uint64_t> terms;
  for (std::uint64_t term = 0; words >> term;) {
    terms.push_back(term);
  }
  disk.log = log_of(terms);
  disk.hard_state.current_term = disk.term_at(disk.last_index());
}

void Story::do_term(Words& words) {
  Disk& disk = cluster_->member(number(words)).disk;
  disk.hard_state = {.current_term = Term{number(words)}, .voted_for = kNobody};
}

void Story::do_start(Words& words) {
  std::uint64_t id = 0;
  if (words >> id) {
    cluster_->start(id);
    return;
  }
  cluster_->start_all();
}

// --- time

void Story::pass_time(std::size_t ms, const std::function<void()>& tick) {
  for (std::size_t passed = 0; passed < ms; passed += kTickMs) {
    now_ms_ += kTickMs;
    const std::size_t before = lines_.size();
    tick();
    if (lines_.size() > before) {
      lines_.insert(lines_.begin() + static_cast<std::ptrdiff_t>(before), "at " + std::to_string(now_ms_) + " ms:");
    }
  }
}

void Story::do_tick(Words& words) {
  pass_time(number(words), [this] {
    for (const NodeId id : cluster_->ids()) {
      cluster_->tick(id.value);
    }
  });
}

void Story::do_watch(Words& words) {
  pass_time(number(words), [this] { cluster_->run(1); });
}

void Story::do_wait(Words& words) {
  messages_shown_ = false;
  do_watch(words);
  messages_shown_ = true;
}

void Story::do_quietly(Words& words) {
  std::string command;
  words >> command;
  messages_shown_ = false;
  (this->*commands().at(command))(words);
  messages_shown_ = true;
}

void Story::do_silently(Words& words) {
  const std::vector<std::string> said = lines_;
  do_quietly(words);
  lines_ = said;
}

void Story::do_campaign(Words& words) {
  const std::uint64_t id = number(words);
  const std::uint32_t ticks = cluster_->raft(id).election_ticks_left();
  for (std::uint32_t i = 0; i < std::max(ticks, 1U); ++i) {
    cluster_->tick(id);
  }
}

void Story::do_beat(Words& words) {
  const std::uint64_t id = number(words);
  const std::size_t sent = cluster_->network().size();
  while (cluster_->network().size() == sent && cluster_->raft(id).role() == Role::leader) {
    cluster_->tick(id);
  }
}

// --- entries and messages

void Story::do_propose(Words& words) {
  const std::uint64_t id = number(words);
  std::string data;
  std::getline(words >> std::ws, data);
  const auto index = cluster_->propose(id, data);
  if (index) {
    say("entry " + std::to_string(index->value) + " of term " +
        std::to_string(cluster_->raft(id).current_term().value));
  } else {
    say(index.error() == ProposeError::not_leader ? "refused: not the leader" : "refused: overloaded");
  }
}

void Story::deliver_where(const std::function<bool(const Message&)>& wanted, std::size_t count_max) {
  const auto under_way = static_cast<std::size_t>(std::ranges::count_if(cluster_->network(), wanted));
  for (std::size_t i = 0; i < std::min(under_way, count_max); ++i) {
    const auto next = std::ranges::find_if(cluster_->network(), wanted);
    cluster_->deliver(static_cast<std::size_t>(next - cluster_->network().begin()));
  }
}

void Story::do_deliver(Words& words) {
  std::string first;
  if (!(words >> first)) {
    return cluster_->settle();
  }
  if (first == "once") {
    return deliver_where([](const Message&) { return true; });
  }
  const NodeId from{std::stoull(first)};
  const NodeId to{number(words)};
  std::size_t count = 0;
  words >> count;
  deliver_where([&](const Message& message) { return message.from == from && message.to == to; },
                count == 0 ? SIZE_MAX : count);
}

void Story::do_drop(Words& words) {
  const NodeId from{number(words)};
  const NodeId to{number(words)};
  std::erase_if(cluster_->network(), [&](const Message& message) {
    const bool dropped = message.from == from && message.to == to;
    if (dropped && messages_shown_) {
      say(describe(message) + ": lost");
    }
    return dropped;
  });
}

void Story::do_remember(Words& words) {
  const NodeId from{number(words)};
  const NodeId to{number(words)};
  remembered_.insert_or_assign({from, to}, last_arrived_.at({from, to}));
}

void Story::do_repeat(Words& words) {
  const NodeId from{number(words)};
  const NodeId to{number(words)};
  const auto kept = remembered_.find({from, to});
  cluster_->network().push_back(kept == remembered_.end() ? last_arrived_.at({from, to}) : kept->second);
}

void Story::do_cut(Words& words) {
  const std::uint64_t from = number(words);
  cluster_->cut(from, number(words));
}

void Story::do_isolate(Words& words) {
  cluster_->isolate(number(words));
}

void Story::do_split(Words& words) {
  std::vector<std::vector<std::uint64_t>> sides(1);
  for (std::string word; words >> word;) {
    if (word == "/") {
      sides.emplace_back();
    } else {
      sides.back().push_back(std::stoull(word));
    }
  }
  cluster_->split(sides);
}

void Story::do_heal(Words&) {
  cluster_->heal();
}

// --- power and disks

void Story::do_crash(Words& words) {
  const std::uint64_t id = number(words);
  cluster_->crash(id);
  commit_index_.erase(NodeId{id});
}

void Story::do_hold_disk(Words& words) {
  cluster_->member(number(words)).disk_is_held = true;
}

void Story::do_flush(Words& words) {
  cluster_->flush(number(words));
}

void Story::do_free_disk(Words& words) {
  const std::uint64_t id = number(words);
  cluster_->member(id).disk_is_held = false;
  cluster_->flush(id);
}

void Story::do_stall(Words& words) {
  cluster_->act(number(words), [](Raft& raft) { raft.disk_health(DiskHealth::stalled); });
}

void Story::do_unstall(Words& words) {
  cluster_->act(number(words), [](Raft& raft) { raft.disk_health(DiskHealth::flowing); });
}

// --- what a client asks, and what people look at

void Story::do_read(Words& words) {
  const std::uint64_t id = number(words);
  const ReadContext context{.node = NodeId{id}, .boot_nonce = 1, .sequence = ++reads_};
  checker_->read_asked(context);
  cluster_->act(id, [&](Raft& raft) { raft.read_index(context); });
}

void Story::do_transfer(Words& words) {
  const std::uint64_t id = number(words);
  std::uint64_t to = 0;
  words >> to;
  cluster_->act(id, [&](Raft& raft) { raft.transfer_leadership(NodeId{to}); });
}

void Story::do_change(Words& words) {
  const std::uint64_t id = number(words);
  Configuration configuration;
  std::vector<NodeId>* members = &configuration.voters;
  for (std::string word; words >> word;) {
    if (word == "/") {
      members = &configuration.learners;
    } else {
      members->emplace_back(std::stoull(word));
    }
  }
  const auto index = cluster_->change(id, configuration);
  say(index ? "entry " + std::to_string(index->value) : "refused: " + std::string(to_string(index.error())));
}

void Story::do_snapshot(Words& words) {
  cluster_->take_snapshot(number(words));
}

std::string Story::picture_of(const Member& member) const {
  if (!member.raft) {
    return "down";
  }
  const Raft& raft = *member.raft;
  std::string line(to_string(raft.role()));
  line.resize(14, ' ');
  line += "term " + std::to_string(raft.current_term().value) + "  [";
  if (raft.first_index() > Index{1}) {
    line += "snapshot of " + std::to_string(raft.first_index().value - 1);
  }
  for (Index index = raft.first_index(); index <= raft.last_index(); index = index.next()) {
    line += (line.back() == '[' ? "" : " ") + std::to_string(raft.term_at(index).value);
    std::vector<Entry> found = raft.tail(index, index, 1);
    if (found.empty()) {
      found.push_back(member.disk.at(index));  // what is not in memory is on disk
    }
    line += tells(found.front()) ? ":" + std::string(found.front().data.view()) : "";
    line += index == raft.commit_index() ? "]" : "";
  }
  return line + (raft.commit_index() == Index{} ? "]" : "");
}

void Story::do_logs(Words&) {
  for (const NodeId id : cluster_->ids()) {
    say(name_of(id) + "  " + picture_of(cluster_->member(id.value)));
  }
}

void Story::do_describe(Words& words) {
  say(cluster_->raft(number(words)).describe());
}

}  // namespace weir::raft::test
