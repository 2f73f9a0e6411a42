#include "broker/app.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>

#include "broker/clock.hpp"
#include "broker/disk_thread.hpp"
#include "broker/gateway.hpp"
#include "broker/node_log.hpp"
#include "broker/peer_links.hpp"
#include "broker/ticker.hpp"
#include "storage/lmdb_log_store.hpp"
#include "storage/random_id.hpp"
#include "storage/thread_start.hpp"

namespace weir::broker {
namespace {

namespace asio = boost::asio;

/// FAULTS 78: a stop is over within 10 s, whatever hangs; this is when patience ends.
constexpr std::chrono::milliseconds kStopTimeout{9'000};
/// Sessions get this long to hear goodbye; drain_timeout_ms and this stay below kStopTimeout.
constexpr std::uint32_t kHttpStopTimeoutMs = 3'000;
/// Descriptors that HTTP connections may not have: files, members, and what is just being accepted (FAULTS 55, 82).
constexpr std::size_t kDescriptorsReserved = 256;
/// A node that finds its data damaged begins anew in the same process; a disk that goes on damaging it is not trusted
/// for ever.
constexpr int kLivesMax = 3;
/// Until a leader is first known the app looks this often.
constexpr int kTicksPerLook = 5;

/// The node as the peer port knows it.
class NodePeers final : public PeerHandler {
 public:
  explicit NodePeers(Node& node) : node_(node) {}
  [[nodiscard]] wire::Hello hello() const override { return node_.hello(); }
  [[nodiscard]] std::expected<void, std::string> judge(const wire::Hello& peer) override { return node_.judge(peer); }
  void peer_up(const wire::Hello& peer) override { node_.peer_up(peer); }
  void peer_down(raft::NodeId peer) override { node_.peer_down(peer); }
  void peer_message(raft::NodeId peer, PeerLife life, wire::PeerMessage message) override {
    node_.peer_message(peer, life, std::move(message));
  }

 private:
  Node& node_;
};

/// One net thread's io_context, which runs until it is stopped.
struct Net {
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(context);
};

/// A file opened later must not become stdout or stderr, or a log line would be written into the data.
void fill_standard_descriptors() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) == -1 && ::open("/dev/null", O_RDWR) == -1) {
      throw std::runtime_error("standard input, output or error is closed and /dev/null cannot be opened");
    }
  }
}

/// Raises the soft limit of descriptors to the hard one; what is then allowed.
[[nodiscard]] std::size_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return kDescriptorsReserved * 2;
  limit.rlim_cur = limit.rlim_max;
  static_cast<void>(::setrlimit(RLIMIT_NOFILE, &limit));
  static_cast<void>(::getrlimit(RLIMIT_NOFILE, &limit));
  return limit.rlim_cur;
}

/// To stdout, which may be closed or full: then the line is lost and nothing else (FAULTS 84).
void say(const std::string& line) {
  static_cast<void>(std::fputs((line + "\n").c_str(), stdout));
  static_cast<void>(std::fflush(stdout));
}

/// A leader is known, and all that is known to be committed is applied.
[[nodiscard]] bool is_caught_up(const NodeStatus& status) {
  return status.leader && status.commit_index.value > 0 && status.applied_index == status.commit_index;
}

/// For `--http HOST:0`: the address is told to others before the HTTP server stands.
[[nodiscard]] std::uint16_t free_port(const std::string& host) {
  asio::io_context context;
  boost::system::error_code code;
  const asio::ip::tcp::endpoint any(asio::ip::make_address(host, code), 0);
  asio::ip::tcp::acceptor acceptor(context);
  if (!code) acceptor.open(any.protocol(), code);
  if (!code) acceptor.bind(any, code);
  if (code) throw std::runtime_error("no free port on " + host + ": " + code.message());
  return acceptor.local_endpoint(code).port();
}

/// Others have what this node has, and may give it back.
[[nodiscard]] bool may_rejoin(const Config& config) {
  return config.if_damaged == IfDamaged::rejoin && config.peers.size() > 1;
}

class App {
 public:
  explicit App(const Config& config);
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  int run();
  /// What is wrong with the node's data; empty = nothing is known to be.
  [[nodiscard]] const std::string& damage() const { return damage_; }
  [[nodiscard]] bool was_told_to_stop() const { return told_to_stop_; }

 private:
  void open_peer_port();
  void open_store();
  void build_node();
  void open_http();
  void start();

