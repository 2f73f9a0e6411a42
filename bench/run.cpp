#include "bench/run.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "bench/link.hpp"
#include "bench/pace.hpp"
#include "bench/protocol.hpp"

namespace weir::bench {

namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// Connecting, shaking hands, and a first answer; a cluster that is alive needs milliseconds.
constexpr seconds kOpenTime{10};
/// What is under way when the time is over: as long as a broker waits before it says that it does not know.
constexpr seconds kFarewellTime{10};
constexpr seconds kLiveEvery{1};

std::uint64_t ns(Clock::time_point time) {
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(time.time_since_epoch()).count());
}

Clock::duration in_clock(double s) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(s));
}

/// A request without an answer. Its place in Publisher::requests is its rid.
struct Request {
  std::uint64_t sent_ns = 0;  ///< or when it was meant to be
  std::uint64_t events = 0;   ///< 0: the place is free
};

struct Publisher {
  std::unique_ptr<PublishProtocol> protocol;
  std::unique_ptr<Link> link;
  bool open = false;
  std::vector<Request> requests;
  std::vector<std::uint64_t> free;
};

struct Reader {
  std::unique_ptr<ReadProtocol> protocol;
  std::unique_ptr<Link> link;
  bool open = false;
  bool caught_up = false;
  std::uint64_t events = 0;
};

class Run {
 public:
  Run(const BenchOptions& options, const Targets& targets, const Peer& peer, const Live& live)
      : options_(options),
        targets_(targets),
        peer_(peer),
        live_(live),
        maker_(options.run, options.payload_size, options.ids, options.repeats) {}

  std::expected<Tally, std::string> go();

 private:
  enum class Phase : std::uint8_t { opening = 1, warm_up, measured, farewell };

  void add_publisher(std::size_t places);
  void add_reader();
  std::expected<std::size_t, std::string> on_publisher_bytes(Publisher& publisher, std::string_view in);
  std::expected<std::size_t, std::string> on_reader_bytes(Reader& reader, std::string_view in);
  void on_answer(Publisher& publisher, const Answer& answer, std::uint64_t now_ns);
  void on_event(std::string_view payload);

  std::expected<void, std::string> open_all();
  void begin();
  void measure(Clock::time_point now);
  void finish(Clock::time_point now);
  void fill(Publisher& publisher);
  void send(Publisher& publisher, std::uint64_t meant_ns);
  void send_due();
  void report_live(Clock::time_point now);
  [[nodiscard]] bool sending() const { return phase_ == Phase::warm_up || phase_ == Phase::measured; }
  [[nodiscard]] bool published_all() const { return options_.events > 0 && tally_.totals.sent >= options_.events; }
  [[nodiscard]] bool read_all() const;
  [[nodiscard]] bool has_ended() const;
  [[nodiscard]] std::uint64_t unanswered() const;
  template <class Done>
  void run_until(Clock::time_point end, Done done);

  const BenchOptions& options_;
  const Targets& targets_;
  const Peer& peer_;
  const Live& live_;
  asio::io_context io_{1};
  asio::steady_timer due_{io_};
  EventMaker maker_;
  std::vector<std::unique_ptr<Publisher>> publishers_;
  std::vector<std::unique_ptr<Reader>> readers_;
  std::optional<OpenLoop> open_loop_;
  std::uint64_t armed_for_ns_ = 0;  // when due_ ends
  std::size_t next_publisher_ = 0;
  std::vector<Answer> answers_;  // of one turn
  Phase phase_ = Phase::opening;
  std::string failure_;
  Clock::time_point measured_from_;
  Clock::time_point live_at_;
  std::uint64_t live_events_ = 0;  // counted when the last line was written
  std::uint64_t heard_ns_ = 0;     // when the bytes under the reader's hand arrived
  std::future<std::vector<std::optional<NodeSample>>> before_;
  Tally tally_;
};

