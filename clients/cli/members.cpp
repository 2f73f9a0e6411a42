#include "clients/cli/members.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <thread>

#include "clients/cli/text_format.hpp"
#include "clients/cpp/client.hpp"
#include "clients/cpp/text.hpp"
#include "clients/cpp/views.hpp"

namespace weir::cli {
namespace {

using client::Client;
using client::ClusterView;
using client::HttpRequest;
using client::MemberView;
using client::Result;

/// How often the cluster is looked at while something goes on in it.
constexpr std::chrono::milliseconds kLook{100};
/// What a broker may spend on asking the others; below the client's patience with one answer.
constexpr std::string_view kVerifyTimeout = "5s";

std::string body_of(std::initializer_list<std::pair<std::string_view, std::string_view>> texts) {
  boost::json::object object;
  for (const auto& [name, value] : texts) {
    if (!value.empty()) {
      object[boost::json::string_view(name.data(), name.size())] = boost::json::string_view(value.data(), value.size());
    }
  }
  return boost::json::serialize(object);
}

HttpRequest request_of(std::string_view method, std::string target, std::string body = {}) {
  HttpRequest request{.method = std::string(method), .target = std::move(target), .body = std::move(body)};
  request.headers.emplace_back("Accept", "application/json");
  if (!request.body.empty()) request.headers.emplace_back("Content-Type", "application/json");
  return request;
}

const MemberView* find(const ClusterView& view, std::string_view name) {
  const auto place = std::ranges::find(view.members, name, &MemberView::node);
  return place == view.members.end() ? nullptr : &*place;
}

/// The cluster as its leader sees it; as another sees it while there is none.
Result<ClusterView> look(Client& client) {
  for (bool at_leader = false;; at_leader = true) {
    const auto response = client.get("/v1/cluster", "application/json");
    if (!response) return std::unexpected(response.error());
    auto view = client::decode_cluster(response->body);
    if (!view || at_leader || view->leader.empty() || view->self.node == view->leader) return view;
    const auto* leader = find(*view, view->leader);
    const auto endpoint = client::parse_endpoint(leader == nullptr ? "" : leader->http);
    if (!endpoint) return view;
    client.members().prefer(*endpoint);
  }
}

/// One line that is written over, on a terminal; nothing elsewhere.
class Progress {
 public:
  ~Progress() { clear(); }
  Progress() = default;
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(const std::string& words) {
    if (!is_terminal(Stream::words) || words == shown_) return;
    clear();
    shown_ = words;
    static_cast<void>(std::fprintf(stderr, "%s", shown_.c_str()));
    static_cast<void>(std::fflush(stderr));
  }
  void clear() {
    if (shown_.empty()) return;
    static_cast<void>(std::fprintf(stderr, "\r%*s\r", static_cast<int>(shown_.size()), ""));
    shown_.clear();
  }

