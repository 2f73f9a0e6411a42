#include "bench/link.hpp"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <utility>

namespace weir::bench {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

/// One read takes at most this much; a larger message makes the buffer grow.
constexpr std::size_t kReadBytes = std::size_t{256} << 10U;

}  // namespace

Link::Link(asio::io_context& io, OnBytes on_bytes, OnEnd on_end)
    : socket_(io), on_bytes_(std::move(on_bytes)), on_end_(std::move(on_end)), in_(kReadBytes) {}

std::expected<void, std::string> Link::connect(const client::Endpoint& server) {
  error_code error;
  asio::ip::tcp::resolver resolver(socket_.get_executor());
  const auto addresses = resolver.resolve(server.host, std::to_string(server.port), error);
  if (!error) asio::connect(socket_, addresses, error);
  if (!error) socket_.set_option(asio::ip::tcp::no_delay(true), error);
  if (error) return std::unexpected(server.text() + ": " + error.message());
  return {};
}

void Link::start() {
  read();
}

void Link::flush() {
  if (closed_ || out_.empty() || !under_way_.empty()) return;
  std::swap(out_, under_way_);
  asio::async_write(socket_, asio::buffer(under_way_), [this](error_code error, std::size_t) {
    under_way_.clear();
    if (error) return end(error.message());
    flush();
  });
}

void Link::read() {
  if (closed_) return;
  if (begin_ > 0) {
    std::copy(in_.begin() + static_cast<std::ptrdiff_t>(begin_), in_.begin() + static_cast<std::ptrdiff_t>(end_),
              in_.begin());
    end_ -= std::exchange(begin_, 0);
  }
  if (end_ == in_.size()) in_.resize(2 * in_.size());
  socket_.async_read_some(asio::buffer(in_.data() + end_, in_.size() - end_), [this](error_code error, std::size_t n) {
    if (error) return end(error.message());
    received(n);
  });
}

void Link::received(std::size_t count) {
  end_ += count;
  const auto taken = on_bytes_({in_.data() + begin_, end_ - begin_});
  if (!taken) return end(taken.error());
  begin_ += *taken;
  flush();
  read();
}

void Link::end(const std::string& why) {
  if (closed_) return;
  close();
  on_end_(why);
}

void Link::close() {
  closed_ = true;
  error_code ignored;  // there is nothing left to say to the other side
  socket_.close(ignored);
}

}  // namespace weir::bench
