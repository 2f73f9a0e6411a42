#include "broker/new_life.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "broker/core/bootstrap.hpp"
#include "broker/core/configuration.hpp"
#include "broker/core/digest.hpp"
#include "storage/folder.hpp"
#include "storage/inspect.hpp"
#include "storage/lmdb_log_store.hpp"
#include "storage/random_id.hpp"

namespace weir::broker {
namespace {

namespace fs = std::filesystem;
using Done = std::expected<void, storage::Error>;

constexpr std::size_t kReadBytes = std::size_t{1} << 20U;

std::unexpected<storage::Error> failure(storage::Errc code, std::string text) {
  return std::unexpected(storage::Error{code, std::move(text)});
}

/// The CONFIG entry behind the last one, in a term of its own.
Done begin_life(storage::LmdbLogStore& store, raft::Index last_index, raft::Term current_term) {
  const storage::Identity& identity = store.identity();
  const wire::ConfigEntry config = config_of_new_life(identity.node, identity.incarnation, storage::random_id());
  raft::Proposal proposal = to_proposal(config, {.node = wire::node_id(identity.node), .incarnation = 0});
  const raft::Entry entry{.index = last_index.next(),
                          .term = current_term.next(),
                          .command = proposal.command,
                          .checksum = proposal.checksum,
                          .data = std::move(proposal.data)};
  return store.begin_life(config.cluster_id, entry);
}

/// A store that takes the parts of a backup in their order.
class Restore {
 public:
  explicit Restore(storage::LmdbLogStore& store) : store_(store) {}

  [[nodiscard]] Done take(const BackupSource& source, const RestoreOptions& options);
  [[nodiscard]] std::expected<NewLife, storage::Error> finish();

 private:
  [[nodiscard]] Done put(const wire::BackupPart& part, const RestoreOptions& options);
  [[nodiscard]] Done put_piece(std::string_view bytes);
  [[nodiscard]] Done put_entries(const std::vector<raft::Entry>& entries);
  /// Before anything is written: a log has no term that its node does not know.
  [[nodiscard]] std::optional<raft::HardState> first_hard_state();

  storage::LmdbLogStore& store_;
  wire::BackupReader reader_;
  raft::Snapshot snapshot_;
  std::uint64_t snapshot_bytes_ = 0;  ///< that came
  bool term_known_ = false;
};

Done Restore::take(const BackupSource& source, const RestoreOptions& options) {
  while (true) {
    auto part = reader_.next();
    if (!part) {
      return failure(storage::Errc::damaged, part.error().text);
    }
    if (*part) {
      if (auto done = put(**part, options); !done) {
        return done;
      }
      continue;
    }
    const auto bytes = source(kReadBytes);
    if (!bytes) {
      return std::unexpected(bytes.error());
    }
    if (bytes->empty()) {
      break;
    }
    reader_.feed(*bytes);
  }
  if (auto whole = reader_.finish(); !whole) {
    return failure(storage::Errc::damaged, whole.error().text);
  }
  return {};
}

Done Restore::put(const wire::BackupPart& part, const RestoreOptions& options) {
  if (const auto* head = std::get_if<wire::BackupHead>(&part)) {
    options.begun(*head);
  } else if (const auto* snapshot = std::get_if<raft::Snapshot>(&part)) {
    snapshot_ = *snapshot;
  } else if (const auto* piece = std::get_if<wire::BackupPiece>(&part)) {
    return put_piece(piece->bytes);
  } else if (const auto* entries = std::get_if<wire::BackupEntries>(&part)) {
    return put_entries(*entries);
  }
  return {};
}

std::optional<raft::HardState> Restore::first_hard_state() {
  if (std::exchange(term_known_, true)) {
    return std::nullopt;
  }
  return raft::HardState{.current_term = reader_.head()->term, .voted_for = raft::kNobody};
}

Done Restore::put_piece(std::string_view bytes) {
  const auto answer =
      store_.receive({.snapshot = snapshot_, .offset = snapshot_bytes_, .data = raft::Bytes::copy_of(bytes)});
  if (!answer) {
    return std::unexpected(answer.error());
  }
  snapshot_bytes_ += bytes.size();
  const bool is_last = snapshot_bytes_ == snapshot_.size;
  if (*answer == storage::PieceAnswer::refused || is_last != (*answer == storage::PieceAnswer::whole)) {
    return failure(storage::Errc::damaged, "the snapshot in the backup is not in order; take another backup");
  }
  if (!is_last) {
    return {};
  }
  const storage::LogWrite write{
      .hard_state = first_hard_state(), .truncate_from = std::nullopt, .entries = {}, .install = snapshot_};
  return store_.append({&write, 1});
}

Done Restore::put_entries(const std::vector<raft::Entry>& entries) {
  const storage::LogWrite write{
      .hard_state = first_hard_state(), .truncate_from = std::nullopt, .entries = entries, .install = std::nullopt};
  return store_.append({&write, 1});
}

/// What was restored is what its node had made of it, to the digest; then it begins its own life.
std::expected<NewLife, storage::Error> Restore::finish() {
  const wire::BackupHead& head = *reader_.head();
  auto before = contents_of_log(store_, head.index);
  if (!before) {
    return std::unexpected(std::move(before.error()));
  }
  if (before->digest != head.digest || before->position != head.position) {
    return failure(storage::Errc::damaged, "what was restored is not what was copied: digest " +
                                               digest_text(before->digest) + " instead of " + digest_text(head.digest) +
                                               "; take another backup, from another node");
  }
  if (auto begun = begin_life(store_, head.index, head.term); !begun) {
    return std::unexpected(std::move(begun.error()));
  }
  auto after = contents_of_log(store_, head.index.next());
  if (!after) {
    return std::unexpected(std::move(after.error()));
  }
  return NewLife{.before = *std::move(before), .after = *std::move(after)};
}

/// The lock of an earlier attempt may stay.
Done expect_empty(const std::string& folder) {
  std::error_code code;
  for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code)) {
    if (it->path().filename() != "LOCK") {
      return failure(storage::Errc::setup, folder + ": is not empty; name a folder that is, or is not there yet");
    }
  }
  return {};
}

