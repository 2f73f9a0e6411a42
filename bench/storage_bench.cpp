// What a durable append costs beside a bare fdatasync of the same bytes, both into blocks that were written before.
//
//   storage_bench FOLDER        FOLDER: on the disk to measure, missing or empty
//
// For groups of 1 to 10,000 events of 128 bytes (145 bytes each once encoded) a bare file and one store for each
// durability take turns, commit by commit, so that whatever else the disk does hits all of them alike. Printed: median
// and p99 of a commit, CPU of the calling thread for each event, bytes that the device wrote for each encoded byte.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "raft/entry.hpp"
#include "storage/lmdb_log_store.hpp"

namespace weir::bench {
namespace {

constexpr std::size_t kEncodedEventBytes = 145;
constexpr std::uint64_t kFileBytes = std::uint64_t{256} << 20U;

struct Group {
  std::size_t events;
  std::size_t commits;
};
// Together under half of a segment, so that nothing is prepared meanwhile.
constexpr Group kGroups[] = {{1, 400}, {10, 400}, {100, 400}, {1000, 150}, {10'000, 30}};

[[noreturn]] void die(const std::string& text) {
  std::fprintf(stderr, "storage_bench: %s\n", text.c_str());
  std::exit(1);
}

double cpu_us() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  const auto us = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
  };
  return us(usage.ru_utime) + us(usage.ru_stime);
}

/// What the device of a folder was given to write so far, by anybody (/proc/diskstats).
class WrittenBytes {
 public:
  explicit WrittenBytes(const std::string& folder) {
    struct stat status{};
    if (stat(folder.c_str(), &status) != 0) die("cannot look at " + folder);
    device_ = {major(status.st_dev), minor(status.st_dev)};
  }
  /// 0 if the device is not listed.
  [[nodiscard]] std::uint64_t operator()() const {
    constexpr std::uint64_t kSector = 512;
    std::ifstream in("/proc/diskstats");
    for (std::string line; std::getline(in, line);) {
      std::istringstream fields(line);
      std::pair<unsigned, unsigned> device;
      std::string name;
      std::uint64_t reads = 0;
      std::uint64_t skipped = 0;
      std::uint64_t sectors = 0;
      fields >> device.first >> device.second >> name >> reads >> skipped >> skipped >> skipped >> skipped >> skipped >>
          sectors;
      if (device == device_) return sectors * kSector;
    }
    return 0;
  }

 private:
  std::pair<unsigned, unsigned> device_;
};

/// One who commits `data`, in its turn.
class Contestant {
 public:
  Contestant(std::string name, const std::string& folder) : name_(std::move(name)), written_(folder) {}
  virtual ~Contestant() = default;

  void turn(const raft::Bytes& data) {
    const double cpu = cpu_us();
    const std::uint64_t bytes = written_();
    const auto begin = std::chrono::steady_clock::now();
    commit(data);
    us_.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count());
    cpu_ += cpu_us() - cpu;
    bytes_.push_back(written_() - bytes);
  }
  double report(const Group& group, double bare_us) {
    std::ranges::sort(us_);
    std::ranges::sort(bytes_);
    const double median = us_[us_.size() / 2];
    const double commits = static_cast<double>(us_.size());
    const double events = commits * static_cast<double>(group.events);
    // The median, too: others write to the same device.
    const auto bytes = static_cast<double>(bytes_[bytes_.size() / 2]);
    const double encoded = static_cast<double>(group.events * kEncodedEventBytes);
    std::printf("%7zu  %-12s %9.0f %9.0f  %6.2f  %11.0f  %9.0f  %8.2f\n", group.events, name_.c_str(), median,
                us_[us_.size() * 99 / 100], bare_us > 0 ? median / bare_us : 1.0,
                static_cast<double>(group.events) * 1e6 / median, cpu_ * 1e3 / events, bytes / encoded);
    us_.clear();
    cpu_ = 0;
    bytes_.clear();
    return median;
  }

 protected:
  virtual void commit(const raft::Bytes& data) = 0;

