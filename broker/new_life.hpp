// A log that begins another life in a cluster of one: restored from a backup, or recovered from what one node still
// has (docs/decisions/0020). For data folders that no node uses. Any thread; blocks for as long as the disk takes.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <string>

#include "broker/core/log_contents.hpp"
#include "storage/error.hpp"
#include "storage/log_store.hpp"
#include "wire/backup_stream.hpp"

namespace weir::broker {

struct NewLife {
  LogContents before;  ///< as it was left
  LogContents after;   ///< with the CONFIG that begins the new life
};

/// The next bytes of a backup, at most so many; empty at its end.
using BackupSource = std::function<std::expected<std::string, storage::Error>(std::size_t bytes_max)>;

struct RestoreOptions {
  std::string folder;  ///< must be empty, or not be there
  std::string node;    ///< name of the one member
  std::uint64_t segment_bytes = 0;
  /// Of what the backup says of itself, once that is known.
  std::function<void(const wire::BackupHead&)> begun = [](const wire::BackupHead&) {};
};
/// Verifies everything on the way and applies it before it is put in place: whatever happens, the folder holds all of
/// the backup or nothing that a node would start with.
[[nodiscard]] std::expected<NewLife, storage::Error> restore_backup(const BackupSource& source,
                                                                    const RestoreOptions& options);

enum class Recover : std::uint8_t {
  look = 1,  ///< only say what there is: `after` is as `before`
  go = 2,
};
/// The stopped node's log goes on with that node as its only member. All of it is verified first.
[[nodiscard]] std::expected<NewLife, storage::Error> recover_folder(const std::string& folder, Recover how);

}  // namespace weir::broker
