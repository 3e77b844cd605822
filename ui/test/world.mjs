// A world to look at: a private fail2ban with its own files, and the program in front of it. Everything is on this machine.
import { spawn, execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync, appendFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
export const PASSWORD = 'Correct1!horse';

/** Names and lines as a hostile world would send them. */
export const HOSTILE = [
  '<img src=x onerror=document.title=1>', '"><script>document.title=1</script>', "javascript:alert(1)//'", '\u202eesrever', 'a'.repeat(300),
];

/** A country database (MMDB) in which the first byte of an address says the country. */
function countryFile() {
  const COUNTRIES = ['US', 'CN', 'BR', 'DE', 'RU', 'IN', 'VN', 'NL', 'FR', 'ID', 'KR', 'SG', 'GB', 'IR'];
  const NAMES = { CN: 'Example Telecom', US: 'Example Cloud <b>Inc</b>', BR: 'Rede Exemplo', DE: 'Beispiel Netz GmbH' };
  const text = (value) => Buffer.concat([Buffer.from([0x40 | Buffer.byteLength(value)]), Buffer.from(value)]);
  const map = (fields) => Buffer.concat([Buffer.from([0xe0 | fields.length]), ...fields.flatMap(([name, value]) => [text(name), value])]);
  const data = [];
  let length = 0;
  const offsets = COUNTRIES.map((code) => {
    const entry = map([['country_code', text(code)], ['asn', text('AS64500')], ['as_name', text((NAMES[code] ?? 'Example Network').slice(0, 28))]]);
    data.push(entry);
    length += entry.length;
    return length - entry.length;
  });
  const NODES = 255;
  const tree = Buffer.alloc(NODES * 6);
  for (let node = 0; node < NODES; node += 1) {
    for (const side of [0, 1]) {
      const child = 2 * node + 1 + side;
      const byte = child - NODES;
      // A few take most, as everywhere.
      const which = Math.floor((((byte * 7919) % 100) / 100) ** 2 * COUNTRIES.length);
      tree.writeUIntBE(child < NODES ? child : byte % 11 === 0 ? NODES : NODES + 16 + offsets[which], node * 6 + side * 3, 3);
    }
  }
  const small = (value) => Buffer.from([0xa1, value]);
  const long = (value) => Buffer.from([0xc4, value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255]);
  const epoch = Buffer.concat([Buffer.from([4, 2]), long(Math.floor(Date.now() / 1000)).subarray(1)]);
  const metadata = map([['node_count', long(NODES)], ['record_size', small(24)], ['ip_version', small(4)], ['database_type', text('Example')],
    ['languages', Buffer.from([0, 4])], ['binary_format_major_version', small(2)], ['binary_format_minor_version', small(0)], ['build_epoch', epoch], ['description', Buffer.from([0xe0])]]);
  return Buffer.concat([tree, Buffer.alloc(16), ...data, Buffer.from([0xab, 0xcd, 0xef]), Buffer.from('MaxMind.com'), metadata]);
}

const pause = (ms) => new Promise((go) => setTimeout(go, ms));

/** Asks until the answer is a good one. */
export async function until(what, ask, seconds = 30) {
  const end = Date.now() + seconds * 1000;
  let last;
  while (Date.now() < end) {
    try {
      const answer = await ask();
      if (answer) return answer;
    } catch (error) {
      last = error;
    }
    await pause(50);
  }
  throw new Error(`${what} did not happen within ${seconds} s${last ? `: ${last.message}` : ''}`);
}

function freePort() {
  return new Promise((go) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => go(port));
    });
  });
}

export class World {
  dir = mkdtempSync(join(tmpdir(), 'bui-'));
  at = (name) => join(this.dir, name);

  async start() {
    this.configure();
    this.startDaemon();
    // The last failure of its log: what is banned while the server starts would be in its archive with two times.
    await until('the last ban', () => this.client('banned').includes('198.18.0.66'));
    this.port = await freePort();
    this.url = `http://127.0.0.1:${this.port}/`;
    await this.startServer();
    return this;
  }

