// Events as JSON, each encoded once for all who are sent it at about the same time. One for a net thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "broker/http/event_json.hpp"

namespace weir::broker::http {

class EventTexts {
 public:
  /// As append_event_json says it. Valid until the next call.
  [[nodiscard]] std::string_view of(const ReadEvent& event, const EventShape& shape);

 private:
  struct Key {
    const wire::PublishView* entry;
    std::uint32_t ordinal;
    DataForm data;
    ShowCursor cursor;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const {
      return std::hash<const void*>()(key.entry) ^ (std::size_t{key.ordinal} << 20U) ^
             (static_cast<std::size_t>(key.data) << 8U) ^ static_cast<std::size_t>(key.cursor);
    }
  };
  struct Text {
    std::shared_ptr<const wire::PublishView> entry;  ///< or another could come to stand at its address
    std::string text;
  };

  void forget();

  std::unordered_map<Key, Text, Hash> texts_;
  std::size_t bytes_ = 0;
  std::string epoch_;  ///< of all of them
};

}  // namespace weir::broker::http
