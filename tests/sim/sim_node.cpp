#include "tests/sim/sim_node.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "raft/check.hpp"
#include "raft/describe.hpp"
#include "tests/sim/checkers/checkers.hpp"

namespace weir::sim {

SimNode::SimNode(World& world, std::size_t place, std::string name, std::vector<std::string> peers, Dice dice)
    : world_(world),
      place_(place),
      name_(std::move(name)),
      id_(wire::node_id(name_)),
      peers_(std::move(peers)),
      dice_(dice),
      clock_(world.timeline),
      port_(*world.network, place),
      image_(std::make_unique<SimDisk>(name_, dice_.number() >> 2U)) {}

broker::NodeConfig SimNode::config() {
  broker::NodeConfig config;
  config.name = name_;
  config.members = peers_;
  config.raft_address = name_ + ":7401";
  config.http_address = name_ + ":7400";
  config.readmission = world_.readmission;
  config.retention = world_.retention;
  config.boot_nonce = dice_.number() >> 2U;
  config.seed = dice_.number();
  // A small cache sends readers and look-ups to the disk.
  config.entry_cache_bytes = dice_.chance(1, 4) ? dice_.between(200, 20'000) : std::size_t{8} << 20U;
  if (dice_.chance(1, 4)) {
    config.pending_requests_max = 2;
  }
  // Small ones, so that there are many checkpoints, and hardly anybody who was away is not too far behind.
  if (dice_.chance(5, 6)) {
    config.checkpoint_bytes = dice_.between(1'000, 20'000);
    config.checkpoint_delta_bytes = dice_.between(1'000, 20'000);
  }
  if (dice_.chance(4, 5)) {
    config.log_entries_kept = dice_.between(0, 15);
  }
  if (dice_.chance(2, 3)) {
    config.dedup_memory_bytes = 1;  // each checkpoint sends its ids to the disk
  }
  config.digest_every_entries = kDigestEvery;
  config.snapshot_piece_bytes = dice_.between(5'000, 150'000);
  world_.adapt(config);
  return config;
}

broker::NodeEvents SimNode::events() {
  return {.raft =
              [this](const raft::Event& event) {
                world_.history.say([&] { return name_ + " " + raft::describe(event); });
                world_.checkers->raft_event(*this, event);
                const auto* changed = std::get_if<raft::RoleChanged>(&event);
                if (changed != nullptr && changed->role == raft::Role::leader) {
                  world_.on_leader(*this);
                }
              },
          .phase =
              [this](broker::Phase phase, const std::string& why) {
                world_.history.note("phase", place_, static_cast<std::uint64_t>(phase));
                world_.history.say([&] { return name_ + " is " + std::string(broker::to_string(phase)) + ": " + why; });
                beware_of(why);
              },
          .notice =
              [this](const std::string& text) {
                world_.history.say([&] { return name_ + " " + text; });
                beware_of(text);
              }};
}

/// Nothing that may go wrong in a run makes replicas differ or brings an old disk back: whoever says so is mistaken.
void SimNode::beware_of(const std::string& text) {
  const bool alarm =
      text.contains("differs from the majority") || text.contains("data differ") || text.contains("older copy");
  if (alarm && world_.settings.mistake == Mistake::none && !world_.alarms_expected) {
    world_.checkers->verdict.fail(name_ + ": " + text);
  }
}

SimDiskThread::Hooks SimNode::disk_hooks() {
  return {.post = [this](Timeline::Task task) { later(0, std::move(task)); },
          .given = [this](const broker::DiskWrite& write) { world_.checkers->given(*this, write); },
          .durable = [this] { world_.checkers->durable(*this); },
          .saved =
              [this](const std::expected<void, storage::Error>& result) {
                ++(result ? world_.history.coverage.checkpoints : world_.history.coverage.failed_saves);
                world_.history.note("save", place_, image_->covered().value);
                world_.checkers->durable(*this);
              },
          .received =
              [this](const std::expected<storage::PieceAnswer, storage::Error>& answer) {
                ++world_.history.coverage.snapshot_pieces;
                world_.history.coverage.snapshots_refused += answer == storage::PieceAnswer::refused ? 1 : 0;
              },
          .moved_ids =
              [this](const std::expected<storage::IdRuns, storage::Error>& runs) {
                ++(runs ? world_.history.coverage.id_moves : world_.history.coverage.failed_id_moves);
              },
          .asked_runs = [this](std::size_t found) { world_.history.coverage.ids_in_runs += found; },
          .read_hollow = [this] { ++world_.history.coverage.hollow_reads; },
          .rewritten =
              [this](std::uint64_t bytes) {
                world_.history.coverage.files_rewritten += bytes > 0 ? 1 : 0;
                world_.history.note("rewrite", place_, image_->hollow_to().value, bytes);
              },
          .steady_us = [this] { return clock_.steady_us(); }};
}

void SimNode::start() {
  WEIR_CHECK(!running());
  ++boot_;
  clock_.set_rate(dice_.chance(1, 30) ? dice_.between(500, 2'000) : dice_.between(990, 1'010));
  auto opened = SimLogStore::open(*image_, name_);
  WEIR_CHECK(opened.has_value());
  store_ = *std::move(opened);
  disk_ = std::make_unique<SimDiskThread>(*store_, *image_, world_.timeline, dice_.split(), world_.settings.mistake,
                                          disk_hooks());
  if (world_.calm_disks) {
    disk_->calm_down();
  }
  auto founding = [this](std::string cluster_id, raft::Entry entry, broker::Disk::WriteDone done) {
    disk_->found(std::move(cluster_id), std::move(entry), std::move(done));
  };
  node_ = std::make_unique<broker::Node>(config(), store_->identity(), store_->recovered(), *disk_, port_, clock_,
                                         std::move(founding), events());
  world_.history.coverage.starts_from_checkpoints += image_->checkpoints().empty() ? 0 : 1;
  world_.history.note("start", place_, boot_);
  world_.history.say([this] {
    return name_ + " starts with " + std::to_string(image_->entries().size()) + " entries, a checkpoint of " +
           std::to_string(image_->covered().value);
  });
  world_.checkers->started(*this);
  later(0, [this] { node_->start(); });
  later(dice_.between(0, 10'000), [this] { tick(); });
  world_.network->started(place_);
}

void SimNode::crash() {
  WEIR_CHECK(running());
  world_.history.coverage.snapshot_crashes += disk_->is_in_snapshot() ? 1 : 0;
  if (disk_->crash()) {
    ++world_.history.coverage.torn_writes;
  }
  node_.reset();
  disk_.reset();
  store_.reset();
  backlog_.clear();
  paused_ = false;
  ++pause_number_;
  world_.history.note("crash", place_, image_->last_index().value);
  world_.history.say([this] {
    return name_ + " crashes with " + std::to_string(image_->entries().size()) + " entries, a checkpoint of " +
           std::to_string(image_->covered().value);
  });
  if (world_.settings.mistake == Mistake::tail_lost && image_->entries().size() > 1) {
    const auto store = *SimLogStore::open(*image_, name_);
    const std::array writes{
        storage::LogWrite{.hard_state = std::nullopt, .truncate_from = image_->last_index(), .entries = {}}};
    static_cast<void>(store->append(writes));
  }
  world_.network->stopped(place_);
}

bool SimNode::ready() const {
  // A member that was removed while it was cut off may never learn why it hears no leader any more.
  constexpr std::uint64_t kSilenceMaxMs = 1'000;
  if (!running()) {
    return false;
  }
  const broker::NodeStatus status = node_->status();
  return status.phase != broker::Phase::forming && status.phase != broker::Phase::waiting &&
         status.leader_silent_ms <= kSilenceMaxMs;
}

void SimNode::wipe() {
  WEIR_CHECK(!running());
  world_.history.note("wipe", place_);
  world_.history.say([this] { return name_ + " loses its disk"; });
  if (world_.settings.mistake == Mistake::wiped_unnoticed && !image_->identity().cluster_id.empty()) {
    const storage::Identity identity = image_->identity();
    const raft::Entry config = image_->founding();
    image_->wipe(identity.incarnation);
    const auto store = *SimLogStore::open(*image_, name_);
    static_cast<void>(store->found(identity.cluster_id, config));
    return;
  }
  lost_.push_back(std::make_unique<SimDisk>(*image_));
  const Loss loss = dice_.chance(1, 2) ? Loss::noticed : Loss::unnoticed;
  image_->wipe(dice_.number() >> 2U, loss);
}

const SimDisk* SimNode::disk_of(std::uint64_t incarnation) const {
  if (this->incarnation() == incarnation) {
    return image_.get();
  }
  const auto lost =
      std::ranges::find(lost_, incarnation, [](const auto& disk) { return disk->identity().incarnation; });
  return lost == lost_.end() ? nullptr : lost->get();
}

void SimNode::set_peers(std::vector<std::string> peers) {
  peers_ = std::move(peers);
  std::ranges::sort(peers_);
}

void SimNode::put_back(const SimDisk& image) {
  WEIR_CHECK(!running() && !image.is_open());
  *image_ = image;
}

void SimNode::pause(std::uint64_t us) {
  paused_ = true;
  world_.history.note("pause", place_, us);
  world_.timeline.after(us, [this, number = ++pause_number_] {
    if (number == pause_number_) {
      resume();
    }
  });
}

void SimNode::resume() {
  if (!std::exchange(paused_, false)) {
    return;
  }
  ++pause_number_;
  for (auto& task : std::exchange(backlog_, {})) {
    run(std::move(task));
  }
}

void SimNode::later(std::uint64_t delay_us, Timeline::Task task) {
  world_.timeline.after(delay_us, [this, boot = boot_, task = std::move(task)]() mutable {
    if (boot != boot_ || !running()) {
      return;
    }
    if (paused_) {
      backlog_.push_back(std::move(task));
    } else {
      run(std::move(task));
    }
  });
}

void SimNode::run(Timeline::Task task) {
  task();
  world_.checkers->after(*this);
}

void SimNode::tick() {
  node_->tick();
  world_.checkers->ticked(*this);
  later(clock_.duration_us(10'000), [this] { tick(); });
}

}  // namespace weir::sim
