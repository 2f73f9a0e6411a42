#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>

#include "clients/cli/read.hpp"
#include "clients/cli/text_format.hpp"

namespace weir::cli {
namespace {

using client::ClusterView;
using client::MemberView;

/// For each member asked after the first: a hung one must not hide the others for long.
constexpr std::chrono::seconds kMemberTimeout{2};

/// What a member says of itself: the answer's own fields, and those of its own row in the list of members.
MemberView own_view(const ClusterView& view) {
  MemberView own = view.self;
  const auto row = std::ranges::find(view.members, own.node, &MemberView::node);
  if (row == view.members.end()) return own;
  if (!own.last_index) own.last_index = row->last_index;
  if (!own.fsync_p99_us) own.fsync_p99_us = row->fsync_p99_us;
  if (!own.disk_bytes) own.disk_bytes = row->disk_bytes;
  if (!own.uptime_ms) own.uptime_ms = row->uptime_ms;
  if (row->role == "learner") own.role = row->role;
  return own;
}

StatusRow ask(const MemberView& member) {
  StatusRow silent{.member = {}, .answers = false};
  silent.member.node = member.node;
  const auto endpoint = client::parse_endpoint(member.http);
  if (!endpoint) return silent;
  client::ClientOptions options;
  options.servers = {*endpoint};
  options.deadline = options.answer_timeout = kMemberTimeout;
  options.learning = client::Learning::off;
  const auto response = client::Client(options).get("/v1/cluster", "application/json");
  const auto view = response ? client::decode_cluster(response->body) : std::unexpected(response.error());
  return view ? StatusRow{.member = own_view(*view), .answers = true} : silent;
}

ExitCode run_status(const Invocation& invocation) {
  const auto response = fetch(invocation, "/v1/cluster", "application/json");
  if (!response) return report(response.error());
  if (invocation.output() != Format::table) {
    print_json(response->body, "members", invocation.output());
    return ExitCode::ok;
  }
  const auto view = client::decode_cluster(response->body);
  if (!view) return report(view.error());
  std::vector<StatusRow> rows;
  for (const auto& member : view->members) {
    if (member.node == view->self.node)
      rows.push_back({.member = own_view(*view), .answers = true});
    else
      rows.push_back(ask(member));
  }
  print_data(cluster_table(rows, is_terminal(Stream::data) ? Colour::on : Colour::off));
  return ExitCode::ok;
}

ExitCode run_raft_log(const RaftLogOptions& options, const Invocation& invocation) {
  std::string target = "/v1/raft/log";
  if (options.from) target += "?from=" + std::to_string(*options.from);
  if (options.limit) target += (options.from ? "&limit=" : "?limit=") + std::to_string(*options.limit);
  const auto response = fetch(invocation, target, "application/json");
  if (!response) return report(response.error());
  if (invocation.output() != Format::table) {
    print_json(response->body, "entries", invocation.output());
    return ExitCode::ok;
  }
  const auto entries = client::decode_raft_log(response->body);
  if (!entries) return report(entries.error());
  print_data(raft_log_table(*entries));
  return ExitCode::ok;
}

}  // namespace

void add_cluster(const Parents& parents, Invocation& invocation, RaftLogOptions& options) {
  auto* status = parents.cluster.add_subcommand("status", "Every member as it sees itself; the leader is starred");
  add_shared_options(*status, invocation);
  status->footer("LAG is in log entries behind the leader's last. '-': not known.");
  status->callback([&] { invocation.exit_code = run_status(invocation); });

  auto* log = parents.raft.add_subcommand("log", "Entries of the Raft log of the node that answers");
  log->add_option("--from", options.from, "The first index to show");
  log->add_option("--limit", options.limit, "How many");
  add_shared_options(*log, invocation);
  log->footer("TOPIC/OFFSET and ID are the entry's first event's; '+N': and N more; 'dup': it changed nothing.");
  log->callback([&] { invocation.exit_code = run_raft_log(options, invocation); });
}

}  // namespace weir::cli