 private:
  std::string name_;
  std::vector<double> us_;
  double cpu_ = 0;
  std::vector<std::uint64_t> bytes_;
  WrittenBytes written_;
};

class BareFile final : public Contestant {
 public:
  explicit BareFile(const std::string& folder) : Contestant("bare", folder) {
    const std::string path = folder + "/bare";
    file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const std::string zeros(std::size_t{1} << 20U, '\0');
    for (std::uint64_t at = 0; at < kFileBytes; at += zeros.size())
      if (pwrite(file_, zeros.data(), zeros.size(), static_cast<off_t>(at)) < 0) die("cannot write " + path);
    if (fsync(file_) != 0) die("cannot flush " + path);
  }
  ~BareFile() override { ::close(file_); }
  BareFile(const BareFile&) = delete;
  BareFile& operator=(const BareFile&) = delete;

 private:
  void commit(const raft::Bytes& data) override {
    if (pwrite(file_, data.view().data(), data.size(), at_) < 0 || fdatasync(file_) != 0) die("the bare file failed");
    at_ += static_cast<off_t>((data.size() + 4095) / 4096 * 4096);
  }
  int file_;
  off_t at_ = 0;
};

class Store final : public Contestant {
 public:
  Store(const std::string& folder, storage::Durability durability)
      : Contestant(std::string(to_string(durability)), std::filesystem::path(folder).parent_path().string()) {
    auto opened = storage::LmdbLogStore::open({.folder = folder,
                                               .node_name = "bench",
                                               .segment_bytes = kFileBytes,
                                               .durability = durability,
                                               .prepare_bytes_per_s = 0});
    if (!opened) die(opened.error().text);
    store_ = *std::move(opened);
    append({raft::HardState{raft::Term{1}, {}}, std::nullopt, {}});
    // The first file of a log is not written ahead: fill it, so that the one measured was.
    const raft::Bytes filler = raft::Bytes::own(std::string(std::size_t{4} << 20U, 'f'));
    while (store_->segment_paths().size() == 1) {
      commit(filler);
      if (last_ == 40) store_->wait_for_background();
    }
    store_->wait_for_background();
  }

 private:
  void append(const storage::LogWrite& write) {
    if (auto done = store_->append({&write, 1}); !done) die(done.error().text);
  }
  void commit(const raft::Bytes& data) override {
    const std::vector<raft::Entry> entries{{raft::Index{++last_}, raft::Term{1}, raft::Command::publish, 0, data}};
    append({std::nullopt, std::nullopt, entries});
  }
  std::unique_ptr<storage::LmdbLogStore> store_;
  std::uint64_t last_ = 0;
};

void run(const std::string& folder) {
  std::filesystem::create_directories(folder);
  std::vector<std::unique_ptr<Contestant>> contestants;
  contestants.push_back(std::make_unique<BareFile>(folder));
  contestants.push_back(std::make_unique<Store>(folder + "/one", storage::Durability::one_flush));
  contestants.push_back(std::make_unique<Store>(folder + "/two", storage::Durability::two_flushes));
  std::printf("128-byte events, one call of append a group; us = microseconds\n");
  std::printf("%7s  %-12s %9s %9s  %6s  %11s  %9s  %8s\n", "group", "durability", "p50 us", "p99 us", "x bare",
              "events/s", "CPU ns/ev", "disk/enc");
  for (const Group& group : kGroups) {
    const raft::Bytes data = raft::Bytes::own(std::string(group.events * kEncodedEventBytes, 'e'));
    for (std::size_t commit = 0; commit < group.commits; ++commit)
      for (const auto& contestant : contestants) contestant->turn(data);
    double bare = 0;
    for (const auto& contestant : contestants) {
      const double median = contestant->report(group, bare);
      if (bare == 0) bare = median;
    }
  }
}

}  // namespace
}  // namespace weir::bench

int main(int count, char** arguments) {
  if (count != 2) weir::bench::die("usage: storage_bench FOLDER");
  weir::bench::run(arguments[1]);
  return 0;
}
