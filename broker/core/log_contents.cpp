#include "broker/core/log_contents.hpp"

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "broker/core/checkpoints.hpp"
#include "broker/core/decoded_entry.hpp"
#include "broker/core/digest.hpp"
#include "broker/core/state_machine.hpp"
#include "raft/check.hpp"

namespace weir::broker {
namespace {

constexpr std::size_t kReadBytes = std::size_t{4} << 20U;
/// Entries that are looked up again for their ids.
constexpr std::size_t kCacheBytes = std::size_t{32} << 20U;

/// The checkpoints of a store, for whoever takes them from a Disk; nothing else of one.
class CheckpointDisk final : public Disk {
 public:
  explicit CheckpointDisk(storage::LogStore& store) : store_(store) {}
  /// Until nothing is left to do.
  void run() {
    while (!tasks_.empty()) {
      auto task = std::move(tasks_.front());
      tasks_.pop_front();
      task();
    }
  }

  [[nodiscard]] std::vector<raft::Index> checkpoints() const override { return store_.checkpoints(); }
  void checkpoint(raft::Index index, CheckpointDone done) override {
    tasks_.emplace_back([this, index, done = std::move(done)]() mutable { done(store_.checkpoint(index)); });
  }
  [[nodiscard]] storage::IdRuns id_runs() const override { return store_.id_runs(); }
  [[nodiscard]] raft::Index snapshot_index() const override { return store_.snapshot_index(); }
  [[nodiscard]] raft::Index first_index() const override { return store_.first_index(); }
  void write(DiskWrite /*write*/, WriteDone /*done*/) override { refuse(); }
  void read(raft::Index /*first*/, raft::Index /*last*/, std::size_t /*bytes_max*/, ReadDone /*done*/) override {
    refuse();
  }
  void save(storage::Checkpoint /*checkpoint*/, WriteDone /*done*/) override { refuse(); }
  void move_ids(raft::Index /*up_to*/, storage::IdsOf /*ids_of*/, IdRunsDone /*done*/) override { refuse(); }
  void find_ids(storage::IdRuns /*runs*/, std::vector<storage::IdKey> /*keys*/, PlacesDone /*done*/) override {
    refuse();
  }
  void read_snapshot(std::uint64_t /*number*/, std::uint64_t /*offset*/, std::size_t /*bytes_max*/,
                     SnapshotDone /*done*/) override {
    refuse();
  }
  void receive(raft::SnapshotPiece /*piece*/, PieceDone /*done*/) override { refuse(); }
  void drop_before(raft::Index /*index*/, WriteDone /*done*/) override { refuse(); }

 private:
  static void refuse() { WEIR_CHECK(false); }

  storage::LogStore& store_;
  std::deque<std::move_only_function<void()>> tasks_;
};

/// A state machine that is fed from a store, one entry after the other.
class Replay {
 public:
  explicit Replay(storage::LogStore& store) : store_(store) {}

  [[nodiscard]] std::expected<void, storage::Error> load_checkpoints();
  [[nodiscard]] std::expected<void, storage::Error> apply_to(raft::Index last);
  [[nodiscard]] LogContents contents() const;

 private:
  using Done = std::expected<void, storage::Error>;
  [[nodiscard]] Done apply(const raft::Entry& entry);
  [[nodiscard]] std::expected<RunPlaces, storage::Error> ask_runs(const DecodedEntry& entry) const;
  [[nodiscard]] std::expected<DecodedEntryPtr, storage::Error> look_up(raft::Index index);
  [[nodiscard]] Done take_config(const raft::Bytes& data);

