#include "storage/inspect.hpp"

#include <unistd.h>

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/checkpoint_file.hpp"
#include "storage/file.hpp"
#include "storage/folder.hpp"
#include "storage/log_recovery.hpp"
#include "storage/page_file.hpp"
#include "storage/schema.hpp"

namespace weir::storage {
namespace {

using Done = std::expected<void, Error>;

std::string hex(std::uint64_t value) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (unsigned shift = 64; shift > 0; shift -= 4) text += kDigits[(value >> (shift - 4)) & 0xfU];
  return text;
}

std::string text_of(raft::Index index) {
  return std::to_string(index.value);
}

struct StateRows {
  IdentityRow identity;
  raft::HardState hard_state;
  std::vector<SegmentRecord> segments;
};

std::expected<StateRows, Error> read_state(const std::string& generation) {
  const std::string path = generation + "/state.mdb";
  std::string identity_row;
  std::string hard_state_row;
  std::string list_row;
  auto visited = visit_rows(path, [&](std::string_view key, std::string_view value) -> Done {
    if (key == kIdentityKey) identity_row = value;
    if (key == kHardStateKey) hard_state_row = value;
    if (key == kSegmentListKey) list_row = value;
    return {};
  });
  if (!visited) return std::unexpected(std::move(visited.error()));
  auto identity = decode_identity(identity_row);
  if (!identity) return in_file(path, std::move(identity.error()));
  auto hard_state = decode_hard_state(hard_state_row, identity->incarnation);
  if (!hard_state) return in_file(path, std::move(hard_state.error()));
  auto segments = decode_segment_list(list_row);
  if (!segments) return in_file(path, std::move(segments.error()));
  if (segments->empty()) return in_file(path, {Errc::damaged, "it lists no segment"});
  return StateRows{std::move(*identity), *hard_state, std::move(*segments)};
}

/// Version 1 named its one segment otherwise.
std::string path_of(const std::string& generation, const SegmentRecord& record) {
  const std::string path = generation + "/" + segment_file_name(record);
  const std::string old_path = generation + "/" + segment_file_name_of_version_1(record.first_index);
  return access(path.c_str(), F_OK) != 0 && access(old_path.c_str(), F_OK) == 0 ? old_path : path;
}

/// Its lock keeps nodes away while it is looked at.
std::expected<DataFolder, Error> open_folder(const std::string& folder) {
  // DataFolder::open would make one.
  if (access((folder + "/LOCK").c_str(), F_OK) != 0)
    return std::unexpected(Error{Errc::setup, folder + ": is not a data folder"});
  auto opened = DataFolder::open(folder);
  if (opened && !opened->generation())
    return std::unexpected(Error{Errc::setup, folder + ": is a data folder that no node has used yet"});
  return opened;
}

void dump_head(const SegmentHead& head, const LinePrinter& print) {
  std::string line = "  head   id " + hex(head.segment_id) + "  first index " + text_of(head.first_index) +
                     "  sequence floor " + std::to_string(head.sequence_floor) + "  previous checksum " +
                     hex(head.previous_checksum) + "  previous term " + std::to_string(head.previous_term.value);
  if (head.rewritten)
    line += "  rewritten to index " + text_of(head.rewritten->last_index) + ", which had sequence " +
            std::to_string(head.rewritten->chain.sequence) + ", checksum " + hex(head.rewritten->chain.checksum);
  print(line);
}

void dump_chunk(const ChunkView& chunk, std::size_t size, const LinePrinter& print) {
  const ChunkHeader& header = chunk.header();
  print("  chunk  " + text_of(header.first_index) + ".." + text_of(chunk.last_index()) + "  sequence " +
        std::to_string(header.sequence) + "  bytes " + std::to_string(size) + "  checksum " + hex(chunk.checksum()) +
        "  previous " + hex(header.previous_checksum));
  std::size_t offset = 0;
  for (std::uint32_t number = 0; number < header.count; ++number) {
    const RecordView record = record_at(chunk.body(), offset);
    print("    " + text_of(header.first_index + number) + "  term " + std::to_string(record.term.value) + "  " +
          std::string(to_string(record.command)) + "  data " + std::to_string(record.data.size()) + "  checksum " +
          hex(record.checksum));
    offset += record_size(record.data.size());
  }
}

struct Counts {
  std::uint64_t chunks = 0;
  std::uint64_t entries = 0;
};

/// Every row of one file, verified; printed too if `print` is given.
std::expected<Counts, Error> walk_segment(const std::string& path, const LinePrinter& print) {
  Counts counts;
  auto visited = visit_rows(path, [&](std::string_view key, std::string_view value) -> Done {
    if (key.size() != 8) return std::unexpected(Error{Errc::damaged, "a row has a key of another format"});
    if (index_of_key(key) == raft::Index{0}) {
      auto head = decode_segment_head(value);
      if (!head) return std::unexpected(std::move(head.error()));
      if (print) dump_head(*head, print);
      return {};
    }
    auto chunk = ChunkView::verify(value);
    if (!chunk)
      return std::unexpected(
          Error{chunk.error().code, "at index " + text_of(index_of_key(key)) + ": " + chunk.error().text});
    if (print) dump_chunk(*chunk, value.size(), print);
    ++counts.chunks;
    counts.entries += chunk->header().count;
    return {};
  });
  if (visited) return counts;
  return in_file(path, std::move(visited.error()));
}

/// Each that is there, to its last byte. The first that is damaged is the result; all are looked at.
Done look_at_checkpoints(const std::string& generation, const LinePrinter& print) {
  const auto indexes = checkpoints_in(generation);
  if (!indexes) return std::unexpected(indexes.error());
  Done result;
  for (const raft::Index index : *indexes) {
    const std::string name = checkpoint_file_name(index);
    const auto checkpoint = read_checkpoint(std::string(generation).append("/").append(name));
    if (checkpoint) {
      print(name + "  term " + std::to_string(checkpoint->term.value) + "  config " +
            text_of(checkpoint->config.index) + "  state " + std::to_string(checkpoint->state.size()) +
            " bytes  delta " + std::to_string(checkpoint->delta.size()) + " bytes  whole");
    } else {
      print(name + "  DAMAGED  " + checkpoint.error().text);
      if (result) result = std::unexpected(checkpoint.error());
    }
  }
  return result;
}

void describe_state(const StateRows& state, const LinePrinter& print) {
  print("state.mdb");
  print("  identity    node " + state.identity.node + "  incarnation " + hex(state.identity.incarnation) +
        "  cluster " + (state.identity.cluster_id.empty() ? "-" : state.identity.cluster_id));
  print("  hard state  term " + std::to_string(state.hard_state.current_term.value) + "  voted for " +
        hex(state.hard_state.voted_for.value));
  print("  segments    " + std::to_string(state.segments.size()));
}

}  // namespace