void Run::add_publisher(std::size_t places) {
  auto publisher = std::make_unique<Publisher>();
  Publisher& one = *publisher;
  one.protocol = peer_.make_publish();
  one.requests.resize(std::min(places, one.protocol->outstanding_max()));
  for (std::uint64_t rid = one.requests.size(); rid > 0; --rid) one.free.push_back(rid - 1);
  one.link = std::make_unique<Link>(
      io_, [this, &one](std::string_view in) { return on_publisher_bytes(one, in); },
      [this](const std::string& why) { failure_ = "a publisher's connection ended: " + why; });
  publishers_.push_back(std::move(publisher));
}

void Run::add_reader() {
  auto reader = std::make_unique<Reader>();
  Reader& one = *reader;
  one.protocol = make_read_protocol(options_.protocol, targets_.leader().http, options_.topic,
                                    options_.work == Work::sub ? ReadFrom::earliest : ReadFrom::latest);
  one.link = std::make_unique<Link>(
      io_, [this, &one](std::string_view in) { return on_reader_bytes(one, in); },
      [this](const std::string& why) { failure_ = "a reader's connection ended: " + why; });
  readers_.push_back(std::move(reader));
}

std::expected<std::size_t, std::string> Run::on_publisher_bytes(Publisher& publisher, std::string_view in) {
  std::size_t opened = 0;
  if (!publisher.open) {
    const auto taken = publisher.protocol->open(in);
    if (!taken || *taken == 0) return taken;
    opened = *taken;
    publisher.open = true;
  }
  const auto taken = publisher.protocol->take(in.substr(opened), answers_, publisher.link->out());
  if (!taken) return taken;
  const std::uint64_t now_ns = ns(Clock::now());
  for (const Answer& answer : answers_) on_answer(publisher, answer, now_ns);
  answers_.clear();
  if (open_loop_) {
    send_due();
  } else {
    fill(publisher);
  }
  return opened + *taken;
}

void Run::on_answer(Publisher& publisher, const Answer& answer, std::uint64_t now_ns) {
  if (answer.rid >= publisher.requests.size() || publisher.requests[answer.rid].events == 0) {
    failure_ = "an answer to a request that was not sent";
    return;
  }
  Request& request = publisher.requests[answer.rid];
  publisher.free.push_back(answer.rid);
  if (!answer.problem.empty()) {
    tally_.totals.refused += request.events;
    tally_.problems[answer.problem] += request.events;
  } else if (answer.stored + answer.duplicates != request.events) {
    failure_ = "an answer to " + std::to_string(request.events) + " events counts " +
               std::to_string(answer.stored + answer.duplicates);
  }
  tally_.totals.stored += answer.stored;
  tally_.totals.duplicates += answer.duplicates;
  if (phase_ == Phase::measured && answer.problem.empty()) {
    tally_.acknowledged += request.events;
    tally_.duplicates += answer.duplicates;
    tally_.acknowledging.record(now_ns > request.sent_ns ? now_ns - request.sent_ns : 0);
  }
  request.events = 0;
}

std::expected<std::size_t, std::string> Run::on_reader_bytes(Reader& reader, std::string_view in) {
  std::size_t opened = 0;
  if (!reader.open) {
    const auto taken = reader.protocol->open(in);
    if (!taken || *taken == 0) return taken;
    opened = *taken;
    reader.open = true;
  }
  heard_ns_ = ns(Clock::now());
  const Heard heard{.event =
                        [this, &reader](std::string_view payload) {
                          ++reader.events;
                          on_event(payload);
                        },
                    .caught_up = [&reader] { reader.caught_up = true; }};
  const auto taken = reader.protocol->take(in.substr(opened), heard, reader.link->out());
  if (!taken) return taken;
  return opened + *taken;
}

void Run::on_event(std::string_view payload) {
  ++tally_.totals.delivered;
  if (phase_ != Phase::measured) return;
  ++tally_.delivered;
  if (options_.work == Work::sub) return;
  const auto meant_ns = stamp_of(payload);
  if (!meant_ns) {
    failure_ = "an event that this bench has not published";
    return;
  }
  tally_.delivering.record(heard_ns_ > *meant_ns ? heard_ns_ - *meant_ns : 0);
}

