// One append of a group to the log, nothing flushed (durability os): what of a durable append is processor time.
// The argument: events of the group.
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "bench/micro/samples.hpp"
#include "storage/lmdb_log_store.hpp"

namespace weir::bench::micro {
namespace {

class TempFolder {
 public:
  TempFolder() : path_(std::filesystem::temp_directory_path() / "weir-micro-XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr) throw std::system_error(errno, std::generic_category(), path_);
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::unique_ptr<storage::LmdbLogStore> open_store(const std::string& folder) {
  auto store = storage::LmdbLogStore::open({.folder = folder + "/log",
                                            .node_name = "bench",
                                            .durability = storage::Durability::os,
                                            .prepare_bytes_per_s = 0});
  WEIR_CHECK(store, store.error().text);
  return *std::move(store);
}

void append_group(benchmark::State& state) {
  const auto events = static_cast<std::size_t>(state.range(0));
  EventMaker maker = maker_of(Ids::every_event);
  const TempFolder folder;
  const auto store = open_store(folder.path());
  std::vector<raft::Entry> entries{entry_of(raft::Index{1}, maker.make(events, kTimeMs))};
  const raft::HardState first{.current_term = raft::Term{1}};
  std::vector<storage::LogWrite> writes(1);
  writes.front().hard_state = first;
  for (auto _ : state) {
    writes.front().entries = entries;
    const auto done = store->append(writes);
    WEIR_CHECK(done, done.error().text);
    writes.front().hard_state.reset();
    entries.front().index = entries.front().index.next();
  }
  report(state, events, entries.front().data.size());
}
// So many that a file of the log is less than half full: no next one is prepared beside it.
BENCHMARK(append_group)->Arg(1)->Iterations(20'000);
BENCHMARK(append_group)->Arg(10)->Iterations(20'000);
BENCHMARK(append_group)->Arg(100)->Iterations(5'000);
BENCHMARK(append_group)->Arg(1'000)->Iterations(500);
BENCHMARK(append_group)->Arg(10'000)->Iterations(50);

}  // namespace
}  // namespace weir::bench::micro
