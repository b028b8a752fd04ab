"""A receiver of sessiond's webhook: WEBHOOK_SECRET=whsec_… python3 webhook_receiver.py 9000"""

import base64, hashlib, hmac, json, os, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
TOLERANCE = 5 * 60  # seconds: what is older was recorded and is played back
seen = set()  # in a real one: a table, in the transaction of what the message leads to
turn = threading.Lock()  # one message at a time


def is_ours(headers, body):
    sent = headers.get("webhook-timestamp", "")
    if not (sent.isascii() and sent.isdigit() and abs(time.time() - int(sent)) <= TOLERANCE):
        return False
    signed = f"{headers['webhook-id']}.{sent}.".encode() + body
    expected = b"v1," + base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest())
    shown = headers.get("webhook-signature", "").encode().split(b" ")
    return any(hmac.compare_digest(expected, one) for one in shown)  # in constant time


def take(name, message):
    with turn:
        if name not in seen:  # it may come twice
            print(f"{message['timestamp']} {message['type']} {message['data']}\n", end="", flush=True)
            seen.add(name)


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(min(int(self.headers.get("content-length", 0)), 1_000_000))
        ours = is_ours(self.headers, body)
        if ours:
            take(self.headers["webhook-id"], json.loads(body))
        self.send_response(204 if ours else 401)
        self.end_headers()


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
