#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "clients/cpp/error.hpp"
#include "clients/cpp/event.hpp"
#include "clients/cpp/http.hpp"
#include "clients/cpp/members.hpp"

namespace weir::client {

enum class Learning {
  members,  ///< ask the cluster who else is in it, and go on with them
  off,      ///< talk to the servers given and to nobody else
};

struct ClientOptions {
  std::vector<Endpoint> servers;
  /// How long one operation may take with everything it tries again.
  std::chrono::milliseconds deadline{10'000};
  std::chrono::milliseconds connect_timeout{1'000};
  /// More than the 5 s a broker waits for a leader, so that it is the broker who explains.
  std::chrono::milliseconds answer_timeout{6'000};
  Learning learning = Learning::members;
};

/// Publishes to and reads from a cluster over HTTP. One thread at a time; every call blocks, at most until the
/// deadline.
///
/// What is tried again by itself: a request that certainly reached nobody (connection refused, cut before its last
/// byte, 503), with the next member, until the deadline; and, when every event of it has an id, also one whose answer
/// was lost, because the broker recognises it. Without ids such a loss is errc::outcome_unknown.
class Client {
 public:
  explicit Client(ClientOptions options);

  [[nodiscard]] Result<Published> publish(std::string_view topic, const OutgoingEvent& event);

  /// All or none, in order. At most 65,536 events and 8 MiB as ndjson.
  [[nodiscard]] Result<BatchPublished> publish_batch(std::string_view topic, std::span<const OutgoingEvent> events);

  /// The same for lines that are already encoded (encode_line).
  enum class Ids { on_every_line, not_on_every_line };
  [[nodiscard]] Result<BatchPublished> publish_lines(std::string_view topic, std::string lines, std::size_t count,
                                                     Ids ids);

  /// Any GET that succeeds with a 2xx; `accept` may be empty.
  [[nodiscard]] Result<HttpResponse> get(std::string_view target, std::string_view accept);

  /// Any request that only the leader takes: goes where members point to (307). Tried again only while it certainly
  /// reached nobody who acts on it.
  [[nodiscard]] Result<HttpResponse> ask_leader(const HttpRequest& request);
  /// The same for one that may be done twice without harm: tried again also when its answer was lost.
  [[nodiscard]] Result<HttpResponse> ask_twice(const HttpRequest& request);

  /// Asks the current member who is in the cluster; best effort. Publishing and reading do this by themselves.
  void learn_members();

  [[nodiscard]] Members& members() { return members_; }
  [[nodiscard]] const ClientOptions& options() const { return options_; }

 private:
  enum class Repeat { always_safe, before_handover };
  struct Call;

  Result<HttpResponse> send(const HttpRequest& request, Repeat repeat, std::string_view what);
  std::optional<Result<HttpResponse>> attempt(const HttpRequest& request, Call& call);
  std::optional<Result<HttpResponse>> judge(HttpResponse response, Call& call);
  std::optional<Result<HttpResponse>> lost_answer(std::string text, std::optional<Problem> problem, Call& call);
  bool follow(std::string_view location);
  void leave_member();
  bool learn_over(HttpConnection& connection, Deadline deadline);

  ClientOptions options_;
  Members members_;
  std::optional<HttpConnection> connection_;  // to members_.current() when it is to that endpoint at all
  bool learned_ = false;                      // since the last time a member was left
};

/// "/v1/events/" and the topic or pattern, escaped.
[[nodiscard]] std::string events_target(std::string_view topic);

}  // namespace weir::client
