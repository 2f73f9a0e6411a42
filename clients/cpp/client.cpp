#include "clients/cpp/client.hpp"

#include <algorithm>
#include <thread>
#include <utility>

#include "clients/cpp/event_json.hpp"
#include "clients/cpp/text.hpp"
#include "clients/cpp/views.hpp"

namespace weir::client {
namespace {

using std::chrono::milliseconds;

/// Between two rounds over all members. Short at first: an election takes a few hundred milliseconds.
constexpr milliseconds kPauseMin{50};
constexpr milliseconds kPauseMax{1'000};

/// Each is a member that says another leads: more than a few in a row are an election under way.
constexpr std::size_t kRedirectionsMax = 16;

constexpr std::size_t kIdBytesMax = 256;  // API.md §1

bool is_header_safe(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}

bool is_header_name(std::string_view name) {
  constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return !name.empty() && std::ranges::all_of(name, [&](char c) {
    const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return alphanumeric || kOthers.find(c) != std::string_view::npos;
  });
}

/// How a kept header travels (API.md §3): its own name for the standard ones, else behind "Weir-H-".
std::string wire_header(const std::string& name) {
  return name.starts_with("ce-") || name == "traceparent" ? name : "Weir-H-" + name;
}

Result<HttpRequest> publish_request(std::string_view topic, const OutgoingEvent& event) {
  if (event.id.size() > kIdBytesMax) return failure(errc::bad_argument, "the id is longer than 256 bytes");
  if (!is_utf8(event.id)) return failure(errc::bad_argument, "the id is not UTF-8");
  HttpRequest request{.method = "POST", .target = events_target(topic), .headers = {}, .body = event.data};
  char separator = '?';
  // In the URL, because a header could not carry every id.
  const auto add = [&](std::string_view name, const std::string& value) {
    if (value.empty()) return;
    request.target.append(1, separator).append(name).append("=").append(percent_encode(value, Slash::escape));
    separator = '&';
  };
  add("id", event.id);
  add("source", event.source);
  add("key", event.key);
  if (!is_header_safe(event.content_type)) return failure(errc::bad_argument, "the content type has a line break");
  if (!event.content_type.empty()) request.headers.emplace_back("Content-Type", event.content_type);
  for (const auto& [name, value] : event.headers) {
    if (!is_header_name(name)) return failure(errc::bad_argument, "'" + name + "' is not a header name");
    if (!is_header_safe(value)) return failure(errc::bad_argument, "header '" + name + "' has a line break");
    request.headers.emplace_back(wire_header(name), value);
  }
  return request;
}

/// The event was taken; an answer that cannot be read does not undo that.
template <class T>
Result<T> taken(Result<T> answer) {
  if (!answer && answer.error().code == errc::bad_answer) answer.error().code = errc::outcome_unknown;
  return answer;
}

}  // namespace

std::string events_target(std::string_view topic) {
  return "/v1/events/" + percent_encode(topic, Slash::keep);
}

/// What one operation remembers from attempt to attempt.
struct Client::Call {
  Call(Repeat how, std::string_view name, Deadline end) : repeat(how), what(name), deadline(end) {}

  Repeat repeat;
  std::string what;  // names the operation in errors
  Deadline deadline;
  std::size_t attempts = 0;
  milliseconds pause{kPauseMin};
  std::optional<milliseconds> asked_pause;  // by the last 503
  bool redirected = false;                  // to a member that is the current one now
  std::size_t redirections = 0;
  bool maybe_done = false;  // an earlier attempt was handed over and its answer lost
  Error last;               // why the last attempt failed

