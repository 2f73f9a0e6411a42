#include "storage/id_run_files.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <optional>
#include <string_view>
#include <system_error>

#include "storage/file.hpp"
#include "storage/folder.hpp"
#include "storage/row_format.hpp"

namespace weir::storage {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBegunName = "/ids.new";
constexpr std::string_view kPrefix = "ids-";
constexpr std::string_view kSuffix = ".wid";
constexpr std::size_t kDigits = 20;

struct Range {
  raft::Index first;
  raft::Index last;
};

std::optional<raft::Index> index_in(std::string_view digits) {
  std::uint64_t number = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return code == std::errc() && end == digits.data() + digits.size() ? std::optional(raft::Index{number})
                                                                     : std::nullopt;
}

std::optional<Range> range_of(std::string_view name) {
  if (name.size() != kPrefix.size() + 2 * kDigits + 1 + kSuffix.size() || !name.starts_with(kPrefix) ||
      !name.ends_with(kSuffix))
    return std::nullopt;
  const auto first = index_in(name.substr(kPrefix.size(), kDigits));
  const auto last = index_in(name.substr(kPrefix.size() + kDigits + 1, kDigits));
  return first && last ? std::optional(Range{*first, *last}) : std::nullopt;
}

/// Of those that begin with the same entry the longest stands first: the others became part of it.
std::expected<std::vector<Range>, Error> ranges_in(const std::string& generation) {
  std::vector<Range> ranges;
  std::error_code code;
  for (fs::directory_iterator it(generation, code), end; !code && it != end; it.increment(code))
    if (const auto range = range_of(it->path().filename().string())) ranges.push_back(*range);
  if (code) return std::unexpected(Error{Errc::setup, generation + ": cannot list the folder: " + code.message()});
  std::ranges::sort(ranges, [](const Range& one, const Range& other) {
    return one.first != other.first ? one.first < other.first : one.last > other.last;
  });
  return ranges;
}

/// Runs of about one size have the same number.
unsigned size_class(std::uint64_t size) {
  unsigned number = 0;
  for (constexpr std::uint64_t kSmallest = std::uint64_t{1} << 20U; size > kSmallest; size /= IdRunFiles::kFanIn)
    ++number;
  return number;
}

}  // namespace

std::string IdRunFiles::path_of(raft::Index first, raft::Index last) const {
  return generation_ + "/" + id_run_file_name(first, last);
}

std::expected<std::shared_ptr<IdRunFiles>, Error> IdRunFiles::find(const std::string& generation,
                                                                   raft::Index first_needed, raft::Index last_covered) {
  static_cast<void>(unlink((generation + kBegunName).c_str()));
  const auto ranges = ranges_in(generation);
  if (!ranges) return std::unexpected(ranges.error());
  auto files = std::make_shared<IdRunFiles>(generation);
  bool is_chain = true;
  for (const Range& range : *ranges) {
    const std::string path = files->path_of(range.first, range.last);
    const bool follows = files->runs_.empty() ? range.first <= std::max(first_needed, raft::Index{1})
                                              : files->covered().next() == range.first;
    is_chain = is_chain && range.last <= last_covered;
    std::expected<std::shared_ptr<const IdRun>, Error> run = nullptr;
    if (is_chain && follows) run = open_id_run(path);
    if (!run && run.error().code != Errc::damaged && run.error().code != Errc::version)
      return std::unexpected(run.error());
    const bool is_its_name = run && *run && (*run)->first_index() == range.first && (*run)->last_index() == range.last;
    if (is_its_name) {
      files->runs_.push_back(*std::move(run));
      continue;
    }
    // Part of the one before, or behind a gap. What is removed is made again.
    if (range.first > files->covered()) is_chain = false;
    if (unlink(path.c_str()) != 0) return failure_errno(path, "remove what cannot be used");
  }
  return files;
}

IdRuns IdRunFiles::runs() const {
  const std::scoped_lock lock(mutex_);
  return runs_;
}

raft::Index IdRunFiles::covered() const {
  const std::scoped_lock lock(mutex_);
  return runs_.empty() ? raft::Index{} : runs_.back()->last_index();
}

void IdRunFiles::publish(IdRuns runs) {
  const std::scoped_lock lock(mutex_);
  runs_.swap(runs);
}

std::expected<std::shared_ptr<const IdRun>, Error> IdRunFiles::put_in_place(raft::Index first, raft::Index last) {
  const std::string path = path_of(first, last);
  if (std::rename((generation_ + kBegunName).c_str(), path.c_str()) != 0) return failure_errno(path, "put in place");
  if (auto synced = sync_folder(generation_); !synced) return std::unexpected(std::move(synced.error()));
  return open_id_run(path);
}

std::expected<void, Error> IdRunFiles::add(raft::Index last, std::vector<KeyedPlace>& ids, raft::Index first_needed) {
  const raft::Index first = covered().next();
  auto written = write_id_run(generation_ + kBegunName, first, last, ids);
  if (!written) {
    static_cast<void>(unlink((generation_ + kBegunName).c_str()));
    return written;
  }
  auto run = put_in_place(first, last);
  if (!run) return std::unexpected(std::move(run.error()));
  IdRuns more = runs();
  more.push_back(*std::move(run));
  publish(std::move(more));
  merge_last(first_needed);
  return {};
}

void IdRunFiles::merge_last(raft::Index first_needed) {
  for (;;) {
    IdRuns all = runs();
    auto begin = all.end();
    while (begin != all.begin() && size_class((*std::prev(begin))->size()) <= size_class(all.back()->size())) --begin;
    if (static_cast<std::size_t>(all.end() - begin) < kFanIn) return;
    const IdRuns parts(begin, all.end());
    auto merged = merge_id_runs(generation_ + kBegunName, parts, first_needed);
    if (!merged) {
      static_cast<void>(unlink((generation_ + kBegunName).c_str()));
      return;
    }
    auto run = put_in_place(parts.front()->first_index(), parts.back()->last_index());
    if (!run) return;
    all.erase(begin, all.end());
    all.push_back(*std::move(run));
    publish(std::move(all));
    // Whoever looks something up in one of them has it open.
    for (const auto& part : parts) static_cast<void>(unlink(path_of(part->first_index(), part->last_index()).c_str()));
  }
}

void IdRunFiles::forget_before(raft::Index index) {
  IdRuns kept = runs();
  IdRuns gone;
  while (!kept.empty() && kept.front()->last_index() < index) {
    gone.push_back(kept.front());
    kept.erase(kept.begin());
  }
  if (gone.empty()) return;
  publish(std::move(kept));
  for (const auto& run : gone) static_cast<void>(unlink(path_of(run->first_index(), run->last_index()).c_str()));
}

}  // namespace weir::storage