template <class Done>
void Run::run_until(Clock::time_point end, Done done) {
  while (failure_.empty() && !done() && Clock::now() < end) {
    io_.restart();
    // Timers of the open loop are exact; this bound is for the phases and the live line.
    const auto turn_end = std::min(end, Clock::now() + milliseconds(20));
    if (io_.run_one_until(turn_end) > 0) io_.poll();
    const auto now = Clock::now();
    if (phase_ == Phase::measured && now >= live_at_) report_live(now);
  }
}

std::expected<void, std::string> Run::open_all() {
  const auto connect = [this](Link& link, const std::string& opening) -> std::expected<void, std::string> {
    auto connected = link.connect(targets_.leader().http);
    if (!connected) return connected;
    link.out() += opening;
    link.flush();
    link.start();
    return {};
  };
  for (const auto& reader : readers_) {
    if (auto connected = connect(*reader->link, reader->protocol->opening()); !connected) return connected;
  }
  for (const auto& publisher : publishers_) {
    const std::string opening = publisher->protocol->opening();
    publisher->open = opening.empty();
    if (auto connected = connect(*publisher->link, opening); !connected) return connected;
  }
  if (options_.work == Work::sub) return {};
  const auto ready = [this] {
    return std::ranges::all_of(publishers_, [](const auto& one) { return one->open; }) &&
           std::ranges::all_of(readers_, [](const auto& one) { return one->caught_up; });
  };
  run_until(Clock::now() + kOpenTime, ready);
  if (!failure_.empty()) return std::unexpected(failure_);
  if (!ready()) return std::unexpected("not all connections could be opened within 10 s");
  return {};
}

void Run::send(Publisher& publisher, std::uint64_t meant_ns) {
  std::size_t count = options_.batch;
  if (options_.events > 0) {
    count = static_cast<std::size_t>(std::min<std::uint64_t>(count, options_.events - tally_.totals.sent));
  }
  const std::uint64_t rid = publisher.free.back();
  publisher.free.pop_back();
  publisher.requests[rid] = {.sent_ns = meant_ns, .events = count};
  tally_.totals.sent += count;
  publisher.protocol->append(publisher.link->out(), rid, maker_.make(count, meant_ns));
}

/// Closed loop: as much as may be under way.
void Run::fill(Publisher& publisher) {
  while (sending() && !publisher.free.empty() && !published_all()) send(publisher, ns(Clock::now()));
  publisher.link->flush();
}

/// Open loop: what is due leaves as soon as a connection has room for it.
void Run::send_due() {
  if (!sending()) return;
  const std::uint64_t now_ns = ns(Clock::now());
  while (open_loop_->is_due(now_ns) && !published_all()) {
    const auto tried = publishers_.size();
    std::size_t busy = 0;
    while (busy < tried && publishers_[next_publisher_]->free.empty()) {
      next_publisher_ = (next_publisher_ + 1) % tried;
      ++busy;
    }
    if (busy == tried) break;  // the next answer makes room
    send(*publishers_[next_publisher_], open_loop_->take());
    next_publisher_ = (next_publisher_ + 1) % tried;
  }
  for (const auto& publisher : publishers_) publisher->link->flush();
  const std::uint64_t due_ns = open_loop_->next_due();
  if (due_ns <= now_ns || std::exchange(armed_for_ns_, due_ns) == due_ns) return;
  due_.expires_at(Clock::time_point(std::chrono::nanoseconds(due_ns)));
  due_.async_wait([this](boost::system::error_code error) {
    if (!error) send_due();
  });
}

void Run::begin() {
  phase_ = Phase::warm_up;
  if (publishers_.empty()) return;
  if (options_.rate > 0) {
    open_loop_.emplace(ns(Clock::now()), options_.rate, options_.batch);
    send_due();
    return;
  }
  for (const auto& publisher : publishers_) fill(*publisher);
}

