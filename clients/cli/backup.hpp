#pragma once

#include <string>

#include "clients/cli/invocation.hpp"

namespace weir::cli {

struct BackupOptions {
  std::string file;  ///< "-": stdout
  bool force = false;
};

/// `backup FILE`: verified as it comes; under FILE's name only once it is whole and on disk.
void add_backup(CLI::App& root, Invocation& invocation, BackupOptions& options);

}  // namespace weir::cli
