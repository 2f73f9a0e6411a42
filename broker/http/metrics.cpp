#include "broker/http/metrics.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <string_view>

namespace weir::broker::http {

namespace {

void add_family(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  out += "# HELP ";
  out += name;
  out += ' ';
  out += help;
  out += "\n# TYPE ";
  out += name;
  out += ' ';
  out += type;
  out += '\n';
}

void add_sample(std::string& out, std::string_view name, std::string_view labels, const std::string& value) {
  out += name;
  out += labels;
  out += ' ';
  out += value;
  out += '\n';
}

void add(std::string& out, std::string_view name, std::string_view type, std::string_view help, std::uint64_t value) {
  add_family(out, name, type, help);
  add_sample(out, name, "", std::to_string(value));
}

std::string seconds(std::uint64_t us) {
  const std::string text = std::to_string(us % 1'000'000);
  return std::to_string(us / 1'000'000) + '.' + std::string(6 - text.size(), '0') + text;
}

/// The names and meanings that every Prometheus client library uses.
void add_process(std::string& out) {
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return;
  const auto us = [](const timeval& time) {
    return (static_cast<std::uint64_t>(time.tv_sec) * 1'000'000) + static_cast<std::uint64_t>(time.tv_usec);
  };
  add_family(out, "process_cpu_seconds_total", "counter", "Processor time of this process, user and system.");
  add_sample(out, "process_cpu_seconds_total", "", seconds(us(usage.ru_utime) + us(usage.ru_stime)));
}

void add_node(std::string& out, const NodeStatus& status) {
  const auto gauge = [&](std::string_view name, std::string_view help, std::uint64_t value) {
    add(out, name, "gauge", help, value);
  };
  gauge("weir_raft_term", "Current term.", status.term.value);
  gauge("weir_raft_is_leader", "1 on the leader.", status.role == raft::Role::leader ? 1 : 0);
  gauge("weir_raft_has_leader", "1 while a leader is known.", status.leader ? 1 : 0);
  gauge("weir_raft_first_index", "First log index this node still has.", status.first_index.value);
  gauge("weir_raft_last_index", "Last log index.", status.last_index.value);
  gauge("weir_raft_durable_index", "Last log index on this disk.", status.durable_index.value);
  gauge("weir_raft_commit_index", "Commit index.", status.commit_index.value);
  gauge("weir_raft_applied_index", "Last applied index.", status.applied_index.value);
  gauge("weir_position", "Position of the last event applied.", status.position.value);
  gauge("weir_members", "Members of the cluster.", status.members.size());
  gauge("weir_ready", "1 while this node serves reads and writes.",
        status.phase == Phase::running && status.leader && status.writes_refused.empty() ? 1 : 0);
  gauge("weir_failed", "1 once this node has stopped by itself: a disk error, or data that is not what it should be.",
        status.phase == Phase::failed ? 1 : 0);
  gauge("weir_digest_compared_index", "Log index as of which members' data was last compared.",
        status.compared_index.value);
  gauge("weir_digest_dispute", "1 while members' data differ and none has a majority: no writes are taken.",
        status.writes_refused.empty() ? 0 : 1);
}

void add_counters(std::string& out, const Counters& counters) {
  const auto counter = [&](std::string_view name, std::string_view help, std::uint64_t value) {
    add(out, name, "counter", help, value);
  };
  const auto gauge = [&](std::string_view name, std::string_view help, std::uint64_t value) {
    add(out, name, "gauge", help, value);
  };
  counter("weir_raft_elections_started_total", "Elections this node started.", counters.elections_started);
  counter("weir_raft_leader_changes_total", "Changes of leader seen.", counters.leader_changes);
  counter("weir_raft_truncations_total", "Log suffixes removed on conflict.", counters.truncations);
  counter("weir_peer_messages_refused_total", "Peer messages refused.", counters.messages_refused);
  counter("weir_events_stored_total", "Events applied.", counters.events_stored);
  counter("weir_events_duplicate_total", "Events recognised as stored before.", counters.events_duplicate);
  counter("weir_requests_refused_total", "Publish requests refused.", counters.requests_refused);
  counter("weir_entries_applied_total", "Log entries applied.", counters.entries_applied);
  counter("weir_checkpoints_saved_total", "Times the applied state was saved.", counters.checkpoints_saved);
  counter("weir_snapshots_installed_total", "Snapshots of a leader that took the place of this node's log.",
          counters.snapshots_installed);
  counter("weir_digest_comparisons_total", "Comparisons of members' data applied.", counters.digests_compared);
  counter("weir_digest_differences_total", "Of these, those in which not all held the same.",
          counters.digests_differing);
  counter("weir_requests_forwarded_total", "Requests forwarded to the leader.", counters.forwarded);
  counter("weir_disk_writes_total", "Durable writes.", counters.disk_writes);
  add_family(out, "weir_disk_write_seconds_total", "counter", "Time in durable writes.");
  add_sample(out, "weir_disk_write_seconds_total", "", seconds(counters.disk_write_us));
  add_family(out, "weir_disk_write_p99_seconds", "gauge", "99th percentile of the last durable writes.");
  add_sample(out, "weir_disk_write_p99_seconds", "", seconds(counters.disk_write_us_p99));
  counter("weir_scrub_bytes_total", "Stored bytes read again to find damage.", counters.scrub_bytes);
  counter("weir_log_files_rewritten_total", "Files of the log written anew with what is retained of them.",
          counters.files_rewritten);
  counter("weir_log_rewritten_bytes_total", "Bytes given back by that.", counters.rewritten_bytes);
  counter("weir_scrub_passes_total", "Times that all of them were.", counters.scrub_passes);
  gauge("weir_topics", "Topics.", counters.topics);
  gauge("weir_ids", "Event ids remembered in memory.", counters.ids);
  gauge("weir_ids_bytes", "Memory of the id table.", counters.ids_bytes);
  gauge("weir_id_runs", "Files with older ids.", counters.id_runs);
  gauge("weir_id_runs_ids", "Event ids in them.", counters.ids_on_disk);
  gauge("weir_id_runs_bytes", "Their size.", counters.id_run_bytes);
  gauge("weir_id_runs_memory_bytes", "Memory of their filters.", counters.id_filter_bytes);
  gauge("weir_forever_ids", "Ids that outlive their events, and claims of such topics.", counters.forever_ids);
  gauge("weir_forever_ids_bytes", "What these count for.", counters.forever_ids_bytes);
  gauge("weir_forever_ids_bytes_max", "What they may come to; then new ones are refused.",
        counters.forever_ids_bytes_max);
  gauge("weir_pending_requests", "Requests accepted and not answered yet.", counters.pending_requests);
  gauge("weir_pending_bytes", "Bytes of these.", counters.pending_bytes);
  gauge("weir_waiting_readers", "Readers waiting for events.", counters.waiters);
}

}  // namespace

void HttpMetrics::answered(Route route, unsigned status) {
  const std::size_t status_class = std::clamp<std::size_t>(status / 100, 1, kClasses) - 1;
  answers_[static_cast<std::size_t>(route)][status_class].fetch_add(1, std::memory_order_relaxed);
}

void HttpMetrics::publish_took(std::chrono::microseconds time) {
  const auto us = static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0));
  const auto* const bound = std::ranges::lower_bound(kBoundsUs, us);
  publish_buckets_[static_cast<std::size_t>(bound - kBoundsUs.begin())].fetch_add(1, std::memory_order_relaxed);
  publish_us_.fetch_add(us, std::memory_order_relaxed);
}

