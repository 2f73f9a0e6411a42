// What dropping the front of a log costs those who append to it, and how much disk it takes.
//
//   retention_bench FOLDER [--total 6GiB] [--retained 1GiB] [--entry 64KiB] [--segment 256MiB] [--durability
//   two-flushes]
//
// FOLDER: on the disk to measure, missing or empty. Three logs take turns, commit by commit, so that whatever else the
// disk does hits all of them alike: one from which nothing is dropped; one that keeps --retained of what it was given,
// by checkpoints and drop_before as a broker does; and the same with a slow reader, to whom a snapshot is sent so
// slowly that its files are held until the end. A commit's time includes the drop that stands in line with it. Disk use
// counts what is removed but still held open.
#include <sys/stat.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <expected>
#include <filesystem>
#include <future>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "raft/entry.hpp"
#include "storage/lmdb_log_store.hpp"

namespace weir::bench {
namespace {

namespace fs = std::filesystem;

/// What checkpoints add for each byte of entries: rows, and 16 bytes for each id of an event of 145.
constexpr std::uint64_t kDeltaShare = 8;
/// As NodeConfig::checkpoint_bytes; of small files a quarter of one, so that every file ends with a checkpoint.
constexpr std::uint64_t kCheckpointBytes = std::uint64_t{64} << 20U;
constexpr std::size_t kPieceBytes = std::size_t{64} << 10U;
constexpr std::uint64_t kDiskSamples = 1000;
constexpr double kWorseMax = 1.5;
/// state.mdb, and the step by which a file grows that had to be begun before it was prepared.
constexpr std::uint64_t kFixedBytes = std::uint64_t{12} << 20U;

struct Options {
  std::string folder;
  std::uint64_t total_bytes = std::uint64_t{6} << 30U;
  std::uint64_t retained_bytes = std::uint64_t{1} << 30U;
  std::uint64_t entry_bytes = std::uint64_t{64} << 10U;
  std::uint64_t segment_bytes = storage::LmdbLogStore::kSegmentBytes;
  std::string durability = "two-flushes";

  [[nodiscard]] std::uint64_t commits() const { return total_bytes / entry_bytes; }
  [[nodiscard]] std::uint64_t retained_commits() const { return retained_bytes / entry_bytes; }
  [[nodiscard]] std::uint64_t checkpoint_commits() const {
    return std::max<std::uint64_t>(1, std::min(kCheckpointBytes, segment_bytes / 4) / entry_bytes);
  }
  /// What is kept, the file written to, the one prepared behind it, the one of which a part is kept, and one that is
  /// kept for the newest snapshot; and what checkpoints add to them.
  [[nodiscard]] std::uint64_t disk_bytes_max() const {
    const std::uint64_t files = retained_bytes + 4 * segment_bytes;
    return files + files / kDeltaShare + kFixedBytes;
  }
};

[[noreturn]] void die(const std::string& text) {
  std::fprintf(stderr, "retention_bench: %s\n", text.c_str());
  std::exit(1);
}
template <class Value>
Value must(std::expected<Value, storage::Error> result) {
  if (!result) die(result.error().text);
  if constexpr (!std::is_void_v<Value>) return *std::move(result);
}

/// Blocks of the files in `folder`, and of those that were removed and are still open.
std::uint64_t disk_bytes(const std::string& folder) {
  std::set<ino_t> seen;
  std::uint64_t bytes = 0;
  const auto add = [&](const fs::path& path) {
    struct stat status{};
    // Files come and go meanwhile.
    if (stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode) || !seen.insert(status.st_ino).second) return;
    bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
  };
  std::error_code gone;
  for (auto at = fs::recursive_directory_iterator(folder, gone); at != fs::end(at); at.increment(gone)) add(at->path());
  for (const auto& descriptor : fs::directory_iterator("/proc/self/fd")) {
    const std::string target = fs::read_symlink(descriptor.path(), gone).string();
    if (target.starts_with(folder + "/") && target.ends_with(" (deleted)")) add(descriptor.path());
  }
  return bytes;
}

enum class Dropping : std::uint8_t { nothing = 1, what_is_not_retained = 2 };

/// A log that commits in its turn.
class Chain {
 public:
  Chain(std::string name, const std::string& folder, const Options& options, Dropping dropping)
      : name_(std::move(name)), options_(options), dropping_(dropping), folder_(options.folder + "/" + folder) {
    store_ = must(storage::LmdbLogStore::open({.folder = folder_,
                                               .node_name = "bench",
                                               .segment_bytes = options.segment_bytes,
                                               .durability = *storage::parse_durability(options.durability)}));
    append({raft::HardState{raft::Term{1}, {}}, std::nullopt, {}});
  }

