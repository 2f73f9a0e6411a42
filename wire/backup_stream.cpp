#include "wire/backup_stream.hpp"

#include <array>
#include <utility>

#include "raft/check.hpp"
#include "wire/entry.hpp"
#include "wire/hash.hpp"

namespace weir::wire {
namespace {

constexpr std::uint32_t kHead = 1;
constexpr std::uint32_t kSnapshot = 2;
constexpr std::uint32_t kPiece = 3;
constexpr std::uint32_t kEntries = 4;
constexpr std::uint32_t kEnd = 5;

/// Reads as text; the byte behind it is the version.
constexpr std::string_view kMagic = "WEIRBAK";
constexpr char kVersion = 1;
constexpr std::size_t kFrameHeadBytes = 16;
constexpr std::size_t kNameBytesMax = 255;

std::unexpected<Error> malformed(std::string text) {
  return std::unexpected(Error{Errc::malformed, "the backup " + std::move(text)});
}

template <class T>
void put(std::string& out, T value) {
  for (std::size_t byte = 0; byte < sizeof(T); ++byte)
    out.push_back(static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * byte)));
}

void put_text(std::string& out, std::string_view text) {
  put(out, static_cast<std::uint32_t>(text.size()));
  out += text;
}

void put_entry(std::string& out, const raft::Entry& entry) {
  put(out, entry.index.value);
  put(out, entry.term.value);
  put(out, static_cast<std::uint64_t>(entry.command));
  put(out, entry.checksum);
  put_text(out, entry.data.view());
}

/// Numbers and texts, one after the other. After the first that is not there everything is 0 or empty.
class Fields {
 public:
  explicit Fields(std::string_view rest) : rest_(rest) {}

  template <class T>
  T number() {
    if (rest_.size() < sizeof(T)) return broken<T>();
    std::uint64_t value = 0;
    for (std::size_t byte = 0; byte < sizeof(T); ++byte)
      value |= std::uint64_t{static_cast<unsigned char>(rest_[byte])} << (8 * byte);
    rest_.remove_prefix(sizeof(T));
    return static_cast<T>(value);
  }
  std::uint64_t u64() { return number<std::uint64_t>(); }
  std::string_view text() {
    const auto size = number<std::uint32_t>();
    if (size > rest_.size()) return broken<std::string_view>();
    const std::string_view text = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return text;
  }
  raft::Entry entry() {
    raft::Entry entry;
    entry.index = raft::Index{u64()};
    entry.term = raft::Term{u64()};
    const std::uint64_t command = u64();
    whole_ = whole_ && command <= 255;
    entry.command = static_cast<raft::Command>(command);
    entry.checksum = u64();
    entry.data = raft::Bytes::copy_of(text());
    return entry;
  }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  /// Everything that was asked for was there.
  [[nodiscard]] bool whole() const { return whole_; }

 private:
  template <class T>
  T broken() {
    whole_ = false;
    rest_ = {};
    return {};
  }
  std::string_view rest_;
  bool whole_ = true;
};

std::uint64_t frame_checksum(std::uint64_t before, std::uint32_t kind, std::string_view payload) {
  std::string prefix;
  put(prefix, before);
  put(prefix, kind);
  const std::array<std::string_view, 2> parts{prefix, payload};
  return checksum_of(parts);
}

}  // namespace

std::string BackupWriter::frame(std::uint32_t kind, std::string_view payload) {
  WEIR_CHECK(payload.size() <= kBackupFrameBytesMax, payload.size());
  checksum_ = frame_checksum(checksum_, kind, payload);
  std::string out;
  out.reserve(kFrameHeadBytes + payload.size());
  put(out, static_cast<std::uint32_t>(payload.size()));
  put(out, kind);
  put(out, checksum_);
  out += payload;
  return out;
}

std::string BackupWriter::head(const BackupHead& head) {
  std::string payload;
  for (const std::string_view text :
       {std::string_view(head.cluster_id), std::string_view(head.epoch), std::string_view(head.node)})
    put_text(payload, text);
  for (const std::uint64_t number : {head.index.value, head.term.value, head.time_ms, head.position.value, head.events,
                                     head.topics, head.ids, head.digest})
    put(payload, number);
  return std::string(kMagic) + kVersion + frame(kHead, payload);
}

std::string BackupWriter::snapshot(const raft::Snapshot& snapshot) {
  std::string payload;
  for (const std::uint64_t number : {snapshot.index.value, snapshot.term.value, snapshot.number, snapshot.size})
    put(payload, number);
  put_entry(payload, snapshot.config);
  return frame(kSnapshot, payload);
}

std::string BackupWriter::piece(std::string_view bytes) {
  return frame(kPiece, bytes);
}

std::string BackupWriter::entries(std::span<const raft::Entry> entries) {
  std::string payload;
  for (const raft::Entry& entry : entries) put_entry(payload, entry);
  return frame(kEntries, payload);
}

std::string BackupWriter::end() {
  return frame(kEnd, {});
}

void BackupReader::feed(std::string_view bytes) {
  bytes_.erase(0, std::exchange(taken_, 0));
  bytes_ += bytes;
}

