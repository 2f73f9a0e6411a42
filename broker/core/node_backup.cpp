// A backup: what was applied here, as it leaves the node. Whoever writes it asks for one part after the other, each
// read by the disk's reader; nothing is kept for it in memory (docs/decisions/0020).
#include <utility>

#include "broker/core/node_impl.hpp"

namespace weir::broker {

std::expected<wire::BackupHead, std::string> Node::Impl::backup_head() const {
  if (phase_ == Phase::failed || !replica_ || epoch().empty() || state_.applied_index() == raft::Index{}) {
    return std::unexpected("this node has no log to copy (yet): " + why_);
  }
  wire::BackupHead head{.cluster_id = identity_.cluster_id,
                        .epoch = epoch(),
                        .node = config_.name,
                        .index = state_.applied_index(),
                        .term = replica_->raft().term_at(state_.applied_index()),
                        .time_ms = state_.time_ms(),
                        .position = state_.last_position(),
                        .topics = state_.live_topic_count(),
                        .ids = state_.ids().size_with_runs(),
                        .digest = digest_.value()};
  for (const TopicInfo& topic : topics()) {
    head.events += topic.next_offset.value - topic.first_offset.value;
  }
  return head;
}

void Node::Impl::read_backup_snapshot(std::uint64_t number, std::uint64_t offset, std::size_t bytes_max,
                                      Disk::SnapshotDone done) {
  disk_.read_snapshot(number, offset, bytes_max,
                      [this, alive = std::weak_ptr(alive_), number, offset,
                       done = std::move(done)](std::expected<storage::SnapshotData, storage::Error> read) mutable {
                        if (read && offset > 0 && (read->snapshot.number != number || read->offset != offset)) {
                          read = std::unexpected(storage::Error{storage::Errc::gone, "its snapshot is kept no more"});
                        }
                        if (!read && !alive.expired()) {
                          backup_cut_off(read.error());
                        }
                        done(std::move(read));
                      });
}

void Node::Impl::read_backup_entries(raft::Index first, raft::Index last, std::size_t bytes_max, Disk::ReadDone done) {
  disk_.read(first, last, bytes_max,
             [this, alive = std::weak_ptr(alive_), first,
              done = std::move(done)](std::expected<std::vector<raft::Entry>, storage::Error> read) mutable {
               if (read && read->empty()) {
                 read = std::unexpected(missing_entry(first));
               }
               if (read && any_hollow(*read)) {
                 read = std::unexpected(storage::Error{storage::Errc::gone, "a file of the log was rewritten"});
               }
               if (!read && !alive.expired()) {
                 backup_cut_off(read.error());
               }
               done(std::move(read));
             });
}

/// One that is damaged stops the node, as in every other read; one that retention took meanwhile only ends the copy.
void Node::Impl::backup_cut_off(const storage::Error& error) {
  if (events_.notice) {
    events_.notice("a backup was cut off, and cannot be used: " + error.text);
  }
  if (error.code == storage::Errc::damaged) {
    fail(error);
  }
}

}  // namespace weir::broker
