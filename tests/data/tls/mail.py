"""A mail server on loopback: mail.py CERTIFICATE starttls|tls|plain. Takes mail of the account "box" with the password "open sesame" only,
and nothing without TLS. Prints its port, then each mail as a line of JSON; ends with whoever started it."""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody"):
            return "550 no such user: secret words of this server"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "text": envelope.content.decode()}
        print(json.dumps(mail), flush=True)
        return "250 taken"


def authenticate(server, session, envelope, mechanism, login):
    is_right = isinstance(login, LoginPassword) and (login.login, login.password) == (b"box", b"open sesame")
    return AuthResult(success=is_right, handled=is_right)


async def main(certificate, mode):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def protocol():
        upgrades = mode == "starttls"
        return SMTP(
            Handler(),
            tls_context=context if upgrades else None,
            require_starttls=upgrades,
            auth_required=True,
            auth_require_tls=upgrades,
            authenticator=authenticate,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=context if mode == "tls" else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main(sys.argv[1], sys.argv[2]))
