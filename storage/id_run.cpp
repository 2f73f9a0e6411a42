#include "storage/id_run.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "raft/check.hpp"
#include "storage/file.hpp"
#include "storage/id_filter.hpp"
#include "storage/row_format.hpp"

namespace weir::storage {
namespace {

constexpr std::size_t kHeadSize = 64;
constexpr std::size_t kBlockBytes = 4096;
constexpr std::size_t kRecordBytes = 16;
constexpr std::size_t kRecordsOfBlock = (kBlockBytes - kChecksumEnd) / kRecordBytes;
/// The head has a block to itself, so that blocks are pages.
constexpr std::uint64_t kBlocksBegin = kBlockBytes;
/// A record: key, ordinal | log index. An entry of 12 MiB has fewer events than that.
constexpr unsigned kOrdinalBits = 22;
constexpr std::uint64_t kOrdinalMax = (std::uint64_t{1} << kOrdinalBits) - 1;
static_assert(IdKey::kBits + kOrdinalBits == 64);
/// Written, flushed and read at once: a flush of the log that comes between waits no longer than for this.
constexpr std::size_t kPieceBlocks = 2048;
constexpr std::size_t kVerifiedBlocks = 256;

struct Record {
  std::uint64_t key_and_ordinal = 0;
  std::uint64_t log_index = 0;
  friend auto operator<=>(const Record&, const Record&) = default;
};

Record pack(const KeyedPlace& id) {
  WEIR_CHECK(id.place.ordinal <= kOrdinalMax, id.place.ordinal);
  return {id.key.value << kOrdinalBits | id.place.ordinal, id.place.log_index.value};
}

IdPlace place_of(const Record& record) {
  return {raft::Index{record.log_index}, static_cast<std::uint32_t>(record.key_and_ordinal & kOrdinalMax)};
}

Record record_in(std::string_view block, std::size_t number) {
  const std::size_t at = kChecksumEnd + number * kRecordBytes;
  return {load_u64(block, at), load_u64(block, at + 8)};
}

/// Seeded with its number: a block is not taken for another.
std::uint64_t checksum_of_block(std::string_view block, std::uint64_t number) {
  return XXH3_64bits_withSeed(block.data() + kChecksumEnd, kBlockBytes - kChecksumEnd, number);
}

std::uint64_t blocks_for(std::uint64_t records) {
  return (records + kRecordsOfBlock - 1) / kRecordsOfBlock;
}

struct Head {
  raft::Index first;
  raft::Index last;
  std::uint64_t count = 0;
  std::uint64_t filter_bytes = 0;
  std::uint64_t tail_checksum = 0;  ///< of the fences and the filter
};

std::string encode_head(const Head& head) {
  std::string out(kHeadSize, '\0');
  store(out.data() + 16, head.first.value);
  store(out.data() + 24, head.last.value);
  store(out.data() + 32, head.count);
  store(out.data() + 40, head.filter_bytes);
  store(out.data() + 48, head.tail_checksum);
  seal(out, Magic::id_run);
  return out;
}

std::expected<Head, Error> decode_head(std::string_view bytes) {
  if (auto ok = check_prefix(bytes, Magic::id_run, kHeadSize, "the run's head"); !ok)
    return std::unexpected(std::move(ok.error()));
  return Head{.first = raft::Index{load_u64(bytes, 16)},
              .last = raft::Index{load_u64(bytes, 24)},
              .count = load_u64(bytes, 32),
              .filter_bytes = load_u64(bytes, 40),
              .tail_checksum = load_u64(bytes, 48)};
}

class FileRun final : public IdRun {
 public:
  FileRun(File file, const Head& head, std::vector<std::uint64_t> fences, IdFilter filter)
      : file_(std::move(file)), head_(head), fences_(std::move(fences)), filter_(std::move(filter)) {}

