#include "storage/segment_open.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

namespace weir::storage {
namespace {

namespace fs = std::filesystem;

// Besides read()'s: what Env::open itself uses, and the writing thread's own reads.
constexpr std::uint32_t kSpareReaders = 4;
// Behind a full segment: one piece of a call (64 MiB and an entry), a rewritten chunk, lists of free pages. Address
// space only.
constexpr std::uint64_t kOvershootBytes = std::uint64_t{192} << 20U;
// A segment has this name until it is whole: one that has its own name can be believed.
constexpr const char* kBegunName = "begun.mdb";

std::unexpected<Error> failure(Errc code, const std::string& path, const std::string& problem) {
  return std::unexpected(Error{code, path + ": " + problem});
}

Flush flush_of(Durability durability) {
  switch (durability) {
    case Durability::two_flushes:
      return Flush::data_and_meta;
    case Durability::one_flush:
      return Flush::data;
    case Durability::os:
      return Flush::none;
  }
  return Flush::data_and_meta;
}

std::expected<std::uint64_t, Error> size_of(const std::string& path) {
  std::error_code code;
  const std::uint64_t size = fs::file_size(path, code);
  if (code) return failure(Errc::setup, path, "cannot tell its size: " + code.message());
  return size;
}

Env::Options active_options(const std::string& path, std::uint64_t file_size, const LmdbLogStore::Options& options) {
  return {.path = path,
          .map_bytes = std::max(options.segment_bytes, file_size) + kOvershootBytes,
          .readers_max = LmdbLogStore::kReadersMax + kSpareReaders,
          .access = Env::Access::write,
          .flush = flush_of(options.durability)};
}

std::expected<Env, Error> begin(const std::string& path, const SegmentHead& head, std::uint64_t bytes,
                                const LmdbLogStore::Options& options) {
  auto env = Env::open(active_options(path, 0, options));
  if (!env) return env;
  if (auto reserved = env->reserve(bytes); !reserved) return std::unexpected(std::move(reserved.error()));
  {
    auto txn = WriteTxn::begin(*env);
    if (!txn) return std::unexpected(std::move(txn.error()));
    if (auto put = txn->put(segment_key(raft::Index{0}), encode_segment_head(head)); !put)
      return std::unexpected(std::move(put.error()));
    if (auto committed = txn->commit(); !committed) return std::unexpected(std::move(committed.error()));
  }
  if (auto synced = env->sync(); !synced) return std::unexpected(std::move(synced.error()));
  return env;
}

std::expected<std::vector<std::string>, Error> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code code;
  for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code))
    names.push_back(it->path().filename().string());
  if (code) return failure(Errc::setup, folder, "cannot list the folder: " + code.message());
  return names;
}

std::expected<void, Error> remove_file(const std::string& path) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT)
    return failure(Errc::setup, path, "cannot be removed; is the data folder writable?");
  return {};
}

}  // namespace

std::shared_ptr<SegmentFiles> make_segment_files(const std::string& generation, const LmdbLogStore::Options& options) {
  return std::make_shared<SegmentFiles>(SegmentFiles::Options{
      .folder = generation, .segment_bytes = options.segment_bytes, .bytes_per_s = options.prepare_bytes_per_s});
}

std::expected<std::shared_ptr<Segment>, Error> create_segment(const std::string& generation, const SegmentHead& head,
                                                              std::uint64_t bytes, const LmdbLogStore::Options& options,
                                                              SegmentFiles* files) {
  const std::string begun = generation + "/" + kBegunName;
  const SegmentRecord record{head.first_index, head.segment_id};
  const std::string path = generation + "/" + segment_file_name(record);
  static_cast<void>(unlink(begun.c_str()));
  if (files != nullptr)
    if (auto taken = files->take(begun); !taken) return std::unexpected(std::move(taken.error()));
  auto env = begin(begun, head, bytes, options);
  if (!env) {
    static_cast<void>(unlink(begun.c_str()));
    return std::unexpected(std::move(env.error()));
  }
  if (std::rename(begun.c_str(), path.c_str()) != 0)
    return failure(Errc::io, path, "cannot be put in place: " + std::generic_category().message(errno));
  if (auto synced = sync_folder(generation); !synced) return std::unexpected(std::move(synced.error()));
  env->moved_to(path);
  return std::make_shared<Segment>(Segment{record, head, std::move(*env)});
}

