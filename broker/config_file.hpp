// A TOML file as flat text: `[http] listen = "..."` becomes `http.listen`. Main thread.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

namespace weir::broker {

struct FileSetting {
  std::string key;
  std::string value;  ///< an array's elements are joined by commas
  std::uint32_t line = 0;
};

/// The error names the file and, where there is one, the line.
[[nodiscard]] std::expected<std::vector<FileSetting>, std::string> read_config_file(const std::string& path);

}  // namespace weir::broker