  configure() {
    for (const name of ['action.d', 'jail.d', 'fail2ban.d']) mkdirSync(this.at(name));
    cpSync('/etc/fail2ban/filter.d', this.at('filter.d'), { recursive: true });
    writeFileSync(this.at('fail2ban.conf'), `[Definition]
loglevel = INFO
logtarget = ${this.at('f.log')}
syslogsocket = auto
socket = ${this.at('f.sock')}
pidfile = ${this.at('f.pid')}
dbfile = ${this.at('f.sqlite3')}
dbpurgeage = 7d
dbmaxmatches = 10
allowipv6 = auto
[Thread]
stacksize = 0
`);
    writeFileSync(this.at('jail.conf'), `[DEFAULT]
ignoreip = 127.0.0.1/8 ::1 192.0.2.0/24
ignoreself = true
usedns = no
banaction_allports = note-only
backend = polling
findtime = 1d
action = note-only
[sshd]
enabled = true
filter = sshd
logpath = ${this.at('auth.log')}
maxretry = 3
bantime = 1d
[sshd-stubborn]
enabled = true
filter = sshd
logpath = ${this.at('auth.log')}
maxretry = 9
bantime = 4w
[nginx-http-auth]
enabled = false
filter = nginx-http-auth
logpath = ${this.at('nginx.log')}
`);
    // Without a command: a shell for each ban would be most of the work.
    writeFileSync(this.at('action.d/note-only.conf'), '[Definition]\nactionban =\nactionunban =\n');
    // No jail has it: a change of it lets nobody be banned anew.
    writeFileSync(this.at('action.d/spare.conf'), '[Definition]\nactionban = true\n');
    writeFileSync(this.at('filter.d/lab.conf'), '[Definition]\nfailregex = ^ lab: failure from <HOST>(?: as .*)?$\n');
    writeFileSync(this.at('nginx.log'), '');
    writeFileSync(this.at('country.mmdb'), countryFile());
    writeFileSync(this.at('start'), `#!/bin/sh\nexec fail2ban-server -xb -c '${this.dir}' -s '${this.at('f.sock')}' -p '${this.at('f.pid')}' start\n`, { mode: 0o700 });
    writeFileSync(this.at('auth.log'), execFileSync('python3', [join(root, 'tests/demo/lines.py')]));
    for (const user of HOSTILE) this.fail('198.18.0.66', user);
  }

  /** A failed login, as sshd would log it. */
  fail(address, user) {
    const now = new Date();
    const month = now.toLocaleString('en', { month: 'short' });
    const time = now.toTimeString().slice(0, 8);
    appendFileSync(this.at('auth.log'), `${month} ${String(now.getDate()).padStart(2)} ${time} host sshd[9]: Failed password for invalid user ${user} from ${address} port 22 ssh2\n`);
  }

  startDaemon() {
    execFileSync(this.at('start'), { stdio: 'ignore' });
  }

  client(...words) {
    return execFileSync('fail2ban-client', ['-s', this.at('f.sock'), ...words], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 1 << 26 });
  }

  async startServer(env = {}) {
    const program = process.env.BANGUI_TEST_PROGRAM ?? join(root, process.env.CARGO_TARGET_DIR ?? 'target', 'debug/bangui');
    this.server = spawn(program, ['serve', '--listen', `127.0.0.1:${this.port}`, '--database', this.at('b.db'), '--fail2ban-socket', this.at('f.sock'),
      '--fail2ban-config', this.dir, '--allowed-log-dirs', this.dir, '--geoip-database', this.at('country.mmdb')], {
      env: { ...process.env, BANGUI_FAIL2BAN_START_COMMAND: this.at('start'), BANGUI_ARCHIVE_SECONDS: '1', BANGUI_RATE_LIMIT_SESSION: '0', BANGUI_RATE_LIMIT_ANONYMOUS: '0', BANGUI_RATE_LIMIT_BAN: '0', BANGUI_RATE_LIMIT_IMPORT: '0', BANGUI_RATE_LIMIT_CONFIG: '0',
        BANGUI_ALLOW_PRIVATE_FETCH: '1', ...env },
      stdio: ['ignore', 'ignore', process.env.BANGUI_SHOW_LOG ? 'inherit' : 'ignore'],
    });
    await until('the server', async () => (await fetch(`${this.url}api/v1/health`)).status < 600);
  }

  /** A request beside the browser, to prepare something or to look whether it happened. */
  async api(method, path, body, token) {
    if (!token && !this.token && path !== 'setup' && path !== 'auth/login') {
      const answer = await this.api('POST', 'auth/login', { password: PASSWORD, return_token: true });
      this.token = answer.token;
    }
    // A connection that was kept may have been closed meanwhile.
    const ask = (options) => fetch(`${this.url}api/v1/${path}`, options).catch(() => fetch(`${this.url}api/v1/${path}`, options));
    const answer = await ask({
      method,
      headers: { ...(body ? { 'content-type': 'application/json' } : {}), ...(token ?? this.token ? { authorization: `Bearer ${token ?? this.token}` } : {}) },
      body: body && JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text ? JSON.parse(text) : undefined;
  }

  /** Every session's login was an hour ago. */
  async ageSessions() {
    await this.restartServer({}, () => execFileSync('python3', ['-c', `import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as database: database.execute('UPDATE sessions SET created_at = created_at - 3600')`, this.at('b.db')]));
  }

  /** The same server with other settings. */
  async restartServer(env, meanwhile) {
    const ended = new Promise((go) => this.server.once('exit', go));
    this.server.kill();
    await ended;
    meanwhile?.();
    await this.startServer(env);
  }

  async stop() {
    this.server?.kill();
    try { this.client('stop'); } catch { /* It was stopped by the test. */ }
    await pause(100);
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}