std::expected<std::shared_ptr<const Segment>, Error> open_rolled_segment(const std::string& generation,
                                                                         const SegmentRecord& record,
                                                                         const SegmentHead& head) {
  const std::string path = generation + "/" + segment_file_name(record);
  const auto size = size_of(path);
  if (!size) return std::unexpected(size.error());
  auto env = Env::open({.path = path, .map_bytes = *size, .access = Env::Access::read});
  if (!env) return std::unexpected(std::move(env.error()));
  // Space that was taken ahead and not used. Where it cannot be given back it is given back when the file is dropped.
  if (env->used_bytes() < *size) static_cast<void>(::truncate(path.c_str(), static_cast<off_t>(env->used_bytes())));
  return std::make_shared<const Segment>(Segment{record, head, std::move(*env)});
}

std::expected<OpenedSegments, Error> open_segments(const std::string& generation,
                                                   std::span<const SegmentRecord> records,
                                                   std::span<const SegmentHead> heads,
                                                   const LmdbLogStore::Options& options) {
  OpenedSegments opened;
  for (std::size_t number = 0; number + 1 < records.size(); ++number) {
    auto segment = open_rolled_segment(generation, records[number], heads[number]);
    if (!segment) return std::unexpected(std::move(segment.error()));
    opened.segments.push_back(std::move(*segment));
  }
  const std::string path = generation + "/" + segment_file_name(records.back());
  const auto size = size_of(path);
  if (!size) return std::unexpected(size.error());
  auto env = Env::open(active_options(path, *size, options));
  if (!env) return std::unexpected(std::move(env.error()));
  opened.active = std::make_shared<Segment>(Segment{records.back(), heads.back(), std::move(*env)});
  opened.segments.push_back(opened.active);
  return opened;
}

std::expected<void, Error> take_over_version_1(const std::string& generation, std::span<const SegmentRecord> records) {
  if (records.size() != 1) return {};
  const std::string old_path = generation + "/" + segment_file_name_of_version_1(records.front().first_index);
  const std::string path = generation + "/" + segment_file_name(records.front());
  if (access(old_path.c_str(), F_OK) != 0 || access(path.c_str(), F_OK) == 0) return {};
  if (std::rename(old_path.c_str(), path.c_str()) != 0)
    return failure(Errc::setup, path, "cannot be put in place: " + std::generic_category().message(errno));
  return sync_folder(generation);
}

std::expected<void, Error> remove_lock_files(const std::string& generation) {
  auto names = names_in(generation);
  if (!names) return std::unexpected(std::move(names.error()));
  for (const std::string& name : *names) {
    if (!name.ends_with(".mdb-lock")) continue;
    if (auto removed = remove_file(std::string(generation).append("/").append(name)); !removed) return removed;
  }
  return {};
}

std::expected<void, Error> remove_left_over_files(const std::string& generation, std::span<const SegmentRecord> records,
                                                  std::uint64_t highest_sequence_known) {
  auto names = names_in(generation);
  if (!names) return std::unexpected(std::move(names.error()));
  std::set<std::string> listed;
  for (const SegmentRecord& record : records) listed.insert(segment_file_name(record));
  for (const std::string& name : *names) {
    const std::string path = std::string(generation).append("/").append(name);
    const bool is_segment = name.starts_with("segment-") && name.ends_with(".mdb");
    const bool is_seal = name.ends_with(kSealSuffix) || name.ends_with(".seal.new");
    const bool is_left_over = name == SegmentFiles::kNextName || name == kBegunName || name == kRewriteName ||
                              (is_segment && !listed.contains(name)) ||
                              (is_seal && !listed.contains(name.substr(0, name.size() - kSealSuffix.size())));
    if (!is_left_over) continue;
    if (is_segment) {
      const auto highest = highest_sequence(path);
      if (!highest)
        return failure(highest.error().code, path,
                       "is not listed in state.mdb and cannot be read (" + highest.error().text +
                           "); if you did not put an older state.mdb in place, remove this file");
      if (*highest > highest_sequence_known)
        return failure(Errc::damaged, generation + "/state.mdb",
                       "does not list " + name +
                           ", which was written after all that it lists; it is older than the log, do not mix copies: "
                           "move the whole data folder away and start again");
    }
    if (auto removed = remove_file(path); !removed) return removed;
  }
  return {};
}

}  // namespace weir::storage
