// The command line with a `serve` that is no broker: it answers GET /v1/cluster, and of the nodes it is told of the
// first one alive calls itself leader, in a term that rises with the number of dead ones before it. Enough to test what
// `weir dev` does with processes.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <stdexcept>
#include <string>

#include "clients/cli/cli.hpp"
#include "clients/cpp/endpoint.hpp"

namespace {

struct Settings {
  std::string data;
  std::string node;
  std::string http;
  std::string raft;
  std::string peers;
};

sockaddr_in address_of(const std::string& text) {
  const auto endpoint = weir::client::parse_endpoint(text).value();
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(endpoint.port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int listen_on(const std::string& text) {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  const auto address = address_of(text);
  if (::bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(descriptor, 64) != 0) {
    throw std::runtime_error(text + " cannot be listened on");
  }
  return descriptor;
}

bool is_alive(const std::string& raft) {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto address = address_of(raft);
  const bool alive = ::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(descriptor);
  return alive;
}

std::string cluster_json(const Settings& settings) {
  unsigned dead = 0;
  bool leads = true;
  std::string rest = settings.peers;
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    const auto peer = rest.substr(0, comma);
    rest = comma == std::string::npos ? "" : rest.substr(comma + 1);
    const auto name = peer.substr(0, peer.find('='));
    if (name == settings.node) break;
    if (is_alive(peer.substr(peer.find('=') + 1)))
      leads = false;
    else
      ++dead;
  }
  return R"({"node":")" + settings.node + R"(","role":")" + (leads ? "leader" : "follower") + R"(","term":)" +
         std::to_string(1 + dead) + R"(,"members":[]})";
}

weir::cli::ExitCode serve(const Settings& settings) {
  std::fprintf(stderr, "pretended node %s\n", settings.node.c_str());
  const int raft = listen_on(settings.raft);
  ::fcntl(raft, F_SETFL, O_NONBLOCK);
  const int http = listen_on(settings.http);
  while (true) {
    const int client = ::accept(http, nullptr, nullptr);
    std::string request;
    char byte = 0;
    while (!request.ends_with("\r\n\r\n") && ::read(client, &byte, 1) == 1) request += byte;
    const auto body = cluster_json(settings);
    const auto answer =
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    if (::send(client, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) std::perror("send");
    ::close(client);
    // Those who only looked whether somebody is there must not fill the backlog.
    for (int visitor = ::accept(raft, nullptr, nullptr); visitor >= 0; visitor = ::accept(raft, nullptr, nullptr)) {
      ::close(visitor);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  const weir::cli::ServerCommands server{.add = [&settings](CLI::App& root, weir::cli::ExitCode& exit_code) {
    auto* verb = root.add_subcommand("serve", "Pretend to be a node");
    verb->add_option("--data", settings.data)->required();
    verb->add_option("--node", settings.node)->required();
    verb->add_option("--http", settings.http)->required();
    verb->add_option("--raft", settings.raft)->required();
    verb->add_option("--peers", settings.peers);
    verb->callback([&] { exit_code = serve(settings); });
  }};
  return weir::cli::run(argc, argv, server);
}
