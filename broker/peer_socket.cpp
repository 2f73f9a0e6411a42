#include "broker/peer_socket.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cstring>
#include <utility>

namespace weir::broker {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

/// Holds several hundred heartbeats or replies: what a busy member sends between two looks at the socket.
constexpr std::size_t kStagingBytes = std::size_t{64} << 10U;
/// Largest single read of a frame's rest: about a quarter of a millisecond of copying, then others have their turn.
constexpr std::size_t kReadBytesMax = std::size_t{1} << 20U;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

void set_tcp_option(tcp::socket& socket, int option, int value) {
  // Best effort: a kernel without the option finds a vanished peer later, by itself.
  static_cast<void>(::setsockopt(socket.native_handle(), IPPROTO_TCP, option, &value, sizeof value));
}

/// Owned, and aligned for reading FlatBuffers and entries in place.
struct FrameBuffer {
  explicit FrameBuffer(std::size_t bytes)
      : words(std::make_shared_for_overwrite<std::uint64_t[]>((bytes + sizeof(std::uint64_t) - 1) /
                                                              sizeof(std::uint64_t))),
        size(bytes) {}
  [[nodiscard]] char* data() const { return reinterpret_cast<char*>(words.get()); }
  [[nodiscard]] raft::Bytes bytes() const { return {words, {data(), size}}; }

  std::shared_ptr<std::uint64_t[]> words;
  std::size_t size;
};

}  // namespace

PeerSocket::PeerSocket(tcp::socket socket) : socket_(std::move(socket)), deadline_(socket_.get_executor()) {}

void PeerSocket::tune(std::chrono::milliseconds silence_max) {
  boost::system::error_code ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
  socket_.set_option(asio::socket_base::keep_alive(true), ignored);
  const int silence_ms = static_cast<int>(silence_max.count());
  // Unacknowledged data is given up after silence_max; without data, probes each second bring it out.
  set_tcp_option(socket_, TCP_USER_TIMEOUT, silence_ms);
  set_tcp_option(socket_, TCP_KEEPIDLE, 1);
  set_tcp_option(socket_, TCP_KEEPINTVL, 1);
  set_tcp_option(socket_, TCP_KEEPCNT, std::max(1, silence_ms / 1000));
}

void PeerSocket::close_after(std::chrono::milliseconds time) {
  deadline_.expires_after(time);
  deadline_.async_wait([weak = weak_from_this(), time](const boost::system::error_code& code) {
    const auto self = weak.lock();
    // A deadline that was moved after it had passed finds itself in the future.
    if (!self || code || self->deadline_.expiry() > asio::steady_timer::clock_type::now()) return;
    self->close("no answer within " + std::to_string(time.count()) + " ms");
  });
}

void PeerSocket::lift_deadline() {
  deadline_.expires_at(asio::steady_timer::time_point::max());
}

void PeerSocket::close(std::string why) {
  if (closed_why_.empty()) closed_why_ = std::move(why);
  boost::system::error_code ignored;
  deadline_.cancel();
  // An error of close leaves nothing to do: the descriptor is gone either way.
  socket_.close(ignored);
}

PeerFault PeerSocket::gone(const boost::system::error_code& code) const {
  if (!closed_why_.empty()) return {PeerFault::Kind::gone, closed_why_};
  return {PeerFault::Kind::gone, code == asio::error::eof ? "closed by the peer" : code.message()};
}

bool PeerSocket::has_frame() const {
  if (staged().size() < wire::kFrameHeaderBytes) return false;
  const auto header = wire::decode_header(staged().substr(0, wire::kFrameHeaderBytes), wire::kFrameBytesMax);
  // A bad header counts as a frame: reading it gives the error at once.
  return !header || staged().size() - wire::kFrameHeaderBytes >= header->length;
}

asio::awaitable<std::expected<void, PeerFault>> PeerSocket::fill(std::shared_ptr<PeerSocket> self) {
  if (self->staging_.empty()) self->staging_.resize(kStagingBytes);
  std::memmove(self->staging_.data(), self->staging_.data() + self->begin_, self->end_ - self->begin_);
  self->end_ -= std::exchange(self->begin_, 0);
  const auto room = asio::buffer(self->staging_.data() + self->end_, self->staging_.size() - self->end_);
  const auto [code, count] = co_await self->socket_.async_read_some(room, kAwait);
  if (code) co_return std::unexpected(self->gone(code));
  self->end_ += count;
  co_return std::expected<void, PeerFault>{};
}

asio::awaitable<std::expected<wire::PeerMessage, PeerFault>> PeerSocket::read(std::shared_ptr<PeerSocket> self,
                                                                              std::size_t length_max) {
  while (self->staged().size() < wire::kFrameHeaderBytes) {
    const auto filled = co_await fill(self);
    if (!filled) co_return std::unexpected(filled.error());
  }
  const auto header = wire::decode_header(self->staged().substr(0, wire::kFrameHeaderBytes), length_max);
  if (!header) co_return std::unexpected(PeerFault{PeerFault::Kind::bad, header.error().text});
  self->begin_ += wire::kFrameHeaderBytes;

  const FrameBuffer buffer(header->length);
  const std::size_t here = std::min(self->staged().size(), buffer.size);
  std::memcpy(buffer.data(), self->staged().data(), here);
  self->begin_ += here;
  if (here < buffer.size) {
    // asio's own conditions stop at 64 KiB a read, which would be 64 wake-ups for a large frame.
    const auto rest = [](const boost::system::error_code& code, std::size_t) { return code ? 0 : kReadBytesMax; };
    const auto [code, count] =
        co_await asio::async_read(self->socket_, asio::buffer(buffer.data() + here, buffer.size - here), rest, kAwait);
    if (code) co_return std::unexpected(self->gone(code));
  }
  auto message = wire::decode(*header, buffer.bytes());
  if (!message) co_return std::unexpected(PeerFault{PeerFault::Kind::bad, message.error().text});
  co_return std::move(*message);
}

asio::awaitable<std::expected<void, PeerFault>> PeerSocket::write(std::shared_ptr<PeerSocket> self,
                                                                  wire::PeerMessage message) {
  const wire::EncodedFrame frame = wire::encode(message);
  std::vector<asio::const_buffer> buffers;
  buffers.reserve(frame.parts.size());
  for (const raft::Bytes& part : frame.parts) buffers.emplace_back(part.data(), part.size());
  const auto [code, count] = co_await asio::async_write(self->socket_, buffers, kAwait);
  if (code) co_return std::unexpected(self->gone(code));
  co_return std::expected<void, PeerFault>{};
}

}  // namespace weir::broker
