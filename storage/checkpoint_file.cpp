#include "storage/checkpoint_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <optional>
#include <system_error>

#include "raft/check.hpp"
#include "storage/file.hpp"
#include "storage/folder.hpp"
#include "storage/row_format.hpp"

namespace weir::storage {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kHeadSize = 96;
constexpr std::string_view kPrefix = "checkpoint-";
constexpr std::string_view kSuffix = ".wck";
constexpr const char* kBegunName = "checkpoint.new";

constexpr const char* kWayOut =
    "; the node must not go on without it: move the whole data folder away and start again, the node then joins as a "
    "new member and copies from its peers (a cluster of one: restore a backup)";

struct Head {
  CheckpointRecord record;
  raft::Entry config;  ///< without its data
  std::uint64_t config_bytes = 0;
  std::uint64_t state_bytes = 0;
  std::uint64_t delta_bytes = 0;
  std::uint64_t body_checksum = 0;
};

std::string encode_head(const Head& head) {
  std::string out(kHeadSize, '\0');
  store(out.data() + 16, head.record.index.value);
  store(out.data() + 24, head.record.term.value);
  store(out.data() + 32, head.record.previous.value);
  store(out.data() + 40, head.config.index.value);
  store(out.data() + 48, head.config.term.value);
  store(out.data() + 56, head.config.checksum);
  store(out.data() + 64, head.config_bytes);
  store(out.data() + 72, head.state_bytes);
  store(out.data() + 80, head.delta_bytes);
  store(out.data() + 88, head.body_checksum);
  seal(out, Magic::checkpoint);
  return out;
}

std::expected<Head, Error> decode_head(std::string_view bytes) {
  if (auto ok = check_prefix(bytes, Magic::checkpoint, kHeadSize, "the checkpoint's head"); !ok)
    return std::unexpected(std::move(ok.error()));
  Head head;
  head.record.index = raft::Index{load_u64(bytes, 16)};
  head.record.term = raft::Term{load_u64(bytes, 24)};
  head.record.previous = raft::Index{load_u64(bytes, 32)};
  head.config.index = raft::Index{load_u64(bytes, 40)};
  head.config.term = raft::Term{load_u64(bytes, 48)};
  head.config.command = raft::Command::config;
  head.config.checksum = load_u64(bytes, 56);
  head.config_bytes = load_u64(bytes, 64);
  head.state_bytes = load_u64(bytes, 72);
  head.delta_bytes = load_u64(bytes, 80);
  head.body_checksum = load_u64(bytes, 88);
  return head;
}

std::unexpected<Error> in_checkpoint(const std::string& path, Error error) {
  return in_file(path, std::move(error), kWayOut);
}

/// What the file's head says, and that it is as long as that.
std::expected<Head, Error> read_head(const File& file) {
  const auto size = file.size();
  if (!size) return std::unexpected(size.error());
  std::array<char, kHeadSize> bytes{};
  if (auto read = file.read_at(0, bytes); !read) return in_checkpoint(file.path(), std::move(read.error()));
  auto head = decode_head({bytes.data(), bytes.size()});
  if (!head) return in_checkpoint(file.path(), std::move(head.error()));
  // Each bounded by the file before they are added up.
  const bool fits = head->config_bytes <= *size && head->state_bytes <= *size && head->delta_bytes <= *size &&
                    kHeadSize + head->config_bytes + head->state_bytes + head->delta_bytes == *size;
  if (!fits) return in_checkpoint(file.path(), {Errc::damaged, "has another size than its head says"});
  head->record.file_bytes = *size;
  return head;
}

/// Each part's checksum is seeded with the one before: as if they stood in one buffer, without a copy.
std::uint64_t checksum_of_body(std::string_view config, std::string_view state, std::string_view delta) {
  std::uint64_t checksum = 0;
  for (const std::string_view part : {config, state, delta})
    checksum = XXH3_64bits_withSeed(part.data(), part.size(), checksum);
  return checksum;
}

std::expected<void, Error> write_begun(const std::string& path, const Checkpoint& checkpoint, const Head& head) {
  auto file = File::open(path, O_WRONLY | O_CREAT | O_TRUNC, "create the file");
  if (!file) return std::unexpected(std::move(file.error()));
  const std::string head_bytes = encode_head(head);
  std::uint64_t offset = 0;
  for (const std::string_view part : {std::string_view(head_bytes), checkpoint.config.data.view(),
                                      checkpoint.state.view(), checkpoint.delta.view()}) {
    if (auto written = file->write_at(offset, part); !written) return written;
    offset += part.size();
  }
  return file->sync();
}

std::optional<raft::Index> index_of_name(std::string_view name) {
  constexpr std::size_t kDigits = 20;
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return std::nullopt;
  name = name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
  if (name.size() != kDigits || !std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; }))
    return std::nullopt;
  return raft::Index{std::stoull(std::string(name))};
}