  void turn(const raft::Bytes& data) {
    const std::vector<raft::Entry> entries{{last_.next(), raft::Term{1}, raft::Command::publish, 0, data}};
    const auto begin = std::chrono::steady_clock::now();
    append({std::nullopt, std::nullopt, entries});
    last_ = last_.next();
    drop();
    us_.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count());
    if (last_.value % options_.checkpoint_commits() == 0) begin_checkpoint();
  }

  void sample_disk() { disk_bytes_ = std::max(disk_bytes_, disk_bytes(folder_)); }
  void end() {
    if (saving_.valid()) must(saving_.get());
    std::ranges::sort(us_);
  }

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] storage::LmdbLogStore& store() { return *store_; }
  [[nodiscard]] std::uint64_t largest_disk_bytes() const { return disk_bytes_; }
  /// Requires end(). 0 < share < 1.
  [[nodiscard]] double quantile(double share) const {
    return us_[static_cast<std::size_t>(share * static_cast<double>(us_.size()))];
  }

 private:
  void append(const storage::LogWrite& write) { must(store_->append({&write, 1})); }
  [[nodiscard]] raft::Index floor() const {
    const std::uint64_t kept = options_.retained_commits();
    return raft::Index{last_.value > kept ? last_.value - kept + 1 : 1};
  }
  /// As Node does: what the newest snapshot needs stays.
  void drop() {
    if (dropping_ == Dropping::nothing) return;
    const auto needed = floors_.find(store_->snapshot_index());
    if (needed == floors_.end() || needed->second <= store_->first_index()) return;
    must(store_->drop_before(needed->second));
    floors_.erase(floors_.begin(), std::next(needed));
  }
  /// Beside the commits that follow; one at a time.
  void begin_checkpoint() {
    if (saving_.valid()) must(saving_.get());
    floors_[last_] = floor();
    const std::uint64_t delta = options_.checkpoint_commits() * options_.entry_bytes / kDeltaShare;
    storage::Checkpoint checkpoint{
        .index = last_,
        .term = raft::Term{1},
        .config = {raft::Index{1}, raft::Term{1}, raft::Command::config, 0, raft::Bytes::own("config")},
        .state = raft::Bytes::own("state"),
        .delta = raft::Bytes::own(std::string(delta, 'd'))};
    saving_ =
        std::async(std::launch::async, [this, checkpoint = std::move(checkpoint)] { return store_->save(checkpoint); });
  }

  std::string name_;
  const Options& options_;
  Dropping dropping_;
  std::string folder_;
  std::unique_ptr<storage::LmdbLogStore> store_;
  raft::Index last_;
  std::map<raft::Index, raft::Index> floors_;  // what was retained, by checkpoint
  std::future<std::expected<void, storage::Error>> saving_;
  std::vector<double> us_;
  std::uint64_t disk_bytes_ = 0;
};

/// Is sent one snapshot, from when as much is stored as is retained until the end.
class SlowReader {
 public:
  SlowReader(Chain& chain, const Options& options) : chain_(chain), options_(options) {}

  /// After the commit `commit`.
  void turn(std::uint64_t commit) {
    if (commit < options_.retained_commits()) return;
    if (!begun_at_) begin(commit);
    const double share = static_cast<double>(commit - *begun_at_ + 1) /
                         static_cast<double>(std::max<std::uint64_t>(1, options_.commits() - *begun_at_));
    while (static_cast<double>(got_) < share * static_cast<double>(snapshot_.size) && got_ < snapshot_.size) read();
  }
  [[nodiscard]] std::uint64_t held_bytes() const { return snapshot_.size; }
  [[nodiscard]] bool has_all() const { return snapshot_.size > 0 && got_ == snapshot_.size; }

 private:
  void begin(std::uint64_t commit) {
    begun_at_ = commit;
    const auto first = must(chain_.store().read_snapshot(0, 0, kPieceBytes));
    snapshot_ = first.snapshot;
    got_ = first.data.size();
    if (snapshot_.size == 0) die("there is no snapshot to be sent: retain more than two segments");
  }
  void read() {
    const auto piece = must(chain_.store().read_snapshot(snapshot_.number, got_, kPieceBytes));
    if (piece.snapshot.number != snapshot_.number) die("the snapshot that was being sent is not there any more");
    got_ += piece.data.size();
  }

