// Looks into a data folder that no node uses, without changing a byte of it: `weir storage check` and `weir storage
// dump`. Any thread; it blocks for as long as the disk takes to read the folder.
#pragma once

#include <expected>
#include <functional>
#include <string>

#include "storage/error.hpp"
#include "storage/log_store.hpp"

namespace weir::storage {

/// Given one line at a time, without its end.
using LinePrinter = std::function<void(const std::string& line)>;

/// Verifies every byte: each file by itself, all of them even if one is damaged, then the chain that they form. The
/// error is the first damage; in_use while a node has the folder.
[[nodiscard]] std::expected<void, Error> check_folder(const std::string& folder, const LinePrinter& print);

/// Whose folder it is. Does not look at the log.
[[nodiscard]] std::expected<Identity, Error> identity_of_folder(const std::string& folder);

/// What stands in the folder, row by row, as storage/README.md names it; entries' data by its size only.
[[nodiscard]] std::expected<void, Error> dump_folder(const std::string& folder, const LinePrinter& print);

}  // namespace weir::storage
