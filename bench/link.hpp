// One connection of a bench: bytes that wait to be sent, bytes that have arrived. Everything said within one turn
// leaves in one write. One thread; the io_context outlives it.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstddef>
#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "clients/cpp/endpoint.hpp"

namespace weir::bench {

class Link {
 public:
  /// Takes bytes off the front; how many, or why the connection must end.
  using OnBytes = std::function<std::expected<std::size_t, std::string>(std::string_view)>;
  using OnEnd = std::function<void(const std::string& why)>;

  Link(boost::asio::io_context& io, OnBytes on_bytes, OnEnd on_end);

  /// Blocks until connected.
  [[nodiscard]] std::expected<void, std::string> connect(const client::Endpoint& server);
  /// Begins to read.
  void start();
  /// What is appended here leaves with the next flush().
  [[nodiscard]] std::string& out() { return out_; }
  void flush();
  void close();

 private:
  void read();
  void received(std::size_t count);
  void end(const std::string& why);

  boost::asio::ip::tcp::socket socket_;
  OnBytes on_bytes_;
  OnEnd on_end_;
  std::string out_;
  std::string under_way_;
  std::vector<char> in_;
  std::size_t begin_ = 0;  // in_[begin_, end_) has arrived and is not taken
  std::size_t end_ = 0;
  bool closed_ = false;
};

}  // namespace weir::bench
