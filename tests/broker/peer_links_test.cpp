#include "broker/peer_links.hpp"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace weir::broker {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using std::chrono::milliseconds;

constexpr std::chrono::seconds kBound{20};
const Endpoint kLoopback{"127.0.0.1", 0};

/// Runs `context` until the condition holds; false when it does not within the bound.
bool run_until(asio::io_context& context, const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kBound;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    context.restart();
    context.run_one_for(milliseconds(20));
  }
  return true;
}

struct Received {
  raft::NodeId peer;
  std::uint64_t incarnation = 0;
  wire::PeerMessage message;
};

class FakeNode final : public PeerHandler {
 public:
  explicit FakeNode(std::string name) {
    me.node = std::move(name);
    me.cluster_id = "c1";
    me.members = {me.node};
    me.raft_address = "127.0.0.1:7401";
    me.http_address = "127.0.0.1:7400";
    me.incarnation = wire::node_id(me.node).value % 1000 + 1;
  }
  [[nodiscard]] wire::Hello hello() const override { return me; }
  [[nodiscard]] std::expected<void, std::string> judge(const wire::Hello& peer) override {
    ++judged;
    if (peer.cluster_id != me.cluster_id) return std::unexpected("cluster " + peer.cluster_id + " is another");
    return {};
  }
  void peer_up(const wire::Hello& peer) override { ups.push_back(peer.node); }
  void peer_down(raft::NodeId peer) override { downs.push_back(peer); }
  void peer_message(raft::NodeId peer, PeerLife life, wire::PeerMessage message) override {
    received.push_back({peer, life.incarnation, std::move(message)});
  }
  [[nodiscard]] raft::NodeId id() const { return wire::node_id(me.node); }

  wire::Hello me;
  int judged = 0;
  std::vector<std::string> ups;
  std::vector<raft::NodeId> downs;
  std::vector<Received> received;
};

wire::PeerMessage numbered(std::uint64_t number, std::size_t bytes = 16) {
  return wire::Forward{.number = number,
                       .boot_nonce = 1,
                       .command = raft::Command::publish,
                       .timeout_ms = 1000,
                       .request = raft::Bytes::own(std::string(bytes, 'x'))};
}

std::uint64_t number_of(const Received& received) {
  return std::get<wire::Forward>(received.message).number;
}

std::string bytes_of(const wire::PeerMessage& message) {
  std::string bytes;
  for (const raft::Bytes& part : wire::encode(message).parts) bytes += part.view();
  return bytes;
}

/// A port that was free a moment ago.
std::uint16_t free_port(asio::io_context& context) {
  return tcp::acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0)).local_endpoint().port();
}

/// One member: its port, its links and the node behind them.
class Member {
 public:
  Member(asio::io_context& context, const Log& log, const std::string& name, PeerLinksConfig config)
      : node(name), context_(context), links(std::move(config), context.get_executor(), context.get_executor(), log) {
    const auto listening = links.listen();
    EXPECT_TRUE(listening) << listening.error();
    links.start(node);
  }
  ~Member() { stop(); }
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  void stop() {
    if (std::exchange(stopped_, true)) return;
    bool done = false;
    links.stop([&done] { done = true; });
    EXPECT_TRUE(run_until(context_, [&done] { return done; })) << node.me.node << " does not stop";
  }
  [[nodiscard]] bool can_send_to(const Member& peer) { return links.send(peer.node.id(), numbered(0)) == Sent::queued; }

  FakeNode node;

 private:
  asio::io_context& context_;
  bool stopped_ = false;

 public:
  PeerLinks links;
};

