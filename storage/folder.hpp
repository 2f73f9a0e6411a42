// A node's data folder: who may use it, and which of its generations is the current one.
//
//   <folder>/LOCK                 held with flock while a store is open; names the holder's process
//   <folder>/CREATING             there while a first generation is being made: what is half made may be removed
//   <folder>/CURRENT              one line, the name of the generation in use
//   <folder>/gen-000001/          state.mdb, segment-*.mdb, checkpoint-*.wck
//   <folder>/gen-000002/          a leader's snapshot, until it is whole and CURRENT names it
//   <folder>/restoring/           there while a backup is restored: without CURRENT nobody may begin anything here
//   <folder>/DAMAGED              a generation must not be used any more; it is kept until the node is whole again
//
// Thread rule: used by the thread that opens the store. Holds the lock until it is destroyed.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "storage/error.hpp"

namespace weir::storage {

/// Names in the folder are durable when this returns.
[[nodiscard]] std::expected<void, Error> sync_folder(const std::string& path);

/// Where a backup is restored before it is put in place as the folder's first generation (DataFolder::adopt).
inline constexpr const char* kRestoringName = "/restoring";

/// What DAMAGED says (docs/decisions/0018).
struct Damage {
  std::string condemned;  ///< name of the generation that must not be used any more
  std::string kept;       ///< name of the first that was condemned since the node was last whole: it is not removed
  std::string why;
};

/// The current generation of the folder must not be used any more (DataFolder::condemn). For whoever has no store open.
[[nodiscard]] std::expected<void, Error> condemn_folder(const std::string& path, const std::string& why);

class DataFolder {
 public:
  /// Makes the folder if it is missing (not its parents) and locks it. in_use if another store has it; setup if it
  /// cannot be made, read or written; damaged if there is data and nothing that says which is current.
  [[nodiscard]] static std::expected<DataFolder, Error> open(const std::string& path);

  DataFolder(DataFolder&& other) noexcept;
  DataFolder& operator=(DataFolder&&) = delete;
  ~DataFolder();

  /// Path of the current generation; empty in a new folder.
  [[nodiscard]] const std::optional<std::string>& generation() const { return generation_; }

  /// Removes what an earlier attempt left and makes an empty generation, the next one. Its path.
  [[nodiscard]] std::expected<std::string, Error> begin_generation();
  /// The files in it are durable: from now on it is the current one, whatever happens.
  [[nodiscard]] std::expected<void, Error> finish_generation();
  /// Of a new folder: `generation`, the finished one of a store that was made in kRestoringName and is closed, becomes
  /// this folder's first, at once or, after a crash, not at all. What else is in kRestoringName goes.
  [[nodiscard]] std::expected<void, Error> adopt(const std::string& generation);
  /// Removes every generation but the current one and the one that is kept: unfinished, or left behind.
  [[nodiscard]] std::expected<void, Error> remove_other_generations();

  /// The current generation must not be used any more: durable. Its seals go, so that all of it is looked at should
  /// somebody remove DAMAGED. Requires that there is a current one.
  [[nodiscard]] std::expected<void, Error> condemn(const std::string& why);
  [[nodiscard]] const std::optional<Damage>& damage() const { return damage_; }
  [[nodiscard]] bool is_condemned() const;
  /// The node is whole again: DAMAGED goes. What it kept is nobody's from then on: its path, for the caller to remove.
  [[nodiscard]] std::expected<std::vector<std::string>, Error> forget_damage();

 private:
  DataFolder(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}
  [[nodiscard]] std::expected<void, Error> find_generation();
  [[nodiscard]] std::expected<void, Error> find_damage();
  [[nodiscard]] std::string next_generation() const;

  std::string path_;
  int lock_;  ///< descriptor of LOCK; -1 after a move
  std::optional<std::string> generation_;
  std::optional<Damage> damage_;
};

}  // namespace weir::storage
