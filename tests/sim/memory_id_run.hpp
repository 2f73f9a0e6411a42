// A run of ids without a disk (storage/id_run.hpp), for whatever stands in for one. Any thread.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "storage/id_run.hpp"

namespace weir::sim {

class MemoryIdRun final : public storage::IdRun {
 public:
  MemoryIdRun(raft::Index first, raft::Index last, std::vector<storage::KeyedPlace> ids)
      : first_(first), last_(last), ids_(std::move(ids)) {
    std::ranges::sort(ids_);
  }
  /// Of two that follow each other, without what is of entries before `first_needed`.
  [[nodiscard]] static std::shared_ptr<MemoryIdRun> merge(const MemoryIdRun& older, const MemoryIdRun& newer,
                                                          raft::Index first_needed) {
    std::vector<storage::KeyedPlace> ids = older.ids_;
    ids.insert(ids.end(), newer.ids_.begin(), newer.ids_.end());
    std::erase_if(ids, [first_needed](const storage::KeyedPlace& id) { return id.place.log_index < first_needed; });
    return std::make_shared<MemoryIdRun>(older.first_, newer.last_, std::move(ids));
  }
  [[nodiscard]] raft::Index first_index() const override { return first_; }
  [[nodiscard]] raft::Index last_index() const override { return last_; }
  [[nodiscard]] std::uint64_t size() const override { return ids_.size(); }
  [[nodiscard]] std::size_t memory_bytes() const override { return ids_.size() * sizeof(storage::KeyedPlace); }
  /// Wrong, as a filter is, about one key of 16.
  [[nodiscard]] bool may_contain(storage::IdKey key) const override {
    return key.value % 16 == 0 || std::ranges::binary_search(ids_, key, {}, &storage::KeyedPlace::key);
  }
  [[nodiscard]] std::expected<void, storage::Error> find(storage::IdKey key,
                                                         std::vector<storage::IdPlace>& places) const override {
    for (const auto& id : std::ranges::equal_range(ids_, key, {}, &storage::KeyedPlace::key))
      places.push_back(id.place);
    return {};
  }

 private:
  const raft::Index first_;
  const raft::Index last_;
  std::vector<storage::KeyedPlace> ids_;
};

}  // namespace weir::sim
