"""A WebSocket client small enough to break every rule of RFC 6455 on purpose."""

import base64
import json
import os
import socket
import struct

LOOPBACK = "127.0.0.1"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Closed(Exception):
    """The server ended the connection; `code` is that of its close frame, None without one."""

    def __init__(self, code=None):
        super().__init__(f"closed with {code}")
        self.code = code


def frame(opcode, payload=b"", fin=True, mask=True, rsv=0, length=None):
    """One frame's bytes. `length` announces another length than the payload's, in the 64-bit form."""
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    masked = 0x80 if mask else 0
    if length is not None:
        head += bytes([masked | 127]) + struct.pack(">Q", length)
    elif len(payload) < 126:
        head += bytes([masked | len(payload)])
    elif len(payload) < 65536:
        head += bytes([masked | 126]) + struct.pack(">H", len(payload))
    else:
        head += bytes([masked | 127]) + struct.pack(">Q", len(payload))
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


class WebSocket:
    def __init__(self, port, path="/v1/ws", headers=None, timeout=20):
        self.socket = socket.create_connection((LOOPBACK, port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        fields = {
            "Host": f"{LOOPBACK}:{port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Sec-WebSocket-Version": "13",
            **(headers or {}),
        }
        lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
        self.socket.sendall("\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode())
        while b"\r\n\r\n" not in self.buffer:
            chunk = self.socket.recv(65536)
            if not chunk:
                break
            self.buffer += chunk
        self.head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        self.status = int(self.head.split(b" ")[1]) if b" " in self.head else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send_bytes(self, data):
        self.socket.sendall(data)

    def send_json(self, message):
        self.socket.sendall(frame(TEXT, json.dumps(message).encode()))

    def take(self, count):
        while len(self.buffer) < count:
            try:
                chunk = self.socket.recv(65536)
            except ConnectionError:
                chunk = b""
            if not chunk:
                raise Closed()
            self.buffer += chunk
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def next_frame(self):
        """(opcode, payload) of the next frame; what a server must not send is an assertion."""
        first, second = self.take(2)
        assert not first & 0x70, "the server set a reserved bit"
        assert first & 0x80, "the server sent a fragment"
        assert not second & 0x80, "the server masked a frame"
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", self.take(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self.take(8))
        return first & 0x0F, self.take(length)

    def next_json(self):
        """The next text message, answering pings on the way."""
        while True:
            opcode, payload = self.next_frame()
            if opcode == TEXT:
                return json.loads(payload)
            if opcode == CLOSE:
                raise Closed(struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else None)
            if opcode == PING:
                self.socket.sendall(frame(PONG, payload))

    def next_op(self, *wanted):
        """The next message whose op is one of `wanted`; others are skipped, an error is raised."""
        while True:
            message = self.next_json()
            if message["op"] in wanted:
                return message
            assert message["op"] != "error", message

    def events(self, count):
        return [self.next_op("event") for _ in range(count)]

    def close_code(self):
        """Reads until the server closes; the code of its close frame, None if it just hung up."""
        try:
            while True:
                self.next_json()
        except Closed as closed:
            return closed.code
