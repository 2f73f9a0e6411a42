#include "broker/http/event_texts.hpp"

#include <utility>

namespace weir::broker::http {

namespace {

/// Enough for what is sent to everybody in one turn; what comes later is encoded again.
constexpr std::size_t kTextsMax = 256;
constexpr std::size_t kBytesMax = std::size_t{1} << 20U;

}  // namespace

std::string_view EventTexts::of(const ReadEvent& event, const EventShape& shape) {
  if (texts_.size() >= kTextsMax || bytes_ >= kBytesMax || epoch_ != shape.epoch) forget();
  epoch_ = shape.epoch;
  const auto [place, is_new] =
      texts_.try_emplace({event.entry.get(), event.ordinal, shape.data, shape.cursor}, Text{event.entry, {}});
  std::string& text = place->second.text;
  if (is_new) {
    append_event_json(text, event, shape);
    bytes_ += text.size();
  }
  return text;
}

void EventTexts::forget() {
  texts_.clear();
  bytes_ = 0;
}

}  // namespace weir::broker::http
