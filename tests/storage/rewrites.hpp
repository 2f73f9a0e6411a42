// Files of a log that are written anew, and what is then expected of the log. One thread.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "storage/log_store.hpp"

namespace weir::storage {

/// Until it is ready to be put in place, or not worth it.
inline RewriteAnswer write_anew(LogStore& store, const LogFile& file, const KeepEntry& keep,
                                std::size_t bytes_max = 100'000) {
  for (;;) {
    const auto answer = store.rewrite(file.first, keep, bytes_max);
    EXPECT_TRUE(answer.has_value()) << answer.error().text;
    if (!answer) return RewriteAnswer::refused;
    if (*answer != RewriteAnswer::more) return *answer;
  }
}

/// False if it is left as it is.
inline bool rewrite_file(LogStore& store, const LogFile& file, const KeepEntry& keep) {
  if (write_anew(store, file, keep) != RewriteAnswer::ready) return false;
  const auto given_back = store.finish_rewrite();
  EXPECT_TRUE(given_back.has_value()) << given_back.error().text;
  EXPECT_GT(given_back.value_or(0), 0U);
  return given_back.has_value();
}

/// What stands in `log`, which begins with entry 1, once `file` was rewritten.
inline void hollow_out(std::vector<raft::Entry>& log, const LogFile& file, const KeepEntry& keep) {
  for (raft::Index index = file.first; index < file.end; index = index.next()) {
    raft::Entry& entry = log[index.value - 1];
    if (entry.command == raft::Command::hollow || keep(index, entry.command)) continue;
    entry = {.index = index, .term = entry.term, .command = raft::Command::hollow, .checksum = 0, .data = {}};
  }
}

}  // namespace weir::storage