class PeerLinksTest : public ::testing::Test {
 protected:
  [[nodiscard]] PeerLinksConfig config(std::size_t member) const {
    PeerLinksConfig config;
    config.listen = Endpoint{"127.0.0.1", ports_[member]};
    config.seed = member;
    config.backoff_min = milliseconds(1);
    config.backoff_max = milliseconds(20);
    for (std::size_t other = 0; other < names_.size(); ++other) {
      if (other != member) config.peers.push_back({names_[other], {"127.0.0.1", ports_[other]}});
    }
    return config;
  }
  std::unique_ptr<Member> start(std::size_t member) { return start(member, config(member)); }
  std::unique_ptr<Member> start(std::size_t member, PeerLinksConfig config) {
    return std::make_unique<Member>(context_, log_, names_[member], std::move(config));
  }
  void use(std::vector<std::string> names) {
    names_ = std::move(names);
    for (std::size_t i = 0; i < names_.size(); ++i) ports_.push_back(free_port(context_));
  }
  [[nodiscard]] bool until(const std::function<bool()>& condition) { return run_until(context_, condition); }
  /// Both directions stand.
  [[nodiscard]] bool connect(Member& a, Member& b) {
    const bool connected = until([&] { return a.can_send_to(b) && b.can_send_to(a); }) &&
                           until([&] { return !a.node.received.empty() && !b.node.received.empty(); });
    // What was sent to try has arrived when this has.
    constexpr std::uint64_t kLast = 999'999;
    a.links.send(b.node.id(), numbered(kLast));
    b.links.send(a.node.id(), numbered(kLast));
    const auto settled = [](const Member& member) {
      return !member.node.received.empty() && number_of(member.node.received.back()) == kLast;
    };
    if (!connected || !until([&] { return settled(a) && settled(b); })) return false;
    a.node.received.clear();
    b.node.received.clear();
    return true;
  }
  tcp::socket stranger(std::size_t member) {
    tcp::socket socket(context_);
    socket.connect(tcp::endpoint(asio::ip::address_v4::loopback(), ports_[member]));
    return socket;
  }
  /// The other side hangs up on `socket`.
  [[nodiscard]] bool is_closed(tcp::socket& socket) {
    bool closed = false;
    std::string rest(4096, '\0');
    std::function<void()> read = [&] {
      socket.async_read_some(asio::buffer(rest), [&](const boost::system::error_code& code, std::size_t) {
        closed = closed || code;
        if (!closed) read();
      });
    };
    read();
    const bool held = until([&] { return closed; });
    socket.close();
    EXPECT_TRUE(until([&] { return closed; }));
    return held;
  }

  asio::io_context context_{1};
  Log log_{LogLevel::off, LogFormat::text, "test"};
  std::vector<std::string> names_;
  std::vector<std::uint16_t> ports_;
};

