// Serves ui/dist as it is on the disk, and passes the API on to a server that runs: a change of the page is seen after `npm run build`
// alone. usage: node dev.mjs [URL of a bangui] [port]
import { readFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { fileURLToPath } from 'node:url';

const KINDS = { html: 'text/html; charset=utf-8', js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8', svg: 'image/svg+xml' };
const POLICY = "default-src 'self'; require-trusted-types-for 'script'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
const dist = fileURLToPath(new URL('dist/', import.meta.url));

export function serve(target, port = 0) {
  const server = createServer(async (asked, answer) => {
    const path = asked.url.split('?')[0];
    if (path.startsWith('/api/')) {
      const { hostname, port: to } = new URL(target);
      const passed = request({ hostname, port: to, path: asked.url, method: asked.method, headers: asked.headers }, (from) => {
        answer.writeHead(from.statusCode, from.headers);
        from.pipe(answer);
      });
      passed.on('error', () => answer.destroy());
      asked.pipe(passed);
      return;
    }
    const name = path === '/' ? 'index.html' : path.slice(1);
    try {
      if (!/^[\w-]+\.\w+$/.test(name)) throw new Error('no such name');
      const bytes = await readFile(dist + name);
      answer.writeHead(200, { 'content-type': KINDS[name.split('.').pop()], 'content-security-policy': POLICY }).end(bytes);
    } catch {
      answer.writeHead(404).end();
    }
  });
  return new Promise((go) => server.listen(port, '127.0.0.1', () => go(server)));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , target = 'http://127.0.0.1:8000/', port = '8080'] = process.argv;
  await serve(target, Number(port));
  console.log(`http://127.0.0.1:${port}/ shows ui/dist, with the API of ${target}`);
}