std::expected<void, Error> check_folder(const std::string& folder, const LinePrinter& print) {
  auto opened = open_folder(folder);
  if (!opened) return std::unexpected(std::move(opened.error()));
  const std::string& generation = *opened->generation();
  const auto state = read_state(generation);
  if (!state) return std::unexpected(state.error());
  describe_state(*state, print);
  std::optional<Error> first_damage;
  for (const SegmentRecord& record : state->segments) {
    const std::string path = path_of(generation, record);
    const std::string name = path.substr(generation.size() + 1);
    const auto counts = walk_segment(path, nullptr);
    if (counts) {
      print(name + "  " + std::to_string(counts->entries) + " entries in " + std::to_string(counts->chunks) +
            " chunks  whole");
    } else {
      print(name + "  DAMAGED  " + counts.error().text);
      if (!first_damage) first_damage = counts.error();
    }
  }
  if (auto checkpoints = look_at_checkpoints(generation, print); !checkpoints && !first_damage)
    first_damage = std::move(checkpoints.error());
  if (first_damage) return std::unexpected(std::move(*first_damage));
  if (access((generation + "/" + segment_file_name(state->segments.front())).c_str(), F_OK) != 0) {
    print("a folder of version 1: the next start takes it over");
    return {};
  }
  const auto log = recover_log(generation, state->segments, Seals::unused);
  if (!log) return std::unexpected(log.error());
  std::string line = "the log  entries " + text_of(state->segments.front().first_index) + ".." +
                     text_of(log->last_index) + "  terms in " + std::to_string(log->term_runs.size()) + " runs  whole";
  if (!log->lost.empty())
    line += "; " + std::to_string(log->lost.size()) +
            " chunks behind it that a power cut undid: the next start "
            "puts them back";
  print(line);
  return {};
}

std::expected<Identity, Error> identity_of_folder(const std::string& folder) {
  auto opened = open_folder(folder);
  if (!opened) return std::unexpected(std::move(opened.error()));
  const auto state = read_state(*opened->generation());
  if (!state) return std::unexpected(state.error());
  return Identity{.node = state->identity.node,
                  .incarnation = state->identity.incarnation,
                  .cluster_id = state->identity.cluster_id,
                  .lost_data = opened->damage().has_value()};
}

std::expected<void, Error> dump_folder(const std::string& folder, const LinePrinter& print) {
  auto opened = open_folder(folder);
  if (!opened) return std::unexpected(std::move(opened.error()));
  const std::string& generation = *opened->generation();
  const auto state = read_state(generation);
  if (!state) return std::unexpected(state.error());
  describe_state(*state, print);
  for (const SegmentRecord& record : state->segments) {
    const std::string path = path_of(generation, record);
    print(path.substr(generation.size() + 1));
    if (auto walked = walk_segment(path, print); !walked) return std::unexpected(std::move(walked.error()));
  }
  return look_at_checkpoints(generation, print);
}

}  // namespace weir::storage