std::string HttpMetrics::text(const NodeStatus& status, const Counters& counters) const {
  std::string out;
  add_process(out);
  add_node(out, status);
  add_counters(out, counters);
  add_family(out, "weir_http_requests_total", "counter", "Answers by route and class of status.");
  for (std::size_t route = 0; route < kRouteCount; ++route) {
    for (std::size_t status_class = 0; status_class < kClasses; ++status_class) {
      const std::uint64_t count = answers_[route][status_class].load(std::memory_order_relaxed);
      if (count == 0) continue;
      const std::string labels = "{route=\"" + std::string(to_string(static_cast<Route>(route))) + "\",status=\"" +
                                 std::to_string(status_class + 1) + "xx\"}";
      add_sample(out, "weir_http_requests_total", labels, std::to_string(count));
    }
  }
  add_family(out, "weir_publish_seconds", "histogram", "From a request's last byte to the node's decision.");
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < publish_buckets_.size(); ++i) {
    sum += publish_buckets_[i].load(std::memory_order_relaxed);
    const std::string bound = i < kBoundsUs.size() ? seconds(kBoundsUs[i]) : "+Inf";
    add_sample(out, "weir_publish_seconds_bucket", "{le=\"" + bound + "\"}", std::to_string(sum));
  }
  add_sample(out, "weir_publish_seconds_sum", "", seconds(publish_us_.load(std::memory_order_relaxed)));
  add_sample(out, "weir_publish_seconds_count", "", std::to_string(sum));
  add(out, "weir_http_connections", "gauge", "Open connections.", connections_open);
  add(out, "weir_http_connections_refused_total", "counter", "Connections closed at the limit.", connections_refused);
  add(out, "weir_http_backups", "gauge", "Backups that are being written.", backups_open);
  add(out, "weir_http_streams", "gauge", "Open ndjson and SSE streams.", streams_open);
  add(out, "weir_websockets", "gauge", "Open WebSockets.", websockets_open);
  add(out, "weir_websocket_subscriptions", "gauge", "Subscriptions on WebSockets.", subscriptions_open);
  add(out, "weir_events_delivered_total", "counter", "Events sent to readers.", events_delivered);
  add(out, "weir_http_received_bytes_total", "counter", "Bytes received.", bytes_received);
  add(out, "weir_http_sent_bytes_total", "counter", "Bytes sent.", bytes_sent);
  return out;
}

}  // namespace weir::broker::http
