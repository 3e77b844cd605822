//! The event loop and HTTP/1.1: the only code that touches a client's socket.