std::expected<CheckpointRecord, Error> read_record(const std::string& path, raft::Index index) {
  auto file = File::open(path, O_RDONLY);
  if (!file) return std::unexpected(std::move(file.error()));
  auto head = read_head(*file);
  if (!head) return std::unexpected(std::move(head.error()));
  if (head->record.index != index)
    return in_checkpoint(path, {Errc::damaged, "is of another entry than its name says"});
  return head->record;
}

/// The newest, and from each the one that it goes on from, as long as one is needed; oldest first. A file beside that
/// way was put in place by a save that failed behind it: the next one went on from the one before. If it is the newest,
/// it is on the way: it was flushed before it got its name, and what it covers was durable before.
std::expected<std::vector<CheckpointRecord>, Error> follow(const std::string& generation,
                                                           const std::vector<raft::Index>& indexes,
                                                           raft::Index first_index, raft::Index active_first) {
  const auto path_of = [&generation](raft::Index index) { return generation + "/" + checkpoint_file_name(index); };
  std::vector<CheckpointRecord> records;
  raft::Index next = indexes.empty() ? raft::Index{} : indexes.back();
  while (next != raft::Index{}) {
    if (!std::ranges::binary_search(indexes, next)) {
      if (next < first_index) break;
      return in_checkpoint(
          path_of(records.back().index),
          {Errc::damaged, "goes on from the checkpoint of entry " + std::to_string(next.value) + ", which is missing"});
    }
    auto record = read_record(path_of(next), next);
    if (!record) return std::unexpected(std::move(record.error()));
    if (record->previous >= next)
      return in_checkpoint(path_of(next), {Errc::damaged, "goes on from a later checkpoint"});
    records.push_back(*record);
    next = record->previous;
    // Of those that end before the log begins one can be needed: the newest, to be sent.
    if (next < first_index && record->index < active_first) break;
  }
  std::ranges::reverse(records);
  return records;
}

}  // namespace

raft::Index sendable_index(const std::vector<CheckpointRecord>& checkpoints, raft::Index active_first) {
  const auto after = std::ranges::lower_bound(checkpoints, active_first, {}, &CheckpointRecord::index);
  return after == checkpoints.begin() ? raft::Index{} : std::prev(after)->index;
}

std::string checkpoint_file_name(raft::Index index) {
  return std::string(kPrefix) + digits_of(index) + std::string(kSuffix);
}

std::expected<std::vector<raft::Index>, Error> checkpoints_in(const std::string& generation) {
  std::vector<raft::Index> indexes;
  std::error_code code;
  for (fs::directory_iterator it(generation, code), end; !code && it != end; it.increment(code))
    if (const auto index = index_of_name(it->path().filename().string())) indexes.push_back(*index);
  if (code) return std::unexpected(Error{Errc::setup, generation + ": cannot list the folder: " + code.message()});
  std::ranges::sort(indexes);
  return indexes;
}