 private:
  std::string shown_;
};

ExitCode refuse(const std::string& words) {
  say("weir: " + words);
  return ExitCode::refused;
}

/// A leader that says "not now" until the time is up has been reached, and has refused.
ExitCode fail(client::Error error) {
  const bool refused = error.code == client::errc::unreachable && error.problem && error.problem->name() != "no-leader";
  if (refused) error.code = client::errc::refused;
  return report(error);
}

/// `words` for people, the broker's own answer for programs.
ExitCode answer(const Invocation& invocation, const std::string& body, const std::string& words) {
  print_data(invocation.output() == Format::table ? escape(words) + "\n" : body);
  return ExitCode::ok;
}

std::uint64_t percent_of(const ClusterView& view, const MemberView& member) {
  const std::uint64_t last = std::max<std::uint64_t>(view.self.last_index.value_or(0), 1);
  return std::min<std::uint64_t>(member.match_index.value_or(0) * 100 / last, 100);
}

/// Until the leader has made it a voter. Gives up when it has not come closer for as long as `invocation` allows.
ExitCode watch_learner(Client& client, const Invocation& invocation, const std::string& name) {
  Progress progress;
  const auto patience = client.options().deadline;
  auto since = client::Clock::now();
  std::uint64_t reached = 0;
  while (true) {
    const auto view = look(client);
    if (!view) return report(view.error());
    const auto* member = find(*view, name);
    if (member == nullptr) return refuse("'" + name + "' is no member any more");
    if (member->role != "learner") {
      progress.clear();
      return answer(invocation, body_of({{"node", name}, {"role", "voter"}}) + "\n",
                    name + " is a voter; " + std::to_string(view->members.size()) + " members");
    }
    const std::uint64_t percent = percent_of(*view, *member);
    progress.show(name + " learner " + std::to_string(percent) + " %");
    const std::uint64_t match = member->match_index.value_or(0);
    if (match > reached) {
      reached = match;
      since = client::Clock::now();
    }
    if (client::Clock::now() - since > patience) {
      progress.clear();
      return refuse("'" + name + "' is still a learner, at " + std::to_string(percent) +
                    " %; it becomes a voter by itself when it has caught up: weir cluster status");
    }
    std::this_thread::sleep_for(kLook);
  }
}

ExitCode run_add(const MemberOptions& options, const Invocation& invocation) {
  const auto how = client_options(invocation);
  if (!how) return report(how.error());
  Client client(*how);
  const auto added = client.ask_leader(request_of("POST", "/v1/cluster/members",
                                                  body_of({{"node", options.name},
                                                           {"action", options.learner ? "add-learner" : "add"},
                                                           {"raft", options.raft},
                                                           {"http", options.http}})));
  if (!added) return fail(added.error());
  if (options.learner) return answer(invocation, added->body, options.name + " is a learner");
  return watch_learner(client, invocation, options.name);
}

ExitCode run_promote(const MemberOptions& options, const Invocation& invocation) {
  const auto how = client_options(invocation);
  if (!how) return report(how.error());
  const auto promoted = Client(*how).ask_leader(
      request_of("POST", "/v1/cluster/members", body_of({{"node", options.name}, {"action", "promote"}})));
  return promoted ? answer(invocation, promoted->body, options.name + " is a voter") : fail(promoted.error());
}

ExitCode run_remove(const MemberOptions& options, const Invocation& invocation) {
  const auto how = client_options(invocation);
  if (!how) return report(how.error());
  const auto removed = Client(*how).ask_leader(
      request_of("DELETE", "/v1/cluster/members/" + client::percent_encode(options.name, client::Slash::escape)));
  return removed ? answer(invocation, removed->body, options.name + " is removed") : fail(removed.error());
}

/// Until somebody else than `old_leader` leads.
ExitCode watch_leader(Client& client, const Invocation& invocation, const std::string& old_leader) {
  const auto deadline = client::Clock::now() + client.options().deadline;
  while (true) {
    const auto view = look(client);
    if (!view) return report(view.error());
    if (!view->leader.empty() && view->leader != old_leader) {
      const std::string term = std::to_string(view->self.term.value_or(0));
      return answer(invocation, body_of({{"leader", view->leader}}) + "\n", view->leader + " leads in term " + term);
    }
    if (client::Clock::now() > deadline) {
      return refuse("'" + old_leader + "' still leads; nobody else could take over: weir cluster status");
    }
    std::this_thread::sleep_for(kLook);
  }
}

ExitCode run_transfer(const MemberOptions& options, const Invocation& invocation) {
  const auto how = client_options(invocation);
  if (!how) return report(how.error());
  Client client(*how);
  const auto before = look(client);
  if (!before) return report(before.error());
  if (!options.name.empty() && before->leader == options.name) {
    return answer(invocation, body_of({{"leader", before->leader}}) + "\n", options.name + " leads already");
  }
  const auto asked = client.ask_leader(request_of("POST", "/v1/cluster/transfer", body_of({{"to", options.name}})));
  return asked ? watch_leader(client, invocation, before->leader) : fail(asked.error());
}

ExitCode run_drain(const MemberOptions& options, const Invocation& invocation) {
  auto how = client_options(invocation);
  if (!how) return report(how.error());
  Client client(*how);
  const auto response = client.get("/v1/cluster", "application/json");
  const auto view = response ? client::decode_cluster(response->body) : std::unexpected(response.error());
  if (!view) return report(view.error());
  const std::string name = options.name.empty() ? view->self.node : options.name;
  const auto* member = find(*view, name);
  if (member == nullptr) return refuse("there is no member '" + name + "'");
  const auto endpoint = client::parse_endpoint(member->http);
  if (!endpoint) return report(endpoint.error());
  how->servers = {*endpoint};
  how->learning = client::Learning::off;
  const auto drained = Client(*how).ask_leader(request_of(options.end ? "DELETE" : "POST", "/v1/cluster/drain"));
  if (!drained) return fail(drained.error());
  if (options.end) return answer(invocation, drained->body, name + " is back in service");
  if (view->leader == name) {
    if (const auto handed = watch_leader(client, invocation, name); handed != ExitCode::ok) return handed;
  }
  return answer(
      invocation, drained->body,
      name + " is drained: it takes no writes and votes on; weir cluster drain " + name + " --end puts it back");
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : " ") + name;
  return text;
}

ExitCode run_verify(const Invocation& invocation) {
  const auto how = client_options(invocation);
  if (!how) return report(how.error());
  const auto response =
      Client(*how).ask_leader(request_of("POST", "/v1/cluster/verify?timeout=" + std::string(kVerifyTimeout)));
  const auto verified = response ? client::decode_verified(response->body) : std::unexpected(response.error());
  if (!verified) return fail(verified.error());
  std::string words = joined(verified->agree) + (verified->agree.size() == 1 ? " is" : " agree") + " at " +
                      std::to_string(verified->position) + ": " + verified->digest;
  for (const auto& name : verified->differ) words += "\n" + name + " differs";
  for (const auto& name : verified->unreachable) words += "\n" + name + " could not be asked";
  if (invocation.output() == Format::table) {
    std::string lines;
    for (std::size_t from = 0; from <= words.size();) {
      const std::size_t end = std::min(words.find('\n', from), words.size());
      lines += escape(words.substr(from, end - from)) + "\n";
      from = end + 1;
    }
    print_data(lines);
  } else {
    print_data(response->body);
  }
  return verified->differ.empty() ? ExitCode::ok : ExitCode::refused;
}

CLI::App& add_verb(const Parents& parents, Invocation& invocation, const char* name, const char* what) {
  auto* verb = parents.cluster.add_subcommand(name, what);
  add_shared_options(*verb, invocation);
  return *verb;
}

}  // namespace