  [[nodiscard]] raft::Index first_index() const override { return head_.first; }
  [[nodiscard]] raft::Index last_index() const override { return head_.last; }
  [[nodiscard]] std::uint64_t size() const override { return head_.count; }
  [[nodiscard]] std::size_t memory_bytes() const override {
    return sizeof(*this) + fences_.size() * sizeof(std::uint64_t) + filter_.memory_bytes();
  }
  [[nodiscard]] std::uint64_t disk_bytes() const override {
    return kBlocksBegin + fences_.size() * (kBlockBytes + sizeof(std::uint64_t)) + head_.filter_bytes;
  }
  [[nodiscard]] bool may_contain(IdKey key) const override { return filter_.may_contain(key); }

  [[nodiscard]] std::expected<void, Error> find(IdKey key, std::vector<IdPlace>& places) const override {
    const std::uint64_t low = key.value << kOrdinalBits;
    const std::uint64_t high = low | kOrdinalMax;
    // Places of one key may begin in the middle of a block and go on in the next.
    auto block = static_cast<std::uint64_t>(std::ranges::lower_bound(fences_, low) - fences_.begin());
    block -= block > 0 ? 1 : 0;
    std::string bytes(kBlockBytes, '\0');
    for (; block < fences_.size() && fences_[block] <= high; ++block) {
      if (auto read = read_blocks(block, bytes); !read) return read;
      for (std::size_t number = 0; number < records_in(block); ++number) {
        const Record record = record_in(bytes, number);
        if (record.key_and_ordinal >= low && record.key_and_ordinal <= high)
          places.push_back(storage::place_of(record));
      }
    }
    return {};
  }

  [[nodiscard]] std::expected<void, Error> verify(
      const std::function<std::expected<void, Error>(std::size_t)>& looked_at) const override {
    std::string bytes;
    for (std::uint64_t block = 0; block < fences_.size(); block += kVerifiedBlocks) {
      bytes.resize(std::min<std::uint64_t>(kVerifiedBlocks, fences_.size() - block) * kBlockBytes);
      if (auto read = read_blocks(block, bytes); !read) return read;
      if (auto goes_on = looked_at(bytes.size()); !goes_on) return goes_on;
    }
    return {};
  }

  [[nodiscard]] std::uint64_t block_count() const { return fences_.size(); }
  [[nodiscard]] std::size_t records_in(std::uint64_t block) const {
    return std::min<std::uint64_t>(kRecordsOfBlock, head_.count - block * kRecordsOfBlock);
  }
  /// As many blocks as fit into `bytes`, verified.
  [[nodiscard]] std::expected<void, Error> read_blocks(std::uint64_t first, std::span<char> bytes) const {
    if (auto read = file_.read_at(kBlocksBegin + first * kBlockBytes, bytes); !read)
      return in_file(file_.path(), {Errc::io, read.error().text});
    for (std::size_t at = 0; at < bytes.size(); at += kBlockBytes, ++first) {
      const std::string_view block(bytes.data() + at, kBlockBytes);
      if (load_u64(block, 0) == checksum_of_block(block, first)) continue;
      // The log has all of it: no reason to call the node damaged.
      static_cast<void>(unlink(file_.path().c_str()));
      return in_file(file_.path(), {Errc::io, "block " + std::to_string(first) +
                                                  " does not match its checksum; the file is removed: a start makes it "
                                                  "again from the log"});
    }
    return {};
  }

 private:
  const File file_;
  const Head head_;
  const std::vector<std::uint64_t> fences_;  ///< of each block the first key_and_ordinal
  const IdFilter filter_;
};

/// Writes records that come in order.
class Writer {
 public:
  /// `count_max`: no more will come; the filter is made for so many.
  static std::expected<Writer, Error> begin(const std::string& path, std::uint64_t count_max) {
    auto file = File::open(path, O_WRONLY | O_CREAT | O_TRUNC, "create the file");
    if (!file) return std::unexpected(std::move(file.error()));
    return Writer(*std::move(file), count_max);
  }

