"""Serves one list over HTTPS on loopback: serve.py CERTIFICATE. Prints its port; ends with whoever started it."""

import http.server
import ssl
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(302 if self.path == "/down" else 200)
        if self.path == "/down":
            self.send_header("Location", "http://127.0.0.1:%d/list" % self.server.server_address[1])
        self.send_header("Content-Length", "18")
        self.end_headers()
        self.wfile.write(b"45.1.1.1\n45.1.1.2\n")

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A client that does not trust us hangs up, which is what some tests are about."""


server = Server(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(server.server_address[1], flush=True)
server.serve_forever()
