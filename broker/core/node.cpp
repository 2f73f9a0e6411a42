#include "broker/core/node.hpp"

#include <utility>

#include "broker/core/node_impl.hpp"

namespace weir::broker {

Node::Node(NodeConfig config, storage::Identity identity, raft::Recovered recovered, Disk& disk, PeerNetwork& network,
           Clock& clock, Founding founding, NodeEvents events)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(identity), std::move(recovered), disk, network, clock,
                                   std::move(founding), std::move(events))) {}
Node::~Node() = default;

void Node::start() {
  impl_->start();
}
void Node::tick() {
  impl_->tick();
}
void Node::settle() {
  impl_->settle_due();
}
void Node::stop_damaged(const std::string& why) {
  impl_->stop_damaged(why);
}

void Node::drain(std::uint32_t timeout_ms, std::move_only_function<void()> done) {
  impl_->drain(timeout_ms, std::move(done));
}

wire::Hello Node::hello() const {
  return impl_->hello();
}
std::expected<void, std::string> Node::judge(const wire::Hello& hello) {
  return impl_->judge(hello);
}
void Node::peer_up(const wire::Hello& peer) {
  impl_->peer_up(peer);
}
void Node::peer_down(raft::NodeId peer) {
  impl_->peer_down(peer);
}
void Node::peer_message(raft::NodeId peer, PeerLife life, wire::PeerMessage message) {
  impl_->peer_message(peer, life, std::move(message));
}

void Node::publish(raft::Bytes request, std::uint32_t timeout_ms, OutcomeDone done) {
  impl_->publish(std::move(request), timeout_ms, std::move(done));
}
void Node::claim(wire::Claim claim, std::uint32_t timeout_ms, OutcomeDone done) {
  impl_->claim(std::move(claim), timeout_ms, std::move(done));
}
void Node::change_group(wire::GroupChange change, std::uint32_t timeout_ms, OutcomeDone done) {
  impl_->change_group(std::move(change), timeout_ms, std::move(done));
}
void Node::change_topic(wire::TopicChange change, std::uint32_t timeout_ms, OutcomeDone done) {
  impl_->change_topic(std::move(change), timeout_ms, std::move(done));
}

std::expected<ReadStart, StartError> Node::start_read(const Selector& selector, const From& from) const {
  return impl_->start_read(selector, from);
}
void Node::read(const Selector& selector, ReadState from, ReadLimits limits,
                std::move_only_function<void(std::expected<ReadBatch, ReadError>)> done) {
  impl_->read(selector, from, limits, std::move(done));
}
WaiterId Node::wait(Selector selector, raft::Position after, std::move_only_function<void()> wake) {
  return impl_->wait(std::move(selector), after, std::move(wake));
}
void Node::cancel(WaiterId waiter) {
  impl_->cancel(waiter);
}
void Node::wait_applied(raft::Position position, std::uint32_t timeout_ms, std::move_only_function<void(bool)> done) {
  impl_->wait_applied(position, timeout_ms, std::move(done));
}
void Node::barrier(std::uint32_t timeout_ms, std::move_only_function<void(bool)> done) {
  impl_->barrier(timeout_ms, std::move(done));
}
void Node::find_id(wire::Claim id,
                   std::move_only_function<void(std::expected<std::optional<wire::Claimed>, ReadError>)> done) {
  impl_->find_id(std::move(id), std::move(done));
}

std::expected<wire::BackupHead, std::string> Node::backup_head() const {
  return impl_->backup_head();
}
void Node::read_backup_snapshot(std::uint64_t number, std::uint64_t offset, std::size_t bytes_max,
                                Disk::SnapshotDone done) {
  impl_->read_backup_snapshot(number, offset, bytes_max, std::move(done));
}
void Node::read_backup_entries(raft::Index first, raft::Index last, std::size_t bytes_max, Disk::ReadDone done) {
  impl_->read_backup_entries(first, last, bytes_max, std::move(done));
}

void Node::change_members(const MemberChange& change, std::uint32_t timeout_ms, ChangeDone done) {
  impl_->change_members(change, timeout_ms, std::move(done));
}
std::expected<void, ChangeRefusal> Node::transfer_leadership(const std::string& to) {
  return impl_->transfer_leadership(to);
}

void Node::verify(std::uint32_t timeout_ms, VerifyDone done) {
  impl_->verify(timeout_ms, std::move(done));
}
std::expected<void, ChangeRefusal> Node::set_service(Service service) {
  return impl_->set_service(service);
}

NodeStatus Node::status() const {
  return impl_->status();
}
Counters Node::counters() const {
  return impl_->counters();
}
std::vector<TopicInfo> Node::topics() const {
  return impl_->topics();
}
std::optional<TopicInfo> Node::topic(std::string_view name) const {
  return impl_->topic(name);
}
std::optional<GroupInfo> Node::group(std::string_view name) const {
  return impl_->group(name);
}
std::vector<GroupInfo> Node::groups() const {
  return impl_->groups();
}
void Node::log_outline(raft::Index from, std::uint32_t limit,
                       std::move_only_function<void(std::expected<LogOutline, ReadError>)> done) {
  impl_->log_outline(from, limit, std::move(done));
}

}  // namespace weir::broker
