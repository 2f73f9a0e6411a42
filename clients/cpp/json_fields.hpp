#pragma once

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// Reading optional members of a parsed answer; for the .cpp files that decode one.
namespace weir::client {

inline const boost::json::value* json_at(const boost::json::object& object, std::string_view name) {
  const auto* found = object.if_contains(boost::json::string_view(name.data(), name.size()));
  return found != nullptr && !found->is_null() ? found : nullptr;
}

inline std::optional<std::uint64_t> json_u64(const boost::json::object& object, std::string_view name) {
  const auto* found = json_at(object, name);
  if (found == nullptr) return std::nullopt;
  if (const auto* whole = found->if_int64(); whole != nullptr && *whole >= 0) return static_cast<std::uint64_t>(*whole);
  if (const auto* whole = found->if_uint64(); whole != nullptr) return *whole;
  return std::nullopt;
}

inline std::optional<std::string> json_text(const boost::json::object& object, std::string_view name) {
  const auto* found = json_at(object, name);
  if (found == nullptr || !found->is_string()) return std::nullopt;
  return std::string(found->get_string().data(), found->get_string().size());
}

inline std::optional<bool> json_bool(const boost::json::object& object, std::string_view name) {
  const auto* found = json_at(object, name);
  return found != nullptr && found->is_bool() ? std::optional(found->get_bool()) : std::nullopt;
}

inline std::optional<boost::json::object> json_object(std::string_view text) {
  boost::json::error_code error;
  auto value = boost::json::parse(boost::json::string_view(text.data(), text.size()), error);
  if (error || !value.is_object()) return std::nullopt;
  return std::move(value.get_object());
}

}  // namespace weir::client
