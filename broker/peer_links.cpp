#include "broker/peer_links.hpp"

#include <boost/asio/post.hpp>
#include <utility>

#include "broker/peer_dialler.hpp"
#include "broker/peer_listener.hpp"
#include "broker/peer_port.hpp"

namespace weir::broker {

namespace asio = boost::asio;

class PeerLinks::Impl {
 public:
  Impl(PeerLinksConfig config, asio::any_io_executor io, asio::any_io_executor core, const Log& log)
      : port(std::make_shared<PeerPort>(std::move(config), std::move(io), std::move(core), log)),
        listener(std::make_shared<PeerListener>(port)) {
    for (const Peer& peer : port->config.peers) add(peer);
  }
  std::shared_ptr<PeerDialler> add(const Peer& peer) const {
    PeerPort::Outlet& outlet = port->outlets[wire::node_id(peer.name)];
    outlet.queued_bytes = std::make_shared<QueuedBytes>(0);
    outlet.dialler = std::make_shared<PeerDialler>(port, peer, outlet.queued_bytes);
    return outlet.dialler;
  }
  // Diallers and port hold each other.
  ~Impl() { port->outlets.clear(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  std::shared_ptr<PeerPort> port;
  std::shared_ptr<PeerListener> listener;
};

PeerLinks::PeerLinks(PeerLinksConfig config, asio::any_io_executor io, asio::any_io_executor core, const Log& log)
    : impl_(std::make_shared<Impl>(std::move(config), std::move(io), std::move(core), log)) {}

PeerLinks::~PeerLinks() = default;

std::expected<void, std::string> PeerLinks::listen() {
  return impl_->listener->listen();
}

std::uint16_t PeerLinks::port() const {
  return impl_->listener->port();
}

void PeerLinks::start(PeerHandler& handler) {
  impl_->port->handler = &handler;
  std::vector<std::shared_ptr<PeerDialler>> diallers;
  for (const auto& [id, outlet] : impl_->port->outlets) diallers.push_back(outlet.dialler);
  asio::post(impl_->port->io, [impl = impl_, diallers = std::move(diallers)] {
    impl->listener->start();
    for (const auto& dialler : diallers) dialler->start();
  });
}

void PeerLinks::connect(const std::string& node, const std::string& address) {
  const PeerPort& port = *impl_->port;
  const auto endpoint = parse_endpoint(address);
  if (!endpoint || port.outlets.contains(wire::node_id(node))) return;
  const auto dialler = impl_->add({.name = node, .raft = *endpoint});
  if (port.handler == nullptr) return;  // it starts with the others, or this node is stopping
  asio::post(port.io, [impl = impl_, dialler] {
    if (!impl->port->stopping) dialler->start();
  });
}

void PeerLinks::moved(const std::string& node, const std::string& address) {
  PeerPort& port = *impl_->port;
  const auto endpoint = parse_endpoint(address);
  const auto known = port.outlets.find(wire::node_id(node));
  if (!endpoint) return;
  if (known == port.outlets.end()) return connect(node, address);
  asio::post(port.io, [impl = impl_, dialler = known->second.dialler, address = *endpoint] {
    if (!impl->port->stopping) dialler->move_to(address);
  });
}

Sent PeerLinks::send(raft::NodeId to, wire::PeerMessage message) {
  PeerPort& port = *impl_->port;
  const auto found = port.outlets.find(to);
  if (found == port.outlets.end() || !found->second.up || port.handler == nullptr) return Sent::dropped;
  PeerPort::Outlet& outlet = found->second;
  const std::size_t cost = outbound_cost(message);
  if (outlet.queued_bytes->load(std::memory_order_relaxed) + cost > port.config.queue_bytes_max) return Sent::dropped;
  outlet.queued_bytes->fetch_add(cost, std::memory_order_relaxed);
  outlet.outbox.push_back({std::move(message), cost});
  port.post_flush();
  return Sent::queued;
}

void PeerLinks::stop(std::move_only_function<void()> stopped) {
  impl_->port->handler = nullptr;
  asio::post(impl_->port->io, [impl = impl_, stopped = std::move(stopped)]() mutable {
    impl->port->stopping = true;
    impl->listener->stop();
    for (const auto& [id, outlet] : impl->port->outlets) outlet.dialler->stop();
    impl->port->when_idle(std::move(stopped));
  });
}

}  // namespace weir::broker