void Run::measure(Clock::time_point now) {
  phase_ = Phase::measured;
  measured_from_ = now;
  live_at_ = now + kLiveEvery;
  before_ = std::async(std::launch::async, peer_.sample);
  tally_.own_cpu_s = own_cpu_s();
}

void Run::finish(Clock::time_point now) {
  phase_ = Phase::farewell;
  tally_.seconds = std::chrono::duration<double>(now - measured_from_).count();
  tally_.own_cpu_s = own_cpu_s() - tally_.own_cpu_s;
  due_.cancel();
  // In this order: a bench of a few milliseconds ends while the first counters are still being asked for.
  const auto before = before_.get();
  tally_.nodes = use_between(targets_, before, peer_.sample());
}

void Run::report_live(Clock::time_point now) {
  const std::uint64_t events = readers_.empty() ? tally_.acknowledged : tally_.delivered;
  const double since = std::chrono::duration<double>(now - (live_at_ - kLiveEvery)).count();
  const double elapsed = std::chrono::duration<double>(now - measured_from_).count();
  if (live_) live_(elapsed, static_cast<double>(events - live_events_) / since, tally_);
  live_events_ = events;
  live_at_ = now + kLiveEvery;
}

bool Run::read_all() const {
  return std::ranges::all_of(readers_, [this](const auto& one) { return one->events >= options_.events; });
}

bool Run::has_ended() const {
  if (options_.work == Work::sub) return read_all();
  return published_all() && unanswered() == 0;
}

std::uint64_t Run::unanswered() const {
  std::uint64_t events = 0;
  for (const auto& publisher : publishers_) {
    for (const Request& request : publisher->requests) events += request.events;
  }
  return events;
}

std::expected<Tally, std::string> Run::go() {
  if (options_.work != Work::sub) {
    const std::size_t places = std::max<std::size_t>(1, options_.in_flight / (options_.clients * options_.batch));
    for (std::size_t i = 0; i < options_.clients; ++i) add_publisher(places);
  }
  for (std::size_t i = 0; i < options_.readers; ++i) add_reader();
  if (auto opened = open_all(); !opened) return std::unexpected(std::move(opened.error()));
  begin();
  run_until(Clock::now() + in_clock(options_.warm_up_s), [this] { return has_ended(); });
  measure(Clock::now());
  run_until(measured_from_ + in_clock(options_.seconds), [this] { return has_ended(); });
  finish(Clock::now());
  const auto everything_seen = [this] {
    const auto seen = [this](const auto& one) { return one->events >= tally_.totals.stored; };
    return options_.work == Work::sub || (unanswered() == 0 && std::ranges::all_of(readers_, seen));
  };
  run_until(Clock::now() + kFarewellTime, everything_seen);
  if (!failure_.empty()) return std::unexpected(failure_);
  tally_.totals.unanswered = unanswered();
  const std::uint64_t wanted = options_.work == Work::sub ? options_.events : tally_.totals.stored;
  for (const auto& reader : readers_) tally_.totals.undelivered += wanted - std::min(wanted, reader->events);
  return std::move(tally_);
}

}  // namespace

std::expected<Tally, std::string> run_bench(const BenchOptions& options, const Targets& targets, const Live& live) {
  const auto topics = std::make_shared<Topics>(options.topic, options.topics);
  const Peer weir{
      .make_publish = [&] { return make_publish_protocol(options.protocol, targets.leader().http, topics); },
      .sample = [&] { return sample_nodes(targets); }};
  return std::make_unique<Run>(options, targets, weir, live)->go();
}

std::expected<Tally, std::string> run_peer_bench(const BenchOptions& options, const Targets& targets,
                                                 const Peer& peer) {
  const Live quiet;
  return std::make_unique<Run>(options, targets, peer, quiet)->go();
}

}  // namespace weir::bench
