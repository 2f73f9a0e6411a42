// Reading: a short transaction, every chunk verified, its entries copied into one shared buffer.
#include <algorithm>
#include <cstring>
#include <iterator>
#include <memory>
#include <utility>

#include "raft/check.hpp"
#include "storage/lmdb_log_store.hpp"

namespace weir::storage {
namespace {

// What is still wanted; shared by the chunks that a read goes through.
struct Wanted {
  raft::Index next;
  raft::Index last;
  raft::Index segment_last;  ///< what a rolled segment has behind it was truncated
  std::size_t bytes_left;
  bool done = false;
};

// Bytes of records from `wanted.next` on that are wanted: [begin, end) of the body.
struct Range {
  std::size_t begin = 0;
  std::size_t end = 0;
};

Range take_range(const ChunkView& chunk, Wanted& wanted) {
  Range range;
  std::size_t offset = 0;
  const raft::Index end = std::min(chunk.last_index(), wanted.segment_last);
  for (raft::Index index = chunk.header().first_index; index <= end && !wanted.done; index = index.next()) {
    const RecordView record = record_at(chunk.body(), offset);
    offset += record_size(record.data.size());
    const std::size_t data_size = record.command == raft::Command::hollow ? kHollowBytes : record.data.size();
    if (index < wanted.next) {
      range.begin = offset;
      continue;
    }
    range.end = offset;
    wanted.next = index.next();
    wanted.done = index == wanted.last || data_size >= wanted.bytes_left;
    if (!wanted.done) wanted.bytes_left -= data_size;
  }
  return range;
}

void copy_entries(const ChunkView& chunk, raft::Index first, Range range, std::vector<raft::Entry>& out) {
  const std::size_t size = range.end - range.begin;
  const auto buffer = std::make_shared_for_overwrite<char[]>(size);
  std::memcpy(buffer.get(), chunk.body().data() + range.begin, size);
  const std::shared_ptr<const void> owner(buffer, buffer.get());
  const std::string_view records(buffer.get(), size);
  raft::Index index = first;
  for (std::size_t offset = 0; offset < size; index = index.next()) {
    const RecordView record = record_at(records, offset);
    out.push_back({index, record.term, record.command, record.checksum, raft::Bytes(owner, record.data)});
    offset += record_size(record.data.size());
  }
}

std::expected<ChunkView, Error> verify(const Row& row, const std::string& path, std::uint64_t segment_id) {
  auto chunk = ChunkView::verify(row.value);
  const std::string at = path + ": at index " + std::to_string(index_of_key(row.key).value) + ": ";
  if (!chunk)
    return std::unexpected(Error{chunk.error().code,
                                 at + chunk.error().text + "; the node must stop: started again it says what is left"});
  if (chunk->header().segment_id != segment_id || chunk->header().first_index != index_of_key(row.key))
    return std::unexpected(Error{Errc::damaged, at + "the chunk belongs to another place"});
  return chunk;
}

// Adds what is wanted of one segment.
std::expected<void, Error> read_segment(const Segment& segment, Wanted& wanted, std::vector<raft::Entry>& entries) {
  auto txn = ReadTxn::begin(segment.env);
  if (!txn) return std::unexpected(std::move(txn.error()));
  auto cursor = txn->cursor();
  if (!cursor) return std::unexpected(std::move(cursor.error()));
  auto row = cursor->seek_at_or_before(segment_key(wanted.next));
  if (row && *row && index_of_key((*row)->key) == raft::Index{0}) row = cursor->next();  // the head
  while (row && *row && !wanted.done && wanted.next <= wanted.segment_last) {
    auto chunk = verify(**row, segment.env.path(), segment.record.segment_id);
    if (!chunk) return std::unexpected(std::move(chunk.error()));
    const raft::Index from = wanted.next;
    const Range range = take_range(*chunk, wanted);
    if (range.end > range.begin) copy_entries(*chunk, from, range, entries);
    row = cursor->next();
  }
  if (!row) return std::unexpected(std::move(row.error()));
  return {};
}

/// Holds one of the places that LMDB's reader table has.
class ReaderSlot {
 public:
  explicit ReaderSlot(std::counting_semaphore<LmdbLogStore::kReadersMax>& slots) : slots_(slots) { slots_.acquire(); }
  ReaderSlot(const ReaderSlot&) = delete;
  ReaderSlot& operator=(const ReaderSlot&) = delete;
  ~ReaderSlot() { slots_.release(); }

 private:
  std::counting_semaphore<LmdbLogStore::kReadersMax>& slots_;
};

}  // namespace

std::expected<std::vector<raft::Entry>, Error> LmdbLogStore::read(raft::Index first, raft::Index last,
                                                                  std::size_t bytes_max) const {
  WEIR_CHECK(first > raft::Index{0}, first);
  const ReaderSlot slot(readers_);
  std::vector<raft::Entry> entries;
  if (first > last) return entries;
  // Kept until the end: a segment that is dropped meanwhile stays mapped for as long as it is read.
  const std::shared_ptr<const Segments> chain = segments();
  if (first < chain->front()->record.first_index)
    return std::unexpected(Error{Errc::gone, "entry " + std::to_string(first.value) +
                                                 " was dropped from the log; the first is " +
                                                 std::to_string(chain->front()->record.first_index.value)});
  Wanted wanted{first, last, last, bytes_max};
  const auto after = std::ranges::upper_bound(
      *chain, first, {}, [](const std::shared_ptr<const Segment>& segment) { return segment->record.first_index; });
  for (auto segment = std::prev(after); segment != chain->end() && !wanted.done; ++segment) {
    const auto following = std::next(segment);
    wanted.segment_last = following == chain->end() ? last : (*following)->record.first_index.prev();
    if (auto done = read_segment(**segment, wanted, entries); !done) return std::unexpected(std::move(done.error()));
  }
  return entries;
}

}  // namespace weir::storage
