// GET /v1/backup: everything that was applied here when the request was answered, as one stream (wire/README.md).
#include <utility>

#include "broker/http/answers.hpp"
#include "broker/http/barrier.hpp"
#include "broker/http/body_writer.hpp"
#include "broker/http/route_parts.hpp"
#include "broker/http/routes.hpp"

namespace weir::broker::http {

namespace asio = boost::asio;

namespace {

/// Each reads the disk as fast as its client takes it, beside those who read and the followers that are helped.
constexpr std::uint64_t kBackupsMax = 2;
/// One read of the disk and one write to the client: what a backup holds in memory, once as read and once as sent.
constexpr std::size_t kPartBytes = std::size_t{1} << 20U;

/// One of kBackupsMax, for as long as it lives.
class BackupPlace {
 public:
  explicit BackupPlace(HttpMetrics::Count& open) : open_(open), taken_(open.fetch_add(1) < kBackupsMax) {}
  ~BackupPlace() { open_.fetch_sub(1); }
  BackupPlace(const BackupPlace&) = delete;
  BackupPlace& operator=(const BackupPlace&) = delete;
  [[nodiscard]] bool taken() const { return taken_; }

 private:
  HttpMetrics::Count& open_;
  const bool taken_;
};

/// What both halves of a backup share.
struct Backup {
  std::shared_ptr<Connection> connection;
  BodyWriter writer;
  wire::BackupWriter text;
  wire::BackupHead head;

  /// A broker that stops waits for no client: a copy is taken again.
  [[nodiscard]] bool abandoned() const { return connection->gone() || connection->draining(); }
  [[nodiscard]] asio::awaitable<bool> write(std::string bytes) { return writer.write(writer.piece(std::move(bytes))); }
};

Response backup_head(const wire::BackupHead& head) {
  Response response{.content_type = "application/octet-stream"};
  response.add_header("Cache-Control", "no-store");
  response.add_header("Content-Disposition", "attachment; filename=\"weir-" + head.cluster_id + "-" +
                                                 std::to_string(head.index.value) + ".backup\"");
  response.add_header("Weir-Epoch", head.epoch);
  response.add_header("Weir-Applied", std::to_string(head.position.value));
  return response;
}

/// False: it was cut off, by the client or for want of what it is to send.
asio::awaitable<bool> write_snapshot(std::shared_ptr<Backup> backup, storage::SnapshotData data) {
  std::string begin = backup->text.snapshot(data.snapshot);
  bool written = co_await backup->write(std::move(begin));
  std::uint64_t offset = 0;
  while (written) {
    offset += data.data.size();
    std::string piece = backup->text.piece(data.data.view());
    written = co_await backup->write(std::move(piece));
    if (!written || offset == data.snapshot.size) break;
    auto next =
        co_await backup->connection->shard().gateway().read_backup_snapshot(data.snapshot.number, offset, kPartBytes);
    if (!next || backup->abandoned()) co_return false;
    data = *std::move(next);
  }
  co_return written;
}

asio::awaitable<bool> write_entries(std::shared_ptr<Backup> backup, raft::Index first) {
  const raft::Index last = backup->head.index;
  while (first <= last) {
    auto entries = co_await backup->connection->shard().gateway().read_backup_entries(first, last, kPartBytes);
    if (!entries || backup->abandoned()) co_return false;
    first = entries->back().index.next();
    std::string bytes = backup->text.entries(*entries);
    entries->clear();
    const bool written = co_await backup->write(std::move(bytes));
    if (!written) co_return false;
  }
  co_return true;
}

asio::awaitable<void> write_backup(std::shared_ptr<Backup> backup, storage::SnapshotData snapshot) {
  std::string begin =
      backup->writer.head(backup_head(backup->head)) + backup->writer.piece(backup->text.head(backup->head));
  bool whole = co_await backup->writer.write(std::move(begin));
  const raft::Index first = snapshot.snapshot.index.next();
  if (whole && snapshot.snapshot.index != raft::Index{}) {
    whole = co_await write_snapshot(backup, std::move(snapshot));
  }
  if (whole) whole = co_await write_entries(backup, first);
  if (!whole) co_return;  // without its end mark nobody takes it for a backup
  std::string end = backup->writer.piece(backup->text.end()) + backup->writer.end();
  co_await backup->writer.write(std::move(end));
}

}  // namespace

asio::awaitable<std::optional<Response>> backup_route(std::shared_ptr<Connection> connection, SharedRequest request) {
  const auto timeout_ms = timeout_of(*request, connection->shard());
  if (!timeout_ms) co_return to_response(timeout_ms.error());
  const BackupPlace place(connection->shard().metrics().backups_open);
  if (!place.taken()) {
    co_return to_response(overloaded("this node is writing " + std::to_string(kBackupsMax) +
                                     " backups already; ask another one, or again later"));
  }
  const auto confirmed = co_await pass_barrier(connection->shard_ptr(), *timeout_ms);
  if (!confirmed) co_return to_response(confirmed.error());
  Gateway& gateway = connection->shard().gateway();
  // The snapshot first: what is applied by the time of the head includes it.
  auto snapshot = co_await gateway.read_backup_snapshot(0, 0, kPartBytes);
  if (!snapshot) co_return to_response(unfit("the newest snapshot cannot be read: " + snapshot.error().text));
  auto head = co_await gateway.backup_head();
  if (!head) co_return to_response(unfit(std::move(head.error())));
  auto backup = std::make_shared<Backup>(
      Backup{.connection = connection, .writer = BodyWriter(connection, *request), .text = {}, .head = *head});
  connection->watch();
  co_await write_backup(backup, *std::move(snapshot));
  connection->end_watch();
  co_return std::nullopt;
}

}  // namespace weir::broker::http
