// The socket under a WebSocket. Frames are handed over one by one; this gathers what one turn produced and sends it in
// one write, so that a fast topic costs few system calls. It also knows how long the client has taken nothing, and said
// nothing. Runs on one net thread.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "broker/http/metrics.hpp"

namespace weir::broker::http {

class WsWire {
 public:
  using Code = boost::system::error_code;
  using executor_type = boost::asio::ip::tcp::socket::executor_type;
  using Clock = std::chrono::steady_clock;

  /// `input`: read before, and to be read again. `metrics` outlives this.
  WsWire(boost::asio::ip::tcp::socket socket, std::string input, HttpMetrics& metrics);

  [[nodiscard]] executor_type get_executor() { return state_->socket.get_executor(); }

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_compose<Token, void(Code, std::size_t)>(ReadOperation<Buffers>{state_, buffers}, token,
                                                                      state_->socket);
  }
  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_compose<Token, void(Code, std::size_t)>(WriteOperation<Buffers>{state_, buffers}, token,
                                                                      state_->socket);
  }
  /// Until everything is sent (or cannot be), then closes the sending side and takes what is still under way: a reset
  /// would cost the client the last frame, which says why.
  template <class Token>
  auto async_finish(Token&& token) {
    return boost::asio::async_compose<Token, void(Code)>(FinishOperation{state_}, token, state_->socket);
  }

  /// Between the two, frames are gathered (up to a bound); uncork() sends them.
  void cork() { state_->corked = true; }
  void uncork();
  /// A frame as it is, whole, while has_room(); uncork() sends it.
  void append(std::string_view bytes) { state_->append(bytes); }
  [[nodiscard]] bool has_room() const { return state_->has_room(); }
  /// Sends this as the last thing the client gets.
  void finish_with(std::string_view bytes);
  void close();
  /// The client has said that it sends no more: its end need not be waited for.
  void client_is_done() { state_->client_done = true; }

  /// Only the client's end is waited for.
  [[nodiscard]] bool finishing() const { return state_->draining; }
  [[nodiscard]] bool sending() const { return state_->writing; }
  [[nodiscard]] Clock::time_point last_sent() const { return state_->last_sent; }
  [[nodiscard]] Clock::time_point last_received() const { return state_->last_received; }

 private:
  struct State : std::enable_shared_from_this<State> {
    State(boost::asio::ip::tcp::socket tcp_socket, std::string bytes, HttpMetrics& counters);

    /// Room for more: the client takes what it is sent.
    [[nodiscard]] bool has_room() const;
    void append(std::string_view bytes);
    void flush();
    void write_some();
    void sent_some(Code ec, std::size_t count);
    void received(std::size_t count);
    void finish_sending();
    void begin_draining();
    /// False: no more, or enough.
    bool drained(Code ec, std::size_t count);

    boost::asio::ip::tcp::socket socket;
    std::string input;
    HttpMetrics& metrics;
    std::string gathered;
    std::string under_way;  ///< being written; its first `sent` bytes are
    std::size_t sent = 0;
    bool writing = false;
    bool corked = false;
    bool finished = false;  ///< nothing more is taken
    bool client_done = false;
    bool draining = false;
    std::size_t drained_bytes = 0;
    Code failure;
    boost::asio::steady_timer progress;  ///< cancelled whenever a write has ended
    Clock::time_point last_sent;
    Clock::time_point last_received;
  };

  template <class Buffers>
  struct ReadOperation {
    std::shared_ptr<State> state;
    Buffers buffers;
    enum class Stage : std::uint8_t { start, stashed, reading } stage = Stage::start;
    std::size_t count = 0;

    template <class Self>
    void operator()(Self& self, Code ec = {}, std::size_t transferred = 0) {
      if (stage == Stage::start) {
        const auto kept = state;  // moving `self` empties this object
        if (kept->input.empty()) {
          stage = Stage::reading;
          const Buffers target = buffers;
          kept->socket.async_read_some(target, std::move(self));
          return;
        }
        stage = Stage::stashed;
        count = boost::asio::buffer_copy(buffers, boost::asio::buffer(kept->input));
        kept->input.erase(0, count);
        boost::asio::post(kept->socket.get_executor(), std::move(self));
        return;
      }
      if (stage == Stage::reading) count = transferred;
      state->received(count);
      const std::size_t result = count;
      self.complete(ec, result);
    }
  };

  template <class Buffers>
  struct WriteOperation {
    std::shared_ptr<State> state;
    Buffers buffers;
    bool taken = false;
    std::size_t count = 0;

    template <class Self>
    void operator()(Self& self, Code /*wait ended*/ = {}) {
      const auto kept = state;
      if (taken) {
        const std::size_t result = count;
        self.complete(kept->failure, result);
        return;
      }
      if (!kept->has_room()) {
        kept->progress.async_wait(std::move(self));
        return;
      }
      taken = true;
      for (auto it = boost::asio::buffer_sequence_begin(buffers); it != boost::asio::buffer_sequence_end(buffers);
           ++it) {
        const boost::asio::const_buffer part(*it);
        kept->append({static_cast<const char*>(part.data()), part.size()});
        count += part.size();
      }
      boost::asio::post(kept->socket.get_executor(), std::move(self));
      kept->flush();
    }
  };

  struct FinishOperation {
    std::shared_ptr<State> state;
    enum class Stage : std::uint8_t { sending, sent, reading } stage = Stage::sending;

    template <class Self>
    void operator()(Self& self, Code ec = {}, std::size_t transferred = 0) {
      const auto kept = state;
      if (stage == Stage::sending) {
        kept->finish_sending();
        if (kept->writing) {
          kept->progress.async_wait(std::move(self));
          return;
        }
        stage = Stage::sent;
        boost::asio::post(kept->socket.get_executor(), std::move(self));
        return;
      }
      if (stage == Stage::reading && !kept->drained(ec, transferred)) {
        self.complete(Code{});
        return;
      }
      if (stage == Stage::sent) {
        kept->begin_draining();
        if (kept->client_done) {
          self.complete(Code{});
          return;
        }
      }
      stage = Stage::reading;
      kept->socket.async_read_some(boost::asio::buffer(kept->under_way), std::move(self));
    }
  };

  std::shared_ptr<State> state_;
};

/// How Beast ends a connection.
template <class Token>
void async_teardown(boost::beast::role_type /*role*/, WsWire& wire, Token&& token) {
  wire.async_finish(std::forward<Token>(token));
}
void beast_close_socket(WsWire& wire);

}  // namespace weir::broker::http