  void tick();
  void announce_leader();
  void notice_recovery();
  void on_phase(Phase phase, const std::string& why);
  void on_signal(int signal);
  void stop(int exit_code);
  void stop_http();
  void stop_peers();
  void stop_disk();
  [[nodiscard]] std::string goaway_address() const;

  // Everything, in the order in which it is built: what stands below uses what stands above, and goes first.
  Config config_;
  Log log_;
  NodeLog node_log_;
  SystemClock clock_;
  /// Above the core: what clients wait for stands in the core's queue with their timers and their coroutines' frames.
  std::vector<std::unique_ptr<Net>> nets_;
  /// The core strand is the main thread, the only one that runs this context. The peer port runs on it too: a message
  /// from a member then costs no wake-up of a second thread on its way in nor out. Its checksums and system calls are
  /// about half a millisecond per MiB; wake-ups cost more than that as soon as messages are small, and they mostly are.
  asio::io_context core_{1};
  std::unique_ptr<storage::LmdbLogStore> store_;
  std::unique_ptr<DiskThread> disk_;
  std::unique_ptr<PeerLinks> links_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<NodePeers> node_peers_;
  std::unique_ptr<storage::Scrub> scrub_;
  std::unique_ptr<Gateway> gateway_;
  std::unique_ptr<HttpServer> http_;
  Ticker ticker_;
  asio::signal_set signals_;
  asio::steady_timer patience_;
  std::vector<std::jthread> net_threads_;

  std::string damage_;
  bool told_to_stop_ = false;
  bool was_damaged_ = false;  ///< and has not got everything back yet
  bool announced_ = false;
  int ticks_to_look_ = 0;
  bool was_running_ = false;
  bool stopping_ = false;
  bool closing_clients_ = false;
  int exit_code_ = 0;
};

App::App(const Config& config)
    : config_(config),
      log_(config.log_level, config.log_format, config.node.name),
      node_log_(log_, config.node.members),
      ticker_(core_.get_executor(), std::chrono::milliseconds(config.node.tick_ms), [this] { tick(); }),
      signals_(core_),
      patience_(core_) {}

App::~App() {
  // Also when run() was left by an exception.
  for (const auto& net : nets_) net->context.stop();
  net_threads_.clear();
}

/// Start order: ports before data, so that a second broker by mistake touches nothing; HTTP last, so that whoever gets
/// in finds everything behind it standing.
int App::run() {
  open_peer_port();
  open_store();
  build_node();
  open_http();
  start();
  core_.run();
  log_.info("stopped", {{"exit_code", exit_code_}});
  return exit_code_;
}

void App::open_peer_port() {
  PeerLinksConfig config;
  config.listen = config_.raft;
  config.seed = storage::random_id();
  for (const Peer& peer : config_.peers) {
    if (peer.name != config_.node.name) config.peers.push_back(peer);
  }
  links_ = std::make_unique<PeerLinks>(std::move(config), core_.get_executor(), core_.get_executor(), log_);
  if (auto listening = links_->listen(); !listening) throw std::runtime_error(listening.error());
  if (config_.raft.port == 0) {
    config_.raft.port = links_->port();
    const auto advertised = parse_endpoint(config_.node.raft_address);
    if (advertised && advertised->port == 0) config_.node.raft_address = config_.raft.text();
  }
}

void App::open_store() {
  // Each file of the log takes one.
  static_cast<void>(raise_descriptor_limit());
  auto store = storage::LmdbLogStore::open({.folder = config_.data,
                                            .node_name = config_.node.name,
                                            .segment_bytes = config_.segment_bytes,
                                            .durability = config_.durability,
                                            .rejoin = may_rejoin(config_)});
  if (!store) throw std::runtime_error(store.error().text);
  store_ = std::move(*store);
  was_damaged_ = !store_->lost_because().empty();
  disk_ = std::make_unique<DiskThread>(*store_, core_.get_executor());
}