TEST_F(PeerLinksTest, MembersMeetAndEachDirectionKeepsItsOrder) {
  use({"n1", "n2"});
  const auto a = start(0);
  const auto b = start(1);
  ASSERT_TRUE(connect(*a, *b));
  for (std::uint64_t i = 1; i <= 2000; ++i) {
    EXPECT_EQ(a->links.send(b->node.id(), numbered(i)), Sent::queued);
    EXPECT_EQ(b->links.send(a->node.id(), numbered(i, i % 7 * 10'000)), Sent::queued);
  }
  ASSERT_TRUE(until([&] { return a->node.received.size() >= 2000 && b->node.received.size() >= 2000; }));
  for (std::uint64_t i = 0; i < 2000; ++i) {
    ASSERT_EQ(number_of(a->node.received[i]), i + 1);
    ASSERT_EQ(number_of(b->node.received[i]), i + 1);
  }
  EXPECT_EQ(b->node.received.front().peer, a->node.id());
  EXPECT_EQ(b->node.received.front().incarnation, a->node.me.incarnation);
}

TEST_F(PeerLinksTest, ThreeMembersMeetWhateverTheOrderOfTheirStart) {
  use({"n1", "n2", "n3"});
  const auto a = start(0);
  const auto b = start(1);
  ASSERT_TRUE(until([&] { return a->can_send_to(*b) && b->can_send_to(*a); }));
  const auto c = start(2);
  const std::vector<Member*> all{a.get(), b.get(), c.get()};
  for (Member* from : all) {
    for (Member* to : all) {
      if (from == to) continue;
      EXPECT_TRUE(until([&] { return from->can_send_to(*to); })) << from->node.me.node;
    }
  }
}

TEST_F(PeerLinksTest, AMemberAddedLaterIsDialledToo) {
  use({"n1", "n2"});
  PeerLinksConfig alone = config(0);
  alone.peers.clear();
  const auto first = start(0, alone);
  const auto added = start(1);
  ASSERT_TRUE(until([&] { return !first->node.ups.empty(); })) << "it called";
  EXPECT_FALSE(first->can_send_to(*added));
  for (int twice = 0; twice < 2; ++twice) first->links.connect("n2", "127.0.0.1:" + std::to_string(ports_[1]));
  EXPECT_TRUE(connect(*first, *added));
  added->stop();
  EXPECT_TRUE(until([&] { return !first->node.downs.empty(); }));
}

TEST_F(PeerLinksTest, AMemberThatMovedIsDialledAtItsNewAddress) {
  use({"n1", "n2"});
  const auto a = start(0);
  auto b = start(1);
  ASSERT_TRUE(connect(*a, *b));
  const std::uint16_t before = std::exchange(ports_[1], free_port(context_));
  b = start(1);
  ASSERT_TRUE(until([&] { return b->can_send_to(*a); }));
  const auto squatter = tcp::acceptor(context_, tcp::endpoint(asio::ip::address_v4::loopback(), before));
  a->links.connect("n2", "127.0.0.1:" + std::to_string(ports_[1]));
  b->links.send(a->node.id(), numbered(1));
  EXPECT_FALSE(a->can_send_to(*b)) << "a member that is dialled already stays where it was said to be";
  for (int twice = 0; twice < 2; ++twice) a->links.moved("n2", "127.0.0.1:" + std::to_string(ports_[1]));
  a->node.received.clear();
  EXPECT_TRUE(connect(*a, *b));
  a->links.moved("n2", "127.0.0.1:" + std::to_string(ports_[1]));
  EXPECT_TRUE(a->can_send_to(*b)) << "and is not dialled anew for nothing";
}

TEST_F(PeerLinksTest, LargeEntriesArriveWhole) {
  use({"n1", "n2"});
  const auto a = start(0);
  const auto b = start(1);
  ASSERT_TRUE(connect(*a, *b));
  std::mt19937_64 dice(42);
  std::string data(std::size_t{12} << 20U, '\0');
  for (char& c : data) c = static_cast<char>(dice());
  raft::Entry entry;
  entry.index = raft::Index{5};
  entry.term = raft::Term{2};
  entry.command = raft::Command::publish;
  entry.data = raft::Bytes::own(std::move(data));
  entry.checksum = wire::entry_checksum(entry.command, entry.data.view());
  raft::AppendEntries append;
  append.prev_log_index = raft::Index{4};
  append.prev_log_term = raft::Term{2};
  append.entries.push_back(entry);
  const raft::Message message{
      .from = a->node.id(), .to = b->node.id(), .term = raft::Term{2}, .wall_clock_ms = 0, .body = append};
  EXPECT_EQ(a->links.send(b->node.id(), message), Sent::queued);
  ASSERT_TRUE(until([&] { return !b->node.received.empty(); }));
  EXPECT_TRUE(std::get<raft::Message>(b->node.received.front().message) == message);
}

TEST_F(PeerLinksTest, NothingIsSentWithoutAConnection) {
  use({"n1", "n2"});
  const auto a = start(0);
  EXPECT_EQ(a->links.send(wire::node_id("n2"), numbered(1)), Sent::dropped);
  EXPECT_EQ(a->links.send(wire::node_id("n3"), numbered(1)), Sent::dropped) << "no such member";
}

TEST_F(PeerLinksTest, AMemberOfAnotherClusterIsRefused) {  // FAULTS 23
  use({"n1", "n2"});
  const auto a = start(0);
  const auto b = start(1);
  b->node.me.cluster_id = "c2";
  ASSERT_TRUE(until([&] { return a->node.judged >= 3 && b->node.judged >= 3; }));
  EXPECT_TRUE(a->node.ups.empty());
  EXPECT_TRUE(b->node.ups.empty());
  EXPECT_FALSE(a->can_send_to(*b));
  b->node.me.cluster_id = "c1";
  EXPECT_TRUE(until([&] { return a->can_send_to(*b) && b->can_send_to(*a); })) << "what is refused is tried again";
}

TEST_F(PeerLinksTest, AnAddressThatAnotherMemberAnswersIsNotUsed) {
  use({"n1", "n2"});
  auto wrong = config(0);
  wrong.peers = {{"n3", {"127.0.0.1", ports_[1]}}};
  const auto a = start(0, wrong);
  const auto b = start(1);
  ASSERT_TRUE(until([&] { return b->node.judged >= 3; }));
  EXPECT_EQ(a->links.send(wire::node_id("n3"), numbered(1)), Sent::dropped);
  EXPECT_EQ(a->links.send(wire::node_id("n2"), numbered(1)), Sent::dropped);
}

TEST_F(PeerLinksTest, ARestartedMemberIsFoundAgain) {
  use({"n1", "n2"});
  const auto a = start(0);
  auto b = start(1);
  ASSERT_TRUE(connect(*a, *b));
  b->stop();
  ASSERT_TRUE(until([&] { return a->node.downs == std::vector{wire::node_id("n2")}; }));
  EXPECT_EQ(a->links.send(wire::node_id("n2"), numbered(1)), Sent::dropped);
  b = start(1);
  ASSERT_TRUE(connect(*a, *b));
}

TEST_F(PeerLinksTest, AMemberThatOnlyCalledIsGoneWithItsCall) {
  use({"n1", "n2"});
  auto unreachable = config(0);
  unreachable.peers[0].raft.port = free_port(context_);
  const auto a = start(0, unreachable);
  auto b = start(1);
  ASSERT_TRUE(until([&] { return a->node.ups == std::vector<std::string>{"n2"}; }));
  b->stop();
  EXPECT_TRUE(until([&] { return a->node.downs == std::vector{wire::node_id("n2")}; }));
}

TEST_F(PeerLinksTest, RandomBytesCloseTheirConnectionOnly) {  // FAULTS 86, 89
  use({"n1", "n2"});
  const auto a = start(0);
  const auto b = start(1);
  ASSERT_TRUE(connect(*a, *b));
  std::mt19937_64 dice(7);
  for (const std::size_t size : {64U, 1000U, 100'000U}) {
    std::string bytes(size, '\0');
    for (char& c : bytes) c = static_cast<char>(dice());
    tcp::socket socket = stranger(1);
    boost::system::error_code may_be_cut;
    asio::write(socket, asio::buffer(bytes), may_be_cut);
    EXPECT_TRUE(is_closed(socket)) << size;
  }
  EXPECT_TRUE(a->can_send_to(*b));
  EXPECT_TRUE(a->node.downs.empty());
  EXPECT_TRUE(b->node.downs.empty());
}

TEST_F(PeerLinksTest, AnnouncedLengthsBeyondTheLimitCloseAtOnce) {  // FAULTS 86
  use({"n1"});
  const auto a = start(0);
  for (const std::uint32_t length :
       {static_cast<std::uint32_t>(wire::kHandshakeBytesMax + 1), 0x7FFFFFFFU, 0xFFFFFFFFU, 0U}) {
    std::string header = bytes_of(a->node.me).substr(0, wire::kFrameHeaderBytes);
    for (unsigned byte = 0; byte < 4; ++byte) header[byte] = static_cast<char>(length >> (8 * byte));
    tcp::socket socket = stranger(0);
    asio::write(socket, asio::buffer(header));
    EXPECT_TRUE(is_closed(socket)) << length;
  }
}

TEST_F(PeerLinksTest, NothingButAHelloIsHeardFirst) {  // FAULTS 89
  use({"n1", "n2"});
  const auto a = start(0);
  for (const wire::PeerMessage& message : {numbered(1), wire::PeerMessage(wire::Welcome{a->node.me, {}})}) {
    tcp::socket socket = stranger(0);
    asio::write(socket, asio::buffer(bytes_of(message)));
    EXPECT_TRUE(is_closed(socket));
  }
  EXPECT_TRUE(a->node.received.empty());
  EXPECT_EQ(a->node.judged, 0);
}

TEST_F(PeerLinksTest, ASilentStrangerIsClosedByTheDeadline) {
  use({"n1"});
  auto hasty = config(0);
  hasty.handshake_timeout = milliseconds(50);
  const auto a = start(0, hasty);
  tcp::socket silent = stranger(0);
  EXPECT_TRUE(is_closed(silent));
  tcp::socket slow = stranger(0);
  asio::write(slow, asio::buffer(bytes_of(a->node.me).substr(0, 30)));
  EXPECT_TRUE(is_closed(slow));
}

TEST_F(PeerLinksTest, StrangersBeyondTheLimitAreClosedAtOnce) {
  use({"n1", "n2"});
  auto few = config(0);
  few.handshakes_max = 3;
  const auto a = start(0, few);
  const auto b = start(1);
  ASSERT_TRUE(connect(*a, *b));
  std::vector<tcp::socket> waiting;
  for (int i = 0; i < 3; ++i) waiting.push_back(stranger(0));
  tcp::socket one_more = stranger(0);
  EXPECT_TRUE(is_closed(one_more));
  EXPECT_TRUE(b->can_send_to(*a)) << "a connection that stands is not touched";
}

/// A member that is only a socket: the test says what it says.
class RawPeer {
 public:
  RawPeer(asio::io_context& context, std::uint16_t port)
      : acceptor_(context, tcp::endpoint(asio::ip::address_v4::loopback(), port)), socket_(context) {
    accept();
  }
  [[nodiscard]] bool is_open() const { return open_; }
  void close() {
    acceptor_.close();
    socket_.close();
  }

 private:
  void accept() {
    acceptor_.async_accept(socket_, [this](const boost::system::error_code& code) {
      if (!code) read_hello();
    });
  }
  void read_hello() {
    socket_.async_read_some(asio::buffer(hello_), [this](const boost::system::error_code& code, std::size_t) {
      if (code) return;
      FakeNode me("n2");
      asio::write(socket_, asio::buffer(bytes_of(wire::Welcome{me.me, {}})));
      open_ = true;
    });
  }

  tcp::acceptor acceptor_;
  tcp::socket socket_;
  std::array<char, 4096> hello_{};
  bool open_ = false;
};

TEST_F(PeerLinksTest, APeerThatDoesNotReadFillsABoundedQueue) {
  use({"n1", "n2"});
  constexpr std::size_t kQueueMax = std::size_t{1} << 20U;
  constexpr std::size_t kMessage = 64U << 10U;
  // What the kernel takes on a loopback connection at most: a few MiB each side.
  constexpr std::size_t kKernelMax = std::size_t{64} << 20U;
  auto small = config(0);
  small.queue_bytes_max = kQueueMax;
  RawPeer deaf(context_, ports_[1]);
  const auto a = start(0, small);
  ASSERT_TRUE(until([&] { return a->node.ups == std::vector<std::string>{"n2"}; }));
  std::size_t queued = 0;
  bool dropped = false;
  int quiet = 0;
  ASSERT_TRUE(until([&] {
    if (a->links.send(wire::node_id("n2"), numbered(1, kMessage)) == Sent::queued) {
      queued += kMessage;
      quiet = 0;
    } else {
      ++quiet;
    }
    dropped = quiet > 20;
    return dropped || queued > kQueueMax + kKernelMax;
  }));
  EXPECT_TRUE(dropped) << "took " << queued << " bytes";
  deaf.close();
  EXPECT_TRUE(until([&] { return a->node.downs.size() == 1; }));
}

TEST_F(PeerLinksTest, AMemberThatSpeaksForAnotherIsCutOff) {  // FAULTS 88
  use({"n1", "n2"});
  const auto a = start(0);
  FakeNode liar("n2");
  tcp::socket socket = stranger(0);
  const raft::Message stolen{.from = wire::node_id("n3"),
                             .to = a->node.id(),
                             .term = raft::Term{9},
                             .wall_clock_ms = 0,
                             .body = raft::TimeoutNow{}};
  asio::write(socket, asio::buffer(bytes_of(liar.me)));
  ASSERT_TRUE(until([&] { return a->node.ups == std::vector<std::string>{"n2"}; }));
  asio::write(socket, asio::buffer(bytes_of(numbered(4)) + bytes_of(stolen) + bytes_of(numbered(5))));
  EXPECT_TRUE(is_closed(socket));
  for (const Received& received : a->node.received) EXPECT_EQ(number_of(received), 4U);
}

TEST_F(PeerLinksTest, AMemberThatCallsAgainReplacesItsConnection) {
  use({"n1", "n2"});
  const auto a = start(0);
  FakeNode peer("n2");
  tcp::socket first = stranger(0);
  asio::write(first, asio::buffer(bytes_of(peer.me)));
  ASSERT_TRUE(until([&] { return a->node.ups.size() == 1; }));
  tcp::socket second = stranger(0);
  asio::write(second, asio::buffer(bytes_of(peer.me)));
  EXPECT_TRUE(is_closed(first));
  asio::write(second, asio::buffer(bytes_of(numbered(1))));
  EXPECT_TRUE(until([&] { return a->node.received.size() == 1; }));
  EXPECT_TRUE(a->node.downs.empty());
}

TEST_F(PeerLinksTest, AnotherFolderUnderAMembersNameDoesNotPushItOut) {  // FAULTS 24
  use({"n1", "n2"});
  const auto a = start(0);
  const auto b = start(1);
  ASSERT_TRUE(connect(*a, *b));
  a->node.ups.clear();
  FakeNode other("n2");
  std::vector<tcp::socket> strangers;
  for (std::uint64_t i = 0; i < 3; ++i) {
    other.me.incarnation = 5000 + i;
    strangers.push_back(stranger(0));
    asio::write(strangers.back(), asio::buffer(bytes_of(other.me) + bytes_of(numbered(7))));
    ASSERT_TRUE(until([&] { return a->node.received.size() == i + 1; }));
    EXPECT_EQ(a->node.received.back().incarnation, 5000 + i);
  }
  other.me.incarnation = 6000;
  tcp::socket one_more = stranger(0);
  asio::write(one_more, asio::buffer(bytes_of(other.me)));
  EXPECT_TRUE(is_closed(one_more)) << "even they are bounded";
  EXPECT_TRUE(a->node.ups.empty()) << "who answers at the member's address is the member";
  a->node.received.clear();
  EXPECT_TRUE(b->can_send_to(*a));
  ASSERT_TRUE(until([&] { return a->node.received.size() == 1; }));
  EXPECT_EQ(a->node.received.front().incarnation, b->node.me.incarnation);
  EXPECT_TRUE(a->node.downs.empty());
  EXPECT_TRUE(b->node.downs.empty());
}

TEST_F(PeerLinksTest, APortInUseIsNamed) {
  use({"n1"});
  const auto a = start(0);
  PeerLinks other(config(0), context_.get_executor(), context_.get_executor(), log_);
  const auto listening = other.listen();
  ASSERT_FALSE(listening);
  EXPECT_NE(listening.error().find(":" + std::to_string(ports_[0])), std::string::npos) << listening.error();
  EXPECT_NE(listening.error().find("--raft"), std::string::npos) << listening.error();
}

TEST_F(PeerLinksTest, FramesAndHandlersMayLiveOnDifferentThreads) {
  use({"n1", "n2"});
  asio::io_context io{1};
  const auto work = asio::make_work_guard(io);
  std::jthread thread([&io] { io.run(); });
  FakeNode nodes[2] = {FakeNode("n1"), FakeNode("n2")};
  PeerLinks links[2] = {{config(0), io.get_executor(), context_.get_executor(), log_},
                        {config(1), io.get_executor(), context_.get_executor(), log_}};
  for (std::size_t i = 0; i < 2; ++i) {
    ASSERT_TRUE(links[i].listen());
    links[i].start(nodes[i]);
  }
  std::uint64_t sent = 0;
  ASSERT_TRUE(until([&] {
    while (sent < 500 && links[0].send(nodes[1].id(), numbered(sent + 1, 5000)) == Sent::queued) ++sent;
    return nodes[1].received.size() == 500;
  }));
  for (std::uint64_t i = 0; i < 500; ++i) ASSERT_EQ(number_of(nodes[1].received[i]), i + 1);
  int stopped = 0;
  for (PeerLinks& end : links) end.stop([&stopped] { ++stopped; });
  EXPECT_TRUE(until([&] { return stopped == 2; }));
  io.stop();
}

}  // namespace
}  // namespace weir::broker
