// Stands between LMDB and the kernel's fdatasync: this binary's own fdatasync is the one that liblmdb calls.
// One thread: the hook is set and removed by the test that writes.
#pragma once

#include <functional>

namespace weir::storage {

/// While it lives, each fdatasync of the process asks `answer` first: 0 = flush as usual, else the errno to fail with.
class FlushHook {
 public:
  explicit FlushHook(std::function<int(int file)> answer);
  FlushHook(const FlushHook&) = delete;
  FlushHook& operator=(const FlushHook&) = delete;
  ~FlushHook();
};

/// While it lives, each fsync of a folder fails.
class FolderFlushFails {
 public:
  FolderFlushFails();
  FolderFlushFails(const FolderFlushFails&) = delete;
  FolderFlushFails& operator=(const FolderFlushFails&) = delete;
  ~FolderFlushFails();
  [[nodiscard]] static bool applies_to(int file);
};

}  // namespace weir::storage