void App::build_node() {
  NodeConfig config = config_.node;
  if (config_.http.port == 0) {
    config_.http.port = free_port(config_.http.host);
    const auto advertised = parse_endpoint(config.http_address);
    if (advertised && advertised->port == 0) config.http_address = config_.http.text();
  }
  config.boot_nonce = storage::random_id();
  config.seed = storage::random_id();
  // Of a log in small files little is to be applied again, and soon a snapshot can be made of it.
  config.checkpoint_bytes = config_.segment_bytes / 4;
  config.checkpoint_delta_bytes = config_.segment_bytes / 16;
  config_.node = config;
  NodeEvents events;
  events.raft = [this](const raft::Event& event) { node_log_.raft(event); };
  events.phase = [this](Phase phase, const std::string& why) { on_phase(phase, why); };
  events.damaged = [this](const std::string& why) { damage_ = why; };
  events.notice = [this](const std::string& text) { node_log_.notice(text); };
  events.unsettled = [this] { asio::post(core_, [this] { node_->settle(); }); };
  auto founding = [this](std::string cluster_id, raft::Entry entry, Disk::WriteDone done) {
    log_.info("founding the cluster", {{"cluster", cluster_id}});
    disk_->found(std::move(cluster_id), std::move(entry), std::move(done));
  };
  node_ = std::make_unique<Node>(std::move(config), store_->identity(), store_->recovered(), *disk_, *links_, clock_,
                                 std::move(founding), std::move(events));
  node_peers_ = std::make_unique<NodePeers>(*node_);
  scrub_ = std::make_unique<storage::Scrub>(
      *store_,
      storage::Scrub::Options{.bytes_per_s = config_.scrub_bytes_per_s,
                              .pause = std::chrono::milliseconds(config_.scrub_pause_ms)},
      [this](const storage::Error& error) {
        asio::post(core_, [this, why = error.text] { node_->stop_damaged(why); });
      });
  disk_->count_scrubbed([&scrub = *scrub_] { return Scrubbed{.bytes = scrub.bytes(), .passes = scrub.passes()}; });
}

void App::open_http() {
  HttpConfig config{.address = config_.http.host,
                    .port = config_.http.port,
                    .limits = config_.limits,
                    .origins = config_.origins,
                    .loopback_only = is_loopback(config_.http)};
  config.limits.retention = config_.node.retention;
  const std::size_t descriptors = raise_descriptor_limit();
  const std::size_t for_http =
      descriptors > 2 * kDescriptorsReserved ? descriptors - kDescriptorsReserved : descriptors / 2;
  if (for_http < config.limits.connections_max) {
    log_.warn("fewer HTTP connections than configured: the limit of open files is low (ulimit -n)",
              {{"open_files", descriptors}, {"connections", for_http}});
    config.limits.connections_max = for_http;
  }
  std::vector<asio::io_context*> contexts;
  contexts.reserve(config_.net_threads);
  for (std::uint32_t i = 0; i < config_.net_threads; ++i) {
    contexts.push_back(&nets_.emplace_back(std::make_unique<Net>())->context);
  }
  gateway_ = std::make_unique<Gateway>(core_.get_executor(), *node_);
  http_ = std::make_unique<HttpServer>(std::move(config), *gateway_, std::move(contexts));
  if (auto listening = http_->start(); !listening) throw std::runtime_error(listening.error());
}

void App::start() {
  say("weir " WEIR_VERSION " node " + config_.node.name + " http " + config_.http.text() + " raft " +
      config_.raft.text());
  log_.info("started", {{"data", config_.data},
                        {"durability", std::string(storage::to_string(config_.durability))},
                        {"incarnation", store_->identity().incarnation},
                        {"last_index", store_->recovered().last_index.value},
                        {"net_threads", config_.net_threads}});
  if (was_damaged_) {
    log_.error(
        "DAMAGED: what this node had is left aside in its data folder; it begins empty and gets everything from "
        "the other members",
        {{"why", store_->lost_because()}});
  }
  if (!is_loopback(config_.http) || !is_loopback(config_.raft)) {
    log_.warn("INSECURE: reachable from other machines, and whoever reaches it may read, write and pose as a member",
              {{"http", config_.http.text()}, {"raft", config_.raft.text()}});
  }
  if (config_.durability == storage::Durability::os) {
    log_.warn("DURABILITY os: nothing is flushed; a power cut loses acknowledged events and may wreck the log");
  }
  signals_.add(SIGTERM);
  signals_.add(SIGINT);
  signals_.async_wait([this](const boost::system::error_code& code, int signal) {
    if (!code) on_signal(signal);
  });
  asio::post(core_, [this] {
    node_->start();
    links_->start(*node_peers_);
    ticker_.start();
  });
  for (const auto& net : nets_) {
    net_threads_.emplace_back([&context = net->context] {
      storage::begin_thread("weir-net");
      context.run();
    });
  }
}

void App::tick() {
  node_->tick();
  if ((announced_ && !was_damaged_) || --ticks_to_look_ > 0) return;
  ticks_to_look_ = kTicksPerLook;
  if (!announced_) announce_leader();
  if (was_damaged_) notice_recovery();
}

