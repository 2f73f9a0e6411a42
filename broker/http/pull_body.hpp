// The body of a pull answer, event by event (API §4). Pure: no thread rule.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "broker/core/reading.hpp"
#include "broker/http/read_query.hpp"
#include "broker/http/response.hpp"

namespace weir::broker::http {

class PullBody {
 public:
  /// `plan` and `epoch` outlive this.
  PullBody(const ReadPlan& plan, std::string_view epoch) : plan_(plan), epoch_(epoch) {}

  void add(const ReadEvent& event);
  [[nodiscard]] std::size_t count() const { return count_; }
  /// Of payloads.
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

  struct End {
    std::string_view cursor;
    std::optional<raft::Offset> next;  ///< of a single topic
    bool up_to_date = false;
  };
  /// Fills in type and body, and for exact bytes the event's own headers.
  void finish(Response& response, const End& end);

 private:
  void add_octets(const ReadEvent& event);

  const ReadPlan& plan_;
  std::string_view epoch_;
  std::string text_;
  Response exact_;  ///< of octets: the event's headers
  std::size_t count_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace weir::broker::http