std::expected<NewLife, storage::Error> restore_into(const std::string& begun, const BackupSource& source,
                                                    const RestoreOptions& options, storage::DataFolder& folder) {
  auto store = storage::LmdbLogStore::open(
      {.folder = begun, .node_name = options.node, .segment_bytes = options.segment_bytes, .prepare_bytes_per_s = 0});
  if (!store) {
    return std::unexpected(std::move(store.error()));
  }
  Restore restore(**store);
  if (auto taken = restore.take(source, options); !taken) {
    return std::unexpected(std::move(taken.error()));
  }
  auto life = restore.finish();
  if (!life) {
    return life;
  }
  const std::string generation = fs::path((*store)->segment_paths().back()).parent_path().string();
  store->reset();
  if (auto adopted = folder.adopt(generation); !adopted) {
    return std::unexpected(std::move(adopted.error()));
  }
  return life;
}

}  // namespace

std::expected<NewLife, storage::Error> restore_backup(const BackupSource& source, const RestoreOptions& options) {
  if (auto empty = expect_empty(options.folder); !empty) {
    return std::unexpected(std::move(empty.error()));
  }
  auto folder = storage::DataFolder::open(options.folder);
  if (!folder) {
    return std::unexpected(std::move(folder.error()));
  }
  const std::string begun = options.folder + storage::kRestoringName;
  auto life = restore_into(begun, source, options, *folder);
  if (!life) {
    // As it was found. What cannot be removed makes the next attempt say so.
    std::error_code ignored;
    fs::remove_all(begun, ignored);
  }
  return life;
}

std::expected<NewLife, storage::Error> recover_folder(const std::string& folder, Recover how) {
  const auto identity = storage::identity_of_folder(folder);
  if (!identity) {
    return std::unexpected(identity.error());
  }
  if (identity->lost_data || identity->cluster_id.empty()) {
    return failure(storage::Errc::setup, folder + ": " +
                                             (identity->lost_data ? "what this node had was damaged and left aside"
                                                                  : "this node was in no cluster yet") +
                                             ": there is nothing to recover here; take another node's folder");
  }
  // A start believes the seals of what it verified once. What may be all that is left is looked at to the last byte.
  if (auto whole = storage::check_folder(folder, [](const std::string& /*line*/) {}); !whole) {
    return std::unexpected(std::move(whole.error()));
  }
  auto store = storage::LmdbLogStore::open({.folder = folder, .node_name = identity->node});
  if (!store) {
    return std::unexpected(std::move(store.error()));
  }
  const raft::Recovered& found = (*store)->recovered();
  auto before = contents_of_log(**store, found.last_index);
  if (!before) {
    return std::unexpected(std::move(before.error()));
  }
  NewLife life{.before = *before, .after = *std::move(before)};
  if (how == Recover::look) {
    return life;
  }
  if (auto begun = begin_life(**store, found.last_index, found.hard_state.current_term); !begun) {
    return std::unexpected(std::move(begun.error()));
  }
  auto after = contents_of_log(**store, found.last_index.next());
  if (!after) {
    return std::unexpected(std::move(after.error()));
  }
  life.after = *std::move(after);
  return life;
}

}  // namespace weir::broker