/// A voter again, with all that it knows to be committed: what was damaged is of no use to anybody any more.
void App::notice_recovery() {
  const NodeStatus status = node_->status();
  const auto self = std::ranges::find(status.members, status.node, &MemberStatus::node);
  const bool votes = self != status.members.end() && self->kind == wire::MemberKind::voter &&
                     self->incarnation == store_->identity().incarnation;
  if (!votes || !is_caught_up(status)) return;
  was_damaged_ = false;
  log_.info("has everything again; what was damaged is removed");
  disk_->between_writes([this] {
    if (auto forgotten = store_->forget_damage(); !forgotten) log_.warn(forgotten.error().text);
  });
}

/// Once, when a leader is first known and this node has applied what it knows to be committed.
void App::announce_leader() {
  const NodeStatus status = node_->status();
  if (!is_caught_up(status)) return;
  announced_ = true;
  const std::string term = std::to_string(status.term.value);
  const bool leads = status.role == raft::Role::leader;
  const std::string role = leads ? "leader of term " + term : "follower of " + *status.leader + " in term " + term;
  const std::string members = status.members.size() == 1 ? "alone" : std::to_string(status.members.size()) + " members";
  say(role + ", " + members + ", " + std::to_string(status.position.value) + " events; console http://" +
      config_.node.http_address + "/ui/");
}

/// Called by the node, which must not be called back from here.
void App::on_phase(Phase phase, const std::string& why) {
  node_log_.phase(phase, why);
  if (phase == Phase::running) was_running_ = true;
  if (phase != Phase::failed) return;
  // fsyncgate: after a failed write or flush nothing in memory may be trusted; only a restart re-reads what is there.
  asio::post(core_, [this] { stop(was_running_ ? 1 : 2); });
}

void App::on_signal(int signal) {
  told_to_stop_ = true;
  log_.info("told to stop; a second signal stops at once", {{"signal", signal}});
  signals_.async_wait([](const boost::system::error_code& code, int second) {
    constexpr int kKilledBySignal = 128;
    if (!code) std::_Exit(kKilledBySignal + second);
  });
  stop(0);
}

/// Stop order, the reverse of the start: leadership and pending writes, then clients, then members, then the disk. Each
/// step is done or has timed out before the next begins.
void App::stop(int exit_code) {
  exit_code_ = std::max(exit_code_, exit_code);
  const bool was_stopping = std::exchange(stopping_, true);
  // A node that fails while it drains has nothing left to drain.
  if (was_stopping && exit_code != 0) stop_http();
  if (was_stopping) return;
  patience_.expires_after(kStopTimeout);
  patience_.async_wait([this](const boost::system::error_code& code) {
    if (code) return;
    // Not through the log, whose thread may be what hangs.
    static_cast<void>(std::fputs("weir: the stop took too long; what was acknowledged is on disk\n", stderr));
    std::_Exit(1);
  });
  if (exit_code != 0) {
    stop_http();
    return;
  }
  log_.info("stopping: handing over leadership, answering what is pending");
  node_->drain(config_.drain_timeout_ms, [this] { asio::post(core_, [this] { stop_http(); }); });
}

void App::stop_http() {
  if (std::exchange(closing_clients_, true)) return;
  log_.info("stopping: closing clients");
  http_->stop(goaway_address(), kHttpStopTimeoutMs, [this] { asio::post(core_, [this] { stop_peers(); }); });
}

void App::stop_peers() {
  log_.info("stopping: closing the peer port");
  ticker_.stop();
  links_->stop([this] { stop_disk(); });
}

void App::stop_disk() {
  log_.info("stopping: finishing writes");
  disk_->stop([this] { core_.stop(); });
}

/// Where clients may go on: the leader if it is somebody else, or any other member.
std::string App::goaway_address() const {
  const NodeStatus status = node_->status();
  std::string address;
  for (const MemberStatus& member : status.members) {
    if (member.node == status.node) continue;
    if (address.empty() || member.role == raft::Role::leader) address = member.http_address;
  }
  return address;
}

}  // namespace

int run_broker(const Config& config) {
  fill_standard_descriptors();
  std::signal(SIGPIPE, SIG_IGN);
  for (int life = 1;; ++life) {
    std::string damage;
    int exit_code = 0;
    bool goes_on = life < kLivesMax && may_rejoin(config);
    {
      App app(config);
      exit_code = app.run();
      damage = app.damage();
      goes_on = goes_on && !app.was_told_to_stop();
    }
    if (damage.empty()) return exit_code;
    if (auto condemned = storage::condemn_folder(config.data, damage); !condemned)
      throw std::runtime_error(condemned.error().text);
    if (!goes_on) return exit_code;
  }
}

}  // namespace weir::broker
