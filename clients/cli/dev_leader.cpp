#include "clients/cli/dev_leader.hpp"

#include "clients/cpp/http.hpp"
#include "clients/cpp/views.hpp"

namespace weir::cli {
namespace {

/// A node on this machine answers in well under a millisecond; one that hangs must not hide the others.
constexpr std::chrono::milliseconds kAnswerTimeout{250};

client::Result<client::ClusterView> ask(const std::string& http) {
  auto endpoint = client::parse_endpoint(http);
  if (!endpoint) return std::unexpected(std::move(endpoint.error()));
  client::HttpConnection connection(std::move(*endpoint));
  const auto response = connection.exchange(client::HttpRequest{.method = "GET", .target = "/v1/cluster"},
                                            client::Clock::now() + kAnswerTimeout);
  if (!response) return client::failure(client::errc::unreachable, response.error().text);
  return client::decode_cluster(response->body);
}

}  // namespace

Leadership look_for_leader(const std::vector<DevNode>& nodes) {
  Leadership found;
  for (const auto& node : nodes) {
    const auto view = ask(node.http);
    if (!view) {
      found.answers += "\n  " + node.node + ": " + view.error().text;
      continue;
    }
    ++found.answering;
    const auto term = view->self.term.value_or(0);
    found.answers += "\n  " + node.node + ": " + view->self.role + " of term " + std::to_string(term);
    if (view->self.role == "leader" && (!found.known() || term > found.term)) {
      found.node = view->self.node;
      found.term = term;
    }
  }
  return found;
}

}  // namespace weir::cli
