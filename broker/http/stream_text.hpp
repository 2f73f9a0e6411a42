// How a stream's events and control messages look: ndjson, SSE or bare payloads (API §4). Pure: no thread rule.
#pragma once

#include <string>
#include <string_view>

#include "broker/core/reading.hpp"
#include "broker/http/delivery.hpp"
#include "broker/http/event_json.hpp"
#include "broker/http/media_type.hpp"

namespace weir::broker::http {

/// The members of control messages, as finished JSON text without braces.
[[nodiscard]] std::string caught_up_members(std::string_view cursor);
[[nodiscard]] std::string gap_members(const Gap& gap);
/// A JSON object.
[[nodiscard]] std::string missing_positions(const RemovedRange& range);
[[nodiscard]] std::string goaway_members(std::string_view to, std::string_view cursor);

class StreamText {
 public:
  /// `format`: one that streams: ndjson, sse or text.
  StreamText(Format format, std::string epoch, DataForm data);

  /// Where the stream starts, so that an EventSource that breaks before the first event resumes there too.
  void append_opening(std::string& out, raft::Position position) const;
  void append_event(std::string& out, const ReadEvent& event) const;
  /// Bare payloads have no place for control messages: nothing is written.
  void append_control(std::string& out, std::string_view name, std::string_view members, raft::Position position) const;
  void append_heartbeat(std::string& out) const;

 private:
  Format format_;
  std::string epoch_;
  DataForm data_;
};

}  // namespace weir::broker::http