  storage::LogStore& store_;
  StateMachine state_;
  Digest digest_{1'024};  ///< where it leaves marks is all the same
  EntryCache cache_{kCacheBytes};
  raft::Term term_;
  wire::ConfigEntry config_;
};

std::expected<void, storage::Error> Replay::take_config(const raft::Bytes& data) {
  auto config = wire::decode_config(data);
  if (!config) {
    return std::unexpected(not_understood(config.error().text));
  }
  config_ = *std::move(config);
  return {};
}

std::expected<void, storage::Error> Replay::load_checkpoints() {
  CheckpointDisk disk(store_);
  Checkpoints checkpoints(disk, {}, {.saved = [] {}, .notice = [](const std::string&) {}});
  std::expected<std::optional<Checkpoints::Loaded>, storage::Error> loaded;
  checkpoints.load([&loaded](auto result) { loaded = std::move(result); });
  disk.run();
  if (!loaded) {
    return std::unexpected(std::move(loaded.error()));
  }
  if (!*loaded) {
    return {};
  }
  state_ = std::move((*loaded)->state);
  term_ = (*loaded)->term;
  if (auto digest = digest_.restore((*loaded)->digest_data.view()); !digest) {
    return std::unexpected(not_understood(digest.error()));
  }
  return take_config((*loaded)->config.data);
}

std::expected<void, storage::Error> Replay::apply_to(raft::Index last) {
  while (state_.applied_index() < last) {
    const raft::Index first = state_.applied_index().next();
    const auto entries = store_.read(first, last, kReadBytes);
    if (!entries) {
      return std::unexpected(entries.error());
    }
    if (entries->empty()) {
      return std::unexpected(missing_entry(first));
    }
    for (const raft::Entry& entry : *entries) {
      if (auto applied = apply(entry); !applied) {
        return applied;
      }
    }
  }
  return {};
}

std::expected<void, storage::Error> Replay::apply(const raft::Entry& entry) {
  auto decoded = decode(entry);
  if (!decoded) {
    return std::unexpected(not_understood(decoded.error()));
  }
  if (entry.command == raft::Command::hollow) {
    return std::unexpected(unexpectedly_hollow(entry.index));
  }
  auto places = ask_runs(**decoded);
  if (!places) {
    return std::unexpected(std::move(places.error()));
  }
  std::map<raft::Index, DecodedEntryPtr> at_hand;
  for (const raft::Index index : state_.lookups(**decoded, *places).entries) {
    auto earlier = look_up(index);
    if (!earlier) {
      return std::unexpected(std::move(earlier.error()));
    }
    at_hand.emplace(index, *std::move(earlier));
  }
  const Applied applied = state_.apply(*decoded, [&at_hand](raft::Index index) { return at_hand.at(index); }, *places);
  digest_.applied(**decoded, applied, state_);
  cache_.put(*decoded);
  term_ = entry.term;
  return entry.command == raft::Command::config ? take_config(entry.data) : Done{};
}

std::expected<RunPlaces, storage::Error> Replay::ask_runs(const DecodedEntry& entry) const {
  RunPlaces places;
  const auto keys = state_.lookups(entry, places).keys;
  const auto found = storage::find_ids(state_.ids().runs(), keys);
  if (!found) {
    return std::unexpected(found.error());
  }
  add_places(keys, *found, places);
  return places;
}

std::expected<DecodedEntryPtr, storage::Error> Replay::look_up(raft::Index index) {
  if (auto cached = cache_.find(index)) {
    return cached;
  }
  const auto read = store_.read(index, index, 1);
  if (!read || read->empty()) {
    return std::unexpected(read ? missing_entry(index) : read.error());
  }
  auto decoded = decode(read->front());
  if (!decoded) {
    return std::unexpected(not_understood(decoded.error()));
  }
  if ((*decoded)->command == raft::Command::hollow && state_.retains(index)) {
    return std::unexpected(unexpectedly_hollow(index));
  }
  cache_.put(*decoded);
  return *std::move(decoded);
}

LogContents Replay::contents() const {
  LogContents contents{.index = state_.applied_index(),
                       .term = term_,
                       .position = state_.last_position(),
                       .topics = state_.live_topic_count(),
                       .ids = state_.ids().size_with_runs(),
                       .forever_ids = state_.forever_ids().size(),
                       .time_ms = state_.time_ms(),
                       .digest = digest_.value(),
                       .config = config_};
  for (std::uint64_t i = 0; i < state_.topic_count(); ++i) {
    if (!state_.is_removed(raft::TopicId{i})) {
      const TopicInfo topic = state_.topic_info(raft::TopicId{i});
      contents.events += topic.next_offset.value - topic.first_offset.value;
      contents.bytes += topic.bytes;
    }
  }
  return contents;
}

}  // namespace

std::expected<LogContents, storage::Error> contents_of_log(storage::LogStore& store, raft::Index last) {
  Replay replay(store);
  auto done = replay.load_checkpoints();
  if (done) {
    done = replay.apply_to(last);
  }
  if (!done) {
    return std::unexpected(std::move(done.error()));
  }
  return replay.contents();
}

std::string to_text(const LogContents& contents) {
  return "position " + std::to_string(contents.position.value) + ", " + std::to_string(contents.events) + " events (" +
         std::to_string(contents.bytes) + " bytes) in " + std::to_string(contents.topics) + " topics, " +
         std::to_string(contents.ids) + " ids, " +
         (contents.forever_ids == 0 ? "" : std::to_string(contents.forever_ids) + " ids forever, ") + "digest " +
         digest_text(contents.digest);
}

}  // namespace weir::broker
