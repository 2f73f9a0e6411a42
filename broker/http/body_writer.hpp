// An answer whose length is not known when it begins. Runs on the connection's net thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>
#include <utility>

#include "broker/http/connection.hpp"
#include "broker/http/request.hpp"
#include "broker/http/response.hpp"

namespace weir::broker::http {

/// Writes pieces of a body without a known end.
class BodyWriter {
 public:
  BodyWriter(std::shared_ptr<Connection> connection, const Request& request)
      : connection_(std::move(connection)),
        framing_(request.version == Version::http_1_1 ? BodyFraming::chunked : BodyFraming::until_close) {}

  [[nodiscard]] std::string head(const Response& response) const { return head_text(response, framing_, After::close); }
  [[nodiscard]] std::string piece(std::string text) const {
    if (framing_ != BodyFraming::chunked || text.empty()) return text;
    std::string chunk;
    chunk.reserve(text.size() + 16);
    append_chunk(chunk, text);
    return chunk;
  }
  [[nodiscard]] std::string end() const {
    return framing_ == BodyFraming::chunked ? std::string(kLastChunk) : std::string{};
  }
  boost::asio::awaitable<bool> write(std::string bytes) { return connection_->write(std::move(bytes)); }

 private:
  std::shared_ptr<Connection> connection_;
  BodyFraming framing_;
};

}  // namespace weir::broker::http