void add_members(const Parents& parents, Invocation& invocation, MemberOptions& options) {
  auto& add = add_verb(parents, invocation, "add", "Add a node that was started with --peers that name the members");
  add.add_option("name", options.name, "Its name")->required();
  add.add_option("--raft", options.raft, "HOST:PORT where members must reach it");
  add.add_option("--http", options.http, "HOST:PORT where clients must reach it");
  add.add_flag("--learner", options.learner, "It gets the log and counts for nothing until it is promoted");
  add.footer("It begins as a learner and becomes a voter when it has caught up.");
  add.callback([&] { invocation.exit_code = run_add(options, invocation); });

  auto& promote = add_verb(parents, invocation, "promote", "Make a learner a voter");
  promote.add_option("name", options.name, "Its name")->required();
  promote.callback([&] { invocation.exit_code = run_promote(options, invocation); });

  auto& remove = add_verb(parents, invocation, "remove", "Remove a member");
  remove.add_option("name", options.name, "Its name")->required();
  remove.callback([&] { invocation.exit_code = run_remove(options, invocation); });

  auto& transfer = add_verb(parents, invocation, "transfer", "Hand the leadership over");
  transfer.add_option("name", options.name, "To whom; else to whoever has most of the log");
  transfer.callback([&] { invocation.exit_code = run_transfer(options, invocation); });

  auto& drain = add_verb(parents, invocation, "drain", "Take a member out of service for maintenance; it votes on");
  drain.add_option("name", options.name, "Its name; else the node that answers");
  drain.add_flag("--end", options.end, "Put it back into service");
  drain.callback([&] { invocation.exit_code = run_drain(options, invocation); });

  auto& verify = add_verb(parents, invocation, "verify", "Compare what the members hold, now");
  verify.callback([&] { invocation.exit_code = run_verify(invocation); });
}

}  // namespace weir::cli