  std::expected<void, Error> add(const Record& record) {
    if (in_block_ == 0) {
      fences_.push_back(record.key_and_ordinal);
      piece_.resize(piece_.size() + kBlockBytes, '\0');
    }
    char* const at = piece_.data() + piece_.size() - kBlockBytes + kChecksumEnd + in_block_ * kRecordBytes;
    store(at, record.key_and_ordinal);
    store(at + 8, record.log_index);
    filter_.add({record.key_and_ordinal >> kOrdinalBits});
    ++count_;
    if (++in_block_ < kRecordsOfBlock) return {};
    in_block_ = 0;
    return piece_.size() < kPieceBlocks * kBlockBytes ? std::expected<void, Error>() : write_piece();
  }

  std::expected<void, Error> finish(raft::Index first, raft::Index last) {
    if (auto written = write_piece(); !written) return written;
    std::string tail(fences_.size() * sizeof(std::uint64_t), '\0');
    for (std::size_t number = 0; number < fences_.size(); ++number) store(tail.data() + number * 8, fences_[number]);
    filter_.append_to(tail);
    if (auto written = file_.write_at(end_, tail); !written) return written;
    const Head head{.first = first,
                    .last = last,
                    .count = count_,
                    .filter_bytes = filter_.memory_bytes(),
                    .tail_checksum = XXH3_64bits(tail.data(), tail.size())};
    if (auto written = file_.write_at(0, encode_head(head)); !written) return written;
    return file_.sync();
  }

 private:
  Writer(File file, std::uint64_t count_max) : file_(std::move(file)), filter_(count_max) {}

  /// Flushed piece by piece: a flush of everything at the end would hold up the log's own.
  std::expected<void, Error> write_piece() {
    for (std::size_t at = 0; at < piece_.size(); at += kBlockBytes, ++blocks_)
      store(piece_.data() + at, checksum_of_block({piece_.data() + at, kBlockBytes}, blocks_));
    if (auto written = file_.write_at(end_, piece_); !written) return written;
    end_ += piece_.size();
    piece_.clear();
    return file_.sync();
  }

  File file_;
  IdFilter filter_;
  std::vector<std::uint64_t> fences_;
  std::string piece_;
  std::size_t in_block_ = 0;
  std::uint64_t blocks_ = 0;
  std::uint64_t count_ = 0;
  std::uint64_t end_ = kBlocksBegin;
};

/// The records of a run, one after the other.
class Reader {
 public:
  explicit Reader(const FileRun& run) : run_(&run) {}

  /// nullopt at the end.
  std::expected<std::optional<Record>, Error> next() {
    if (at_ == run_->records_in(block_)) {
      ++block_;
      at_ = 0;
    }
    if (block_ >= run_->block_count()) return std::nullopt;
    if (block_ >= piece_end_) {
      const std::uint64_t count = std::min<std::uint64_t>(kPieceBlocks, run_->block_count() - block_);
      piece_.resize(count * kBlockBytes);
      piece_begin_ = block_;
      piece_end_ = block_ + count;
      if (auto read = run_->read_blocks(block_, piece_); !read) return std::unexpected(std::move(read.error()));
    }
    return record_in(std::string_view(piece_).substr((block_ - piece_begin_) * kBlockBytes, kBlockBytes), at_++);
  }