std::expected<std::optional<BackupPart>, Error> BackupReader::next() {
  std::string_view rest = std::string_view(bytes_).substr(taken_);
  const bool at_begin = !head_;
  if (at_begin) {
    const std::string_view start = rest.substr(0, kMagic.size());
    if (start != kMagic.substr(0, start.size())) return malformed("does not begin like one: this is something else");
    if (rest.size() <= kMagic.size()) return std::nullopt;
    if (rest[kMagic.size()] != kVersion)
      return std::unexpected(Error{Errc::bad_version, "the backup has format version " +
                                                          std::to_string(int{rest[kMagic.size()]}) +
                                                          ", this build knows version 1; use a newer weir"});
    rest.remove_prefix(kMagic.size() + 1);
  }
  Fields fields(rest.substr(0, kFrameHeadBytes));
  const auto size = fields.number<std::uint32_t>();
  const auto kind = fields.number<std::uint32_t>();
  const auto checksum = fields.u64();
  if (!fields.whole()) return std::nullopt;
  if (size > kBackupFrameBytesMax) return malformed("has a frame longer than any that is written: it was changed");
  if (rest.size() - kFrameHeadBytes < size) return std::nullopt;
  const std::string_view payload = rest.substr(kFrameHeadBytes, size);
  if (frame_checksum(checksum_, kind, payload) != checksum)
    return std::unexpected(Error{Errc::bad_checksum,
                                 "the backup does not match its checksum: bytes were changed or "
                                 "lost; do not use it, take another one"});
  auto part = take(kind, payload);
  if (!part) return std::unexpected(std::move(part.error()));
  checksum_ = checksum;
  taken_ += kFrameHeadBytes + size + (at_begin ? kMagic.size() + 1 : 0);
  return *std::move(part);
}

std::expected<void, Error> BackupReader::finish() const {
  if (!ended_)
    return std::unexpected(
        Error{Errc::truncated, "the backup has no end: it was cut off; do not use it, take another one"});
  if (taken_ != bytes_.size()) return malformed("goes on behind its end");
  return {};
}

BackupReader::Part BackupReader::take(std::uint32_t kind, std::string_view payload) {
  if (ended_) return malformed("goes on behind its end");
  if (head_.has_value() == (kind == kHead)) return malformed("does not begin with its only head");
  switch (kind) {
    case kHead:
      return take_head(payload);
    case kSnapshot:
      return take_snapshot(payload);
    case kPiece:
      return take_piece(payload);
    case kEntries:
      return take_entries(payload);
    case kEnd:
      return take_end(payload);
    default:
      return std::unexpected(
          Error{Errc::unknown_type, "the backup has a frame of kind " + std::to_string(kind) + "; use a newer weir"});
  }
}

BackupReader::Part BackupReader::take_head(std::string_view payload) {
  Fields fields(payload);
  BackupHead head;
  head.cluster_id = fields.text();
  head.epoch = fields.text();
  head.node = fields.text();
  head.index = raft::Index{fields.u64()};
  head.term = raft::Term{fields.u64()};
  head.time_ms = fields.u64();
  head.position = raft::Position{fields.u64()};
  head.events = fields.u64();
  head.topics = fields.u64();
  head.ids = fields.u64();
  head.digest = fields.u64();
  const bool fits = fields.whole() && fields.at_end() && head.index != raft::Index{} && head.term != raft::Term{} &&
                    head.cluster_id.size() <= kNameBytesMax && head.epoch.size() <= kNameBytesMax &&
                    head.node.size() <= kNameBytesMax;
  if (!fits) return malformed("has a head that is none");
  head_ = head;
  return head;
}

BackupReader::Part BackupReader::take_snapshot(std::string_view payload) {
  Fields fields(payload);
  raft::Snapshot snapshot;
  snapshot.index = raft::Index{fields.u64()};
  snapshot.term = raft::Term{fields.u64()};
  snapshot.number = fields.u64();
  snapshot.size = fields.u64();
  snapshot.config = fields.entry();
  const bool fits = fields.whole() && fields.at_end() && !begun_ && snapshot.index != raft::Index{} &&
                    snapshot.index <= head_->index && snapshot.term <= head_->term && snapshot.size > 0 &&
                    snapshot.config.command == raft::Command::config && snapshot.config.index <= snapshot.index &&
                    checksum_holds(snapshot.config);
  if (!fits) return malformed("names a snapshot that has no place in it");
  begun_ = true;
  snapshot_left_ = snapshot.size;
  reached_ = snapshot.index;
  term_ = snapshot.term;
  return snapshot;
}

BackupReader::Part BackupReader::take_piece(std::string_view payload) {
  if (payload.empty() || payload.size() > snapshot_left_) return malformed("has more of a snapshot than there is");
  snapshot_left_ -= payload.size();
  return BackupPiece{payload};
}

BackupReader::Part BackupReader::take_entries(std::string_view payload) {
  if (snapshot_left_ > 0) return malformed("has entries within its snapshot");
  begun_ = true;
  BackupEntries entries;
  Fields fields(payload);
  while (!fields.at_end()) {
    raft::Entry entry = fields.entry();
    const bool fits = fields.whole() && entry.index == reached_.next() && entry.index <= head_->index &&
                      entry.term >= term_ && entry.term <= head_->term && entry.term != raft::Term{};
    if (!fits) return malformed("has an entry that has no place behind the one before it");
    if (!checksum_holds(entry))
      return std::unexpected(Error{Errc::bad_checksum, "the backup's entry " + std::to_string(entry.index.value) +
                                                           " does not match its checksum; take another backup"});
    reached_ = entry.index;
    term_ = entry.term;
    entries.push_back(std::move(entry));
  }
  if (entries.empty()) return malformed("has a frame of no entries");
  return entries;
}

BackupReader::Part BackupReader::take_end(std::string_view payload) {
  if (!payload.empty() || snapshot_left_ > 0 || reached_ != head_->index || term_ != head_->term)
    return malformed("ends before all of it has come");
  ended_ = true;
  return BackupEnd{};
}

}  // namespace weir::wire
