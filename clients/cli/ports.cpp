#include "clients/cli/ports.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace weir::cli {
namespace {

/// Holds what it found until it goes, so that no port is found twice.
class Finder {
 public:
  Finder() = default;
  ~Finder() {
    for (const int descriptor : held_) ::close(descriptor);
  }
  Finder(const Finder&) = delete;
  Finder& operator=(const Finder&) = delete;

  std::expected<std::uint16_t, std::string> find(std::uint16_t wanted) {
    const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return std::unexpected(std::generic_category().message(errno));
    held_.push_back(descriptor);
    // As the broker does: connections of an earlier run that are still dying do not count.
    const int yes = 1;
    ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(wanted);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(descriptor, generic, size) != 0 || ::listen(descriptor, 1) != 0 ||
        ::getsockname(descriptor, generic, &size) != 0) {
      return std::unexpected("port " + std::to_string(wanted) + " of 127.0.0.1 cannot be used (" +
                             std::generic_category().message(errno) + "); choose others with --port, or --port 0");
    }
    return ntohs(address.sin_port);
  }

 private:
  std::vector<int> held_;
};

}  // namespace

std::expected<std::vector<NodePorts>, std::string> choose_ports(unsigned nodes, std::uint16_t http,
                                                                std::uint16_t raft) {
  Finder finder;
  std::vector<NodePorts> chosen;
  for (unsigned n = 0; n < nodes; ++n) {
    NodePorts ports;
    for (const auto& [first, port] : {std::pair(http, &ports.http), std::pair(raft, &ports.raft)}) {
      const unsigned wanted = first == 0 ? 0 : first + 2 * n;
      if (wanted > 65'535) return std::unexpected("port " + std::to_string(wanted) + " does not exist");
      auto found = finder.find(static_cast<std::uint16_t>(wanted));
      if (!found) return std::unexpected(std::move(found.error()));
      *port = *found;
    }
    chosen.push_back(ports);
  }
  return chosen;
}

}  // namespace weir::cli