  Chain& chain_;
  const Options& options_;
  std::optional<std::uint64_t> begun_at_;
  raft::Snapshot snapshot_;
  std::uint64_t got_ = 0;
};

double mib(std::uint64_t bytes) {
  return static_cast<double>(bytes) / (1U << 20U);
}

/// The share of each of the three percentiles that `bare` has. True: none is worse by more than kWorseMax.
bool report(const Chain& chain, const Chain& bare) {
  std::printf("%-28s", chain.name().c_str());
  bool met = true;
  for (const double share : {0.5, 0.99, 0.999}) {
    const double times = chain.quantile(share) / bare.quantile(share);
    met = met && times <= kWorseMax;
    std::printf(" %9.0f %5.2f", chain.quantile(share), times);
  }
  std::printf(" %10.1f\n", mib(chain.largest_disk_bytes()));
  return met;
}

const char* verdict(bool met) {
  return met ? "met" : "NOT met";
}

void run(const Options& options) {
  std::filesystem::create_directories(options.folder);
  Chain bare("nothing dropped", "bare", options, Dropping::nothing);
  Chain retained("retained", "retained", options, Dropping::what_is_not_retained);
  Chain pinned("retained, slow reader", "pinned", options, Dropping::what_is_not_retained);
  SlowReader reader(pinned, options);
  const raft::Bytes data = raft::Bytes::own(std::string(options.entry_bytes, 'e'));
  const std::uint64_t sampled = std::max<std::uint64_t>(1, options.commits() / kDiskSamples);
  const std::array<Chain*, 3> chains{&bare, &retained, &pinned};
  for (std::uint64_t commit = 0; commit < options.commits(); ++commit) {
    // Another is first each time: nobody always comes behind the same one's flush.
    for (std::size_t turn = 0; turn < chains.size(); ++turn) chains[(commit + turn) % chains.size()]->turn(data);
    reader.turn(commit);
    if (commit % sampled != 0 && commit + 1 != options.commits()) continue;
    for (Chain* chain : chains) chain->sample_disk();
  }
  for (Chain* chain : chains) chain->end();
  if (!reader.has_all()) die("the slow reader did not get its snapshot");

  std::printf(
      "%llu commits of %.3f MiB, %.0f MiB retained, files of %.1f MiB, %s; us = microseconds, x = of the first\n",
      static_cast<unsigned long long>(options.commits()), mib(options.entry_bytes), mib(options.retained_bytes),
      mib(options.segment_bytes), options.durability.c_str());
  std::printf("%-28s %9s %5s %9s %5s %9s %5s %10s\n", "log", "p50 us", "x", "p99 us", "x", "p99.9 us", "x", "disk MiB");
  report(bare, bare);
  const bool retained_met = report(retained, bare);
  const bool pinned_met = report(pinned, bare);
  const std::uint64_t held_max = options.disk_bytes_max() + reader.held_bytes();
  std::printf("commits not worse by more than %.1f x: retained %s, with a slow reader %s\n", kWorseMax,
              verdict(retained_met), verdict(pinned_met));
  std::printf("disk use at most %.1f MiB: retained %s; with the %.1f MiB that the slow reader holds: %s\n",
              mib(options.disk_bytes_max()), verdict(retained.largest_disk_bytes() <= options.disk_bytes_max()),
              mib(reader.held_bytes()), verdict(pinned.largest_disk_bytes() <= held_max));
}

}  // namespace
}  // namespace weir::bench

int main(int count, char** arguments) {
  weir::bench::Options options;
  CLI::App app("What dropping the front of a log costs those who append to it", "retention_bench");
  app.add_option("folder", options.folder, "On the disk to measure, missing or empty")->required();
  const auto size = [&app](const char* flag, std::uint64_t& bytes, const char* what) {
    app.add_option(flag, bytes, what)->transform(CLI::AsSizeValue(false));
  };
  size("--total", options.total_bytes, "Bytes through each log (6GiB)");
  size("--retained", options.retained_bytes, "Bytes that are kept (1GiB)");
  size("--entry", options.entry_bytes, "Bytes of a commit (64KiB)");
  size("--segment", options.segment_bytes, "Size of a file of the log (256MiB)");
  app.add_option("--durability", options.durability, "two-flushes, one-flush or os")
      ->check(CLI::IsMember({"two-flushes", "one-flush", "os"}))
      ->capture_default_str();
  CLI11_PARSE(app, count, arguments);
  if (options.entry_bytes == 0 || options.commits() < 2 * options.retained_commits())
    weir::bench::die("--total is at least twice --retained, and --entry not 0");
  weir::bench::run(options);
  return 0;
}