  /// An attempt that our own deadline cut short explains less than what a broker had said before.
  void fail(std::string text) {
    if (last.problem && Clock::now() >= deadline) return;
    last = Error{errc::unreachable, std::move(text), std::nullopt};
  }
};

Client::Client(ClientOptions options) : options_(std::move(options)), members_(options_.servers) {}

Result<Published> Client::publish(std::string_view topic, const OutgoingEvent& event) {
  const auto request = publish_request(topic, event);
  if (!request) return std::unexpected(request.error());
  const auto repeat = event.id.empty() ? Repeat::before_handover : Repeat::always_safe;
  const auto response = send(*request, repeat, topic);
  if (!response) return std::unexpected(response.error());
  return taken(decode_published(response->body));
}

Result<BatchPublished> Client::publish_batch(std::string_view topic, std::span<const OutgoingEvent> events) {
  std::string lines;
  for (const auto& event : events) {
    auto line = encode_line(event);
    if (!line) return std::unexpected(std::move(line.error()));
    lines += *line;
  }
  const bool all = std::ranges::none_of(events, [](const auto& event) { return event.id.empty(); });
  return publish_lines(topic, std::move(lines), events.size(), all ? Ids::on_every_line : Ids::not_on_every_line);
}

Result<BatchPublished> Client::publish_lines(std::string_view topic, std::string lines, std::size_t count, Ids ids) {
  const HttpRequest request{.method = "POST",
                            .target = events_target(topic),
                            .headers = {{"Content-Type", "application/x-ndjson"}},
                            .body = std::move(lines)};
  const auto response = send(request, ids == Ids::on_every_line ? Repeat::always_safe : Repeat::before_handover, topic);
  if (!response) return std::unexpected(response.error());
  return taken(decode_batch(response->body, topic, count));
}

Result<HttpResponse> Client::get(std::string_view target, std::string_view accept) {
  HttpRequest request{.method = "GET", .target = std::string(target), .headers = {}, .body = {}};
  if (!accept.empty()) request.headers.emplace_back("Accept", accept);
  return send(request, Repeat::always_safe, "");
}

Result<HttpResponse> Client::ask_leader(const HttpRequest& request) {
  return send(request, Repeat::before_handover, "");
}

Result<HttpResponse> Client::ask_twice(const HttpRequest& request) {
  return send(request, Repeat::always_safe, "");
}

void Client::learn_members() {
  if (!connection_ || connection_->endpoint() != members_.current()) connection_.emplace(members_.current());
  learn_over(*connection_, Clock::now() + options_.connect_timeout);
}

Result<HttpResponse> Client::send(const HttpRequest& request, Repeat repeat, std::string_view what) {
  Call call(repeat, what, Clock::now() + options_.deadline);
  while (true) {
    if (auto answer = attempt(request, call)) return std::move(*answer);
    if (std::exchange(call.redirected, false)) {
      if (++call.redirections <= kRedirectionsMax) continue;
      call.fail("sent from member to member: none leads for long");
      break;
    }
    leave_member();
    ++call.attempts;
    const bool round_done = call.attempts % members_.all().size() == 0;
    const auto pause = call.asked_pause ? *call.asked_pause : round_done ? call.pause : milliseconds(0);
    if (round_done) call.pause = std::min(call.pause * 2, kPauseMax);
    if (Clock::now() + pause >= call.deadline) break;
    if (pause.count() > 0) std::this_thread::sleep_for(pause);
  }
  call.last.code = call.maybe_done && call.repeat == Repeat::always_safe && request.method != "GET"
                       ? errc::outcome_unknown
                       : errc::unreachable;
  return std::unexpected(std::move(call.last));
}

/// One try with the current member. Nothing: try again elsewhere; `call.last` says why.
std::optional<Result<HttpResponse>> Client::attempt(const HttpRequest& request, Call& call) {
  call.asked_pause.reset();
  if (!connection_ || connection_->endpoint() != members_.current()) connection_.emplace(members_.current());
  const auto now = Clock::now();
  if (auto opened = connection_->open(std::min(call.deadline, now + options_.connect_timeout)); !opened) {
    call.fail(std::move(opened.error().text));
    return std::nullopt;
  }
  if (!learned_ && options_.learning == Learning::members &&
      !learn_over(*connection_, std::min(call.deadline, now + options_.connect_timeout))) {
    call.fail(members_.current().text() + ": no answer");
    return std::nullopt;
  }
  auto response = connection_->exchange(request, std::min(call.deadline, Clock::now() + options_.answer_timeout));
  if (response) return judge(std::move(*response), call);
  if (response.error().handover == Handover::maybe) {
    return lost_answer(std::move(response.error().text), std::nullopt, call);
  }
  call.fail(std::move(response.error().text));
  return std::nullopt;
}

std::optional<Result<HttpResponse>> Client::judge(HttpResponse response, Call& call) {
  if (response.status >= 200 && response.status < 300) return response;
  if (response.status == 307 && follow(response.header("Location"))) {
    call.redirected = true;
    return std::nullopt;
  }
  auto problem = decode_problem(response.status, response.header("Retry-After"), response.body);
  auto error = refusal(call.what, problem);
  if (response.status == 504) return lost_answer(std::move(error.text), std::move(problem), call);
  if (response.status == 503) {
    // API.md §7: a broker says 503 only for what it did not append.
    call.asked_pause = problem.retry_after.transform([](milliseconds ms) { return std::min(ms, kPauseMax); });
    call.last = std::move(error);
    return std::nullopt;
  }
  return std::unexpected(std::move(error));
}

/// To the member that a broker points to. The path stays, so only the address counts.
bool Client::follow(std::string_view location) {
  constexpr std::string_view kScheme = "http://";
  if (!location.starts_with(kScheme)) return false;
  const auto address = location.substr(kScheme.size());
  const auto endpoint = parse_endpoint(address.substr(0, address.find('/')));
  if (!endpoint) return false;
  members_.prefer(*endpoint);
  learned_ = true;
  return true;
}

std::optional<Result<HttpResponse>> Client::lost_answer(std::string text, std::optional<Problem> problem, Call& call) {
  call.maybe_done = true;
  call.last = Error{errc::outcome_unknown, std::move(text), std::move(problem)};
  if (call.repeat == Repeat::always_safe) return std::nullopt;
  return std::unexpected(call.last);
}

void Client::leave_member() {
  members_.move_on();
  learned_ = false;
}

/// False: the member did not answer at all. Whatever it answers, the request itself is tried next.
bool Client::learn_over(HttpConnection& connection, Deadline deadline) {
  const auto response = connection.exchange(HttpRequest{.target = "/v1/cluster"}, deadline);
  if (!response) return false;
  learned_ = true;
  if (const auto cluster = decode_cluster(response->body); response->status == 200 && cluster) {
    members_.learn(cluster->endpoints());
  }
  return true;
}

}  // namespace weir::client
