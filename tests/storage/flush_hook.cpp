#include "tests/storage/flush_hook.hpp"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "tests/storage/disk_recorder.hpp"

namespace weir::storage {
namespace {

std::function<int(int)>& current_answer() {
  static std::function<int(int)> answer;
  return answer;
}

bool& folders_fail() {
  static bool fail = false;
  return fail;
}

}  // namespace

FlushHook::FlushHook(std::function<int(int file)> answer) {
  current_answer() = std::move(answer);
}
FlushHook::~FlushHook() {
  current_answer() = nullptr;
}

FolderFlushFails::FolderFlushFails() {
  folders_fail() = true;
}
FolderFlushFails::~FolderFlushFails() {
  folders_fail() = false;
}
bool FolderFlushFails::applies_to(int file) {
  struct stat status{};
  return folders_fail() && fstat(file, &status) == 0 && S_ISDIR(status.st_mode);
}

}  // namespace weir::storage

extern "C" int fdatasync(int file) {
  const auto& answer = weir::storage::current_answer();
  if (const int code = answer ? answer(file) : 0; code != 0) {
    errno = code;
    return -1;
  }
  const int done = static_cast<int>(syscall(SYS_fdatasync, file));
  if (done == 0) weir::storage::DiskRecorder::note_flush(file);
  return done;
}
