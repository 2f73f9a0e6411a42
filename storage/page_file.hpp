// Reads an LMDB data file without LMDB and without trusting a byte of it.
//
// LMDB has no checksums and believes what it maps: a cut file kills the process by SIGBUS, a flipped branch page may
// crash it, a flipped meta page can bring back an older tree. So before LMDB maps a file, this walks it with plain
// reads: both meta pages, every branch and leaf page, every extent of a large value, the list of free pages. What
// passes is safe to map. What stands in the values is for the visitor to verify.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <string_view>

#include "storage/error.hpp"

namespace weir::storage {

/// Called with each row in key order; the views end with the call. An error ends the walk and is its result.
using RowVisitor = std::function<std::expected<void, Error>(std::string_view key, std::string_view value)>;

struct TreeShape {
  std::uint64_t rows = 0;
  std::uint64_t used_bytes = 0;  ///< up to the last page in use
};

/// damaged if a rule of LMDB's format (0.9, 64 bits) does not hold, io if the disk cannot be read, setup if the file is
/// not there. Error texts name the file. Requires that nobody writes to it meanwhile.
[[nodiscard]] std::expected<TreeShape, Error> visit_rows(const std::string& path, const RowVisitor& visitor);
/// As visit_rows, but large values are not read (the visitor gets an empty one): what passes can be mapped for reading
/// without a crash, and its values are verified when they are read. A few pages for each segment.
[[nodiscard]] std::expected<TreeShape, Error> visit_tree(const std::string& path, const RowVisitor& visitor);

}  // namespace weir::storage
