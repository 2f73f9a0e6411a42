#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "clients/cpp/event.hpp"
#include "clients/cpp/views.hpp"

/// Values as text for people. Pure functions: the golden tests read them.
namespace weir::cli {

/// Nothing a producer or a broker chose can move the cursor, forge a line or turn text around: control characters,
/// bidirectional marks and bytes that are not UTF-8 become \n, \r, \t, \xNN or \u{NNNN}.
[[nodiscard]] std::string escape(std::string_view text);

/// "0.9 ms" below 100 ms, "241 ms" from there.
[[nodiscard]] std::string milliseconds_text(std::chrono::nanoseconds time);

/// "22:50:01" of "2026-11-20T22:50:01.123Z": UTC, as the broker gives it.
[[nodiscard]] std::string time_of_day(std::string_view rfc3339);

/// "orders/new 42 stored o-1001 0.9 ms" or "orders/new 42 duplicate of 22:50:01 o-1001".
[[nodiscard]] std::string published_line(const client::Published& published, std::chrono::nanoseconds took);

/// The same as one JSON object, for -o json.
[[nodiscard]] std::string published_json(const client::Published& published);

/// "topic offset id data", `-` for no id.
[[nodiscard]] std::string event_line(const client::ReceivedEvent& event);

/// Columns by width, two spaces between, no spaces at line ends. Colour codes cost no width.
class Table {
 public:
  enum class Align { left, right };
  struct Column {
    std::string name;
    Align align = Align::left;
  };
  enum class Paint { none, green, red };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<std::string> cells, Paint paint = Paint::none);
  [[nodiscard]] std::string text() const;

 private:
  struct Row {
    std::vector<std::string> cells;
    Paint paint;
  };
  std::vector<Column> columns_;
  std::vector<Row> rows_;
};

enum class Colour { on, off };

[[nodiscard]] std::string topics_table(const std::vector<client::TopicView>& topics);
[[nodiscard]] std::string raft_log_table(const std::vector<client::RaftEntryView>& entries);

/// One row of `cluster status`: what the member says of itself, or only its name when it does not answer.
struct StatusRow {
  client::MemberView member;
  bool answers = false;
};

/// LAG is in log entries behind the leader's last.
[[nodiscard]] std::string cluster_table(const std::vector<StatusRow>& rows, Colour colour);

}  // namespace weir::cli
