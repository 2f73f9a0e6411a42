#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// JSON cut into pieces that keep their bytes. Parsing and writing again would change a payload: 1.0 becomes 1E0, and
/// 12345678901234567890123 becomes something else.
namespace weir::client {

/// The members of an object with their values as they stand; nothing when `text` is not one object. Values are only
/// checked as far as needed to find their ends. Names are as written, without quotes, escapes not undone.
[[nodiscard]] std::optional<std::vector<std::pair<std::string_view, std::string_view>>> json_members(
    std::string_view text);

/// The items of an array, likewise.
[[nodiscard]] std::optional<std::vector<std::string_view>> json_items(std::string_view text);

/// The value of one member, as it stands.
[[nodiscard]] std::optional<std::string_view> json_member(std::string_view text, std::string_view name);

}  // namespace weir::client
