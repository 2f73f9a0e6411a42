#include "storage/write_plan.hpp"

#include "raft/check.hpp"
#include "storage/schema.hpp"

namespace weir::storage {
namespace {

void check_successor(const raft::HardState& before, const raft::HardState& after) {
  WEIR_CHECK(after.current_term >= before.current_term, after.current_term, before.current_term);
  WEIR_CHECK(after.current_term > before.current_term || before.voted_for == raft::kNobody ||
                 after.voted_for == before.voted_for,
             after.current_term, before.voted_for, after.voted_for);
  WEIR_CHECK(after.current_term.value < raft::kNumberLimit, after.current_term);
}

// The log's end as the writes move it. Entries that a later write of the same call removes never reach the disk.
class PlannedLog {
 public:
  PlannedLog(WritePlan& plan, raft::Index last_index) : plan_(plan), first_new_(last_index.next()) {}

  void truncate(raft::Index from) {
    WEIR_CHECK(from > raft::Index{} && from <= next_index(), from, next_index());
    if (from >= first_new_) {
      plan_.entries.resize(from - first_new_);
    } else {
      plan_.entries.clear();
      plan_.truncate_from = from;
      first_new_ = from;
    }
  }

  void append(const raft::Entry& entry, raft::Term current_term) {
    WEIR_CHECK(entry.index == next_index(), entry.index, next_index());
    WEIR_CHECK(entry.index.value < raft::kNumberLimit, entry.index);
    WEIR_CHECK(entry.term <= current_term, entry.term, current_term);
    WEIR_CHECK(plan_.entries.empty() || entry.term >= plan_.entries.back()->term, entry.index, entry.term);
    plan_.entries.push_back(&entry);
  }

 private:
  [[nodiscard]] raft::Index next_index() const { return first_new_ + plan_.entries.size(); }

  WritePlan& plan_;
  raft::Index first_new_;  // of plan_.entries
};

}  // namespace

WritePlan plan_writes(std::span<const LogWrite> writes, const raft::HardState& durable, raft::Index last_index) {
  WritePlan plan;
  PlannedLog log(plan, last_index);
  raft::HardState hard_state = durable;
  for (const LogWrite& write : writes) {
    if (write.hard_state) {
      check_successor(hard_state, *write.hard_state);
      hard_state = *write.hard_state;
    }
    if (write.truncate_from) log.truncate(*write.truncate_from);
    for (const raft::Entry& entry : write.entries) log.append(entry, hard_state.current_term);
  }
  if (hard_state != durable) plan.hard_state = hard_state;
  return plan;
}

std::vector<WritesUpToInstall> split_at_installs(std::span<const LogWrite> writes) {
  std::vector<WritesUpToInstall> parts(1);
  for (const LogWrite& write : writes) {
    LogWrite rest = write;
    if (write.install) {
      parts.back().writes.push_back({.hard_state = write.hard_state, .truncate_from = {}, .entries = {}});
      parts.back().install = write.install;
      parts.emplace_back();
      rest.hard_state.reset();
      rest.install.reset();
    }
    parts.back().writes.push_back(rest);
  }
  return parts;
}

std::size_t count_for_chunk(std::span<const raft::Entry* const> entries, std::size_t body_size, std::size_t target) {
  std::size_t count = 0;
  while (count < entries.size() && body_size < target) body_size += record_size(entries[count++]->data.size());
  return count;
}

}  // namespace weir::storage