 private:
  const FileRun* run_;
  std::string piece_;
  std::uint64_t piece_begin_ = 0;
  std::uint64_t piece_end_ = 0;
  std::uint64_t block_ = 0;
  std::size_t at_ = 0;
};

}  // namespace

std::string id_run_file_name(raft::Index first, raft::Index last) {
  return "ids-" + digits_of(first) + "-" + digits_of(last) + ".wid";
}

std::expected<std::shared_ptr<const IdRun>, Error> open_id_run(const std::string& path) {
  auto file = File::open(path, O_RDONLY);
  if (!file) return std::unexpected(std::move(file.error()));
  const auto size = file->size();
  if (!size) return std::unexpected(size.error());
  std::array<char, kHeadSize> bytes{};
  if (auto read = file->read_at(0, bytes); !read) return std::unexpected(std::move(read.error()));
  const auto head = decode_head({bytes.data(), bytes.size()});
  if (!head) return in_file(path, head.error());
  const std::uint64_t blocks = blocks_for(head->count);
  const std::uint64_t tail = kBlocksBegin + blocks * kBlockBytes;
  // Each bounded by the file before they are added up.
  const bool fits = head->count <= *size && head->filter_bytes <= *size && head->first <= head->last &&
                    IdFilter::is_size(head->filter_bytes) &&
                    tail + blocks * sizeof(std::uint64_t) + head->filter_bytes == *size;
  if (!fits) return in_file(path, {Errc::damaged, "has another size than its head says"});
  std::string rest(blocks * sizeof(std::uint64_t) + head->filter_bytes, '\0');
  if (auto read = file->read_at(tail, rest); !read) return std::unexpected(std::move(read.error()));
  if (XXH3_64bits(rest.data(), rest.size()) != head->tail_checksum)
    return in_file(path, {Errc::damaged, "its filter does not match its checksum"});
  std::vector<std::uint64_t> fences(blocks);
  for (std::uint64_t block = 0; block < blocks; ++block) fences[block] = load_u64(rest, block * sizeof(std::uint64_t));
  IdFilter filter = IdFilter::from(std::string_view(rest).substr(blocks * sizeof(std::uint64_t)));
  return std::make_shared<const FileRun>(*std::move(file), *head, std::move(fences), std::move(filter));
}

std::expected<std::vector<KeyedPlace>, Error> find_ids(const IdRuns& runs, const std::vector<IdKey>& keys) {
  std::vector<KeyedPlace> found;
  std::vector<IdPlace> places;
  for (const IdKey key : keys) {
    places.clear();
    for (const auto& run : runs) {
      if (!run->may_contain(key)) continue;
      if (auto looked = run->find(key, places); !looked) return std::unexpected(std::move(looked.error()));
    }
    for (const IdPlace& place : places) found.push_back({key, place});
  }
  return found;
}

std::expected<void, Error> write_id_run(const std::string& path, raft::Index first, raft::Index last,
                                        std::vector<KeyedPlace>& ids) {
  std::ranges::sort(ids);
  auto writer = Writer::begin(path, ids.size());
  if (!writer) return std::unexpected(std::move(writer.error()));
  for (const KeyedPlace& id : ids)
    if (auto added = writer->add(pack(id)); !added) return added;
  return writer->finish(first, last);
}

std::expected<void, Error> merge_id_runs(const std::string& path, const IdRuns& runs, raft::Index first_needed) {
  struct Source {
    Reader reader;
    Record record;
  };
  std::vector<Source> sources;
  std::uint64_t count_max = 0;
  for (const auto& run : runs) {
    sources.push_back({Reader(static_cast<const FileRun&>(*run)), {}});
    count_max += run->size();
  }
  // False once a source has no more.
  const auto go_on = [](Source& source) -> std::expected<bool, Error> {
    auto next = source.reader.next();
    if (!next) return std::unexpected(std::move(next.error()));
    if (*next) source.record = **next;
    return next->has_value();
  };
  auto writer = Writer::begin(path, count_max);
  if (!writer) return std::unexpected(std::move(writer.error()));
  for (auto source = sources.begin(); source != sources.end();) {
    const auto more = go_on(*source);
    if (!more) return std::unexpected(more.error());
    source = *more ? std::next(source) : sources.erase(source);
  }
  while (!sources.empty()) {
    const auto least = std::ranges::min_element(sources, {}, &Source::record);
    if (least->record.log_index >= first_needed.value)
      if (auto added = writer->add(least->record); !added) return added;
    const auto more = go_on(*least);
    if (!more) return std::unexpected(more.error());
    if (!*more) sources.erase(least);
  }
  return writer->finish(runs.front()->first_index(), runs.back()->last_index());
}

}  // namespace weir::storage
