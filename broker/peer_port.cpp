#include "broker/peer_port.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <utility>
#include <variant>

#include "broker/peer_dialler.hpp"

namespace weir::broker {
namespace {

namespace asio = boost::asio;

/// Frame header, tables and numbers of a message without bodies.
constexpr std::size_t kMessageOverhead = 256;
constexpr std::size_t kEntryOverhead = 64;
constexpr std::size_t kResultBytes = 32;

[[nodiscard]] std::string text_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "unknown exception";
  }
}

struct Cost {
  std::size_t operator()(const wire::Hello& /*hello*/) const { return 0; }
  std::size_t operator()(const wire::Welcome& /*welcome*/) const { return 0; }
  std::size_t operator()(const wire::Found& found) const { return found.config.size(); }
  std::size_t operator()(const wire::Forward& forward) const { return forward.request.size(); }
  std::size_t operator()(const wire::ForwardReply& reply) const {
    const auto* published = std::get_if<wire::Published>(&reply.outcome);
    return published == nullptr ? 0 : published->results.size() * kResultBytes;
  }
  std::size_t operator()(const raft::Message& message) const {
    std::size_t bytes = 0;
    if (const auto* append = std::get_if<raft::AppendEntries>(&message.body)) {
      for (const raft::Entry& entry : append->entries) bytes += entry.data.size() + kEntryOverhead;
    }
    return bytes;
  }
};

}  // namespace

std::size_t outbound_cost(const wire::PeerMessage& message) {
  return std::visit(Cost{}, message) + kMessageOverhead;
}

PeerPort::PeerPort(PeerLinksConfig the_config, asio::any_io_executor the_io, asio::any_io_executor the_core,
                   const Log& the_log)
    : config(std::move(the_config)), io(std::move(the_io)), core(std::move(the_core)), log(the_log) {}

void PeerPort::post_flush() {
  if (std::exchange(flush_posted, true)) return;
  asio::post(core, [self = shared_from_this()] { self->flush(); });
}

void PeerPort::flush() {
  flush_posted = false;
  struct Parcel {
    std::shared_ptr<PeerDialler> dialler;
    std::vector<OutboundMessage> messages;
  };
  std::vector<Parcel> parcels;
  for (auto& [id, outlet] : outlets) {
    if (!outlet.outbox.empty()) parcels.push_back({outlet.dialler, std::exchange(outlet.outbox, {})});
  }
  if (parcels.empty()) return;
  // post, also where io is this very thread: what was sent from within peer_up comes after the end of its handshake.
  asio::post(io, [parcels = std::move(parcels)] {
    for (const Parcel& parcel : parcels) parcel.dialler->send(parcel.messages);
  });
}

std::optional<wire::Welcome> PeerPort::admit_caller(const wire::Hello& caller) {
  if (handler == nullptr) return std::nullopt;
  wire::Welcome welcome{handler->hello(), {}};
  if (auto judged = handler->judge(caller); !judged) {
    welcome.refusal = judged.error().empty() ? "refused" : judged.error();
    return welcome;
  }
  const raft::NodeId node = wire::node_id(caller.node);
  ++callers[node];
  // Who answers at the member's address is the member. A caller under its name may be anybody: a wiped folder, a
  // stranger.
  const auto known = outlets.find(node);
  const bool is_reached = known != outlets.end() && known->second.up;
  if (!is_reached) handler->peer_up(caller);
  return welcome;
}

std::expected<void, std::string> PeerPort::admit_callee(raft::NodeId peer, const wire::Hello& callee) {
  if (handler == nullptr) return std::unexpected("this node is stopping");
  if (auto judged = handler->judge(callee); !judged) return judged;
  outlets.at(peer).up = true;
  handler->peer_up(callee);
  return {};
}

void PeerPort::lose_callee(raft::NodeId peer) {
  Outlet& outlet = outlets.at(peer);
  if (!std::exchange(outlet.up, false)) return;
  for (const OutboundMessage& lost : outlet.outbox) {
    outlet.queued_bytes->fetch_sub(lost.cost, std::memory_order_relaxed);
  }
  outlet.outbox.clear();
  if (handler != nullptr) handler->peer_down(peer);
}

void PeerPort::lose_caller(raft::NodeId peer) {
  if (--callers.at(peer) > 0) return;
  callers.erase(peer);
  const auto dialled = outlets.find(peer);
  const bool reached = dialled != outlets.end() && dialled->second.up;
  if (!reached && handler != nullptr) handler->peer_down(peer);
}

void PeerPort::spawn(asio::awaitable<void> task, std::string name) {
  ++tasks_;
  asio::co_spawn(io, std::move(task),
                 [self = shared_from_this(), name = std::move(name)](const std::exception_ptr& failure) {
                   if (failure) self->log.error("peer task failed", {{"task", name}, {"error", text_of(failure)}});
                   self->task_ended();
                 });
}

void PeerPort::when_idle(std::move_only_function<void()> idle) {
  idle_ = std::move(idle);
  if (tasks_ == 0) asio::post(core, std::exchange(idle_, nullptr));
}

void PeerPort::task_ended() {
  --tasks_;
  if (tasks_ == 0 && idle_) asio::post(core, std::exchange(idle_, nullptr));
}

}  // namespace weir::broker