std::expected<Checkpoint, Error> read_checkpoint(const std::string& path) {
  auto file = File::open(path, O_RDONLY);
  if (!file) return std::unexpected(std::move(file.error()));
  auto head = read_head(*file);
  if (!head) return std::unexpected(std::move(head.error()));
  std::string body(head->record.file_bytes - kHeadSize, '\0');
  if (auto read = file->read_at(kHeadSize, body); !read) return in_checkpoint(path, std::move(read.error()));
  const std::string_view bytes = body;
  const std::string_view config = bytes.substr(0, head->config_bytes);
  const std::string_view state = bytes.substr(config.size(), head->state_bytes);
  const std::string_view delta = bytes.substr(config.size() + state.size());
  if (checksum_of_body(config, state, delta) != head->body_checksum)
    return in_checkpoint(path, {Errc::damaged, "does not match its checksum"});
  head->config.data = raft::Bytes::copy_of(config);
  return Checkpoint{.index = head->record.index,
                    .term = head->record.term,
                    .config = std::move(head->config),
                    .state = raft::Bytes::copy_of(state),
                    .delta = raft::Bytes::copy_of(delta)};
}

std::expected<std::vector<CheckpointRecord>, Error> CheckpointFiles::find(const std::string& generation,
                                                                          raft::Index first_index,
                                                                          raft::Index active_first) {
  static_cast<void>(unlink((generation + "/" + kBegunName).c_str()));
  const auto indexes = checkpoints_in(generation);
  if (!indexes) return std::unexpected(indexes.error());
  auto records = follow(generation, *indexes, first_index, active_first);
  if (!records) return records;
  const raft::Index needed = std::min(sendable_index(*records, active_first), first_index);
  std::erase_if(*records, [needed](const CheckpointRecord& record) { return record.index < needed; });
  for (const raft::Index index : *indexes) {
    if (std::ranges::find(*records, index, &CheckpointRecord::index) != records->end()) continue;
    const std::string path = generation + "/" + checkpoint_file_name(index);
    if (unlink(path.c_str()) != 0) return failure_errno(path, "remove what an earlier start left");
  }
  return records;
}

std::vector<CheckpointRecord> CheckpointFiles::records() const {
  const std::scoped_lock lock(mutex_);
  return records_;
}

std::expected<void, Error> CheckpointFiles::save(const Checkpoint& checkpoint) {
  const auto known = records();
  Head head{.record = {.index = checkpoint.index, .term = checkpoint.term, .previous = {}},
            .config = checkpoint.config,
            .config_bytes = checkpoint.config.data.size(),
            .state_bytes = checkpoint.state.size(),
            .delta_bytes = checkpoint.delta.size(),
            .body_checksum =
                checksum_of_body(checkpoint.config.data.view(), checkpoint.state.view(), checkpoint.delta.view())};
  if (!known.empty()) head.record.previous = known.back().index;
  WEIR_CHECK(head.record.previous < checkpoint.index, head.record.previous, checkpoint.index);
  const std::string begun = generation_ + "/" + kBegunName;
  const std::string path = path_of(checkpoint.index);
  auto written = write_begun(begun, checkpoint, head);
  if (!written) static_cast<void>(unlink(begun.c_str()));
  if (!written) return written;
  if (std::rename(begun.c_str(), path.c_str()) != 0) return failure_errno(path, "put in place");
  if (auto synced = sync_folder(generation_); !synced) return synced;
  head.record.file_bytes = kHeadSize + head.config_bytes + head.state_bytes + head.delta_bytes;
  const std::scoped_lock lock(mutex_);
  records_.push_back(head.record);
  return {};
}

std::expected<Checkpoint, Error> CheckpointFiles::read(raft::Index index) const {
  const auto known = records();
  if (std::ranges::find(known, index, &CheckpointRecord::index) == known.end())
    return std::unexpected(
        Error{Errc::gone, "the checkpoint of entry " + std::to_string(index.value) + " is not kept"});
  return read_checkpoint(path_of(index));
}

std::vector<std::string> CheckpointFiles::forget(raft::Index first_index, raft::Index active_first) {
  const std::scoped_lock lock(mutex_);
  std::vector<std::string> paths;
  const raft::Index needed = std::min(sendable_index(records_, active_first), first_index);
  while (!records_.empty() && records_.front().index < needed) {
    paths.push_back(path_of(records_.front().index));
    records_.erase(records_.begin());
  }
  return paths;
}

}  // namespace weir::storage
