#include "tests/sim/sim_snapshot.hpp"

#include <utility>

namespace weir::sim {
namespace {

constexpr std::size_t kNumberBytes = 8;

void put(std::string& out, std::uint64_t number) {
  for (std::size_t i = 0; i < kNumberBytes; ++i) {
    out.push_back(static_cast<char>(number >> (8 * i)));
  }
}

void put(std::string& out, const raft::Bytes& bytes) {
  put(out, bytes.size());
  out.append(bytes.view());
}

void put(std::string& out, const raft::Entry& entry) {
  put(out, entry.index.value);
  put(out, entry.term.value);
  put(out, static_cast<std::uint64_t>(entry.command));
  put(out, entry.checksum);
  put(out, entry.data);
}

/// FNV-1a.
[[nodiscard]] std::uint64_t checksum_of(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char byte : bytes) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3U;
  }
  return hash;
}

/// Only what encode() wrote is ever read: the checksum is looked at first.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  std::uint64_t number() {
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < kNumberBytes; ++i) {
      number |= std::uint64_t{static_cast<unsigned char>(bytes_[i])} << (8 * i);
    }
    bytes_.remove_prefix(kNumberBytes);
    return number;
  }
  raft::Bytes bytes() {
    const std::uint64_t size = number();
    auto bytes = raft::Bytes::copy_of(bytes_.substr(0, size));
    bytes_.remove_prefix(size);
    return bytes;
  }
  raft::Entry entry() {
    raft::Entry entry;
    entry.index = raft::Index{number()};
    entry.term = raft::Term{number()};
    entry.command = static_cast<raft::Command>(number());
    entry.checksum = number();
    entry.data = bytes();
    return entry;
  }

 private:
  std::string_view bytes_;
};

}  // namespace

std::string encode(const SnapshotContent& content) {
  std::string out;
  put(out, content.checkpoints.size());
  for (const storage::Checkpoint& checkpoint : content.checkpoints) {
    put(out, checkpoint.index.value);
    put(out, checkpoint.term.value);
    put(out, checkpoint.config);
    put(out, checkpoint.state);
    put(out, checkpoint.delta);
  }
  put(out, content.first_index.value);
  put(out, content.prev_term.value);
  put(out, content.entries.size());
  for (const raft::Entry& entry : content.entries) {
    put(out, entry);
  }
  put(out, checksum_of(out));
  return out;
}

std::optional<SnapshotContent> decode(std::string_view bytes, const raft::Snapshot& snapshot) {
  if (bytes.size() < kNumberBytes) {
    return std::nullopt;
  }
  const auto covered = bytes.substr(0, bytes.size() - kNumberBytes);
  if (Reader(bytes.substr(covered.size())).number() != checksum_of(covered)) {
    return std::nullopt;
  }
  Reader reader(covered);
  SnapshotContent content;
  for (std::uint64_t left = reader.number(); left > 0; --left) {
    storage::Checkpoint checkpoint;
    checkpoint.index = raft::Index{reader.number()};
    checkpoint.term = raft::Term{reader.number()};
    checkpoint.config = reader.entry();
    checkpoint.state = reader.bytes();
    checkpoint.delta = reader.bytes();
    content.checkpoints.push_back(std::move(checkpoint));
  }
  content.first_index = raft::Index{reader.number()};
  content.prev_term = raft::Term{reader.number()};
  for (std::uint64_t left = reader.number(); left > 0; --left) {
    content.entries.push_back(reader.entry());
  }
  const bool fits = !content.checkpoints.empty() && content.checkpoints.back().index == snapshot.index &&
                    content.checkpoints.back().term == snapshot.term &&
                    content.checkpoints.back().config == snapshot.config && content.last_index() == snapshot.index;
  return fits ? std::optional(std::move(content)) : std::nullopt;
}

}  // namespace weir::sim
