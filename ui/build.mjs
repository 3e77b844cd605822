// Builds ui/dist of ui/src: the same input gives the same bytes. `ui/dist/manifest` says what it was made of, so that a test of the
// program, which has no Node, finds a page that is older than its source.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import * as esbuild from 'esbuild';

const root = fileURLToPath(new URL('.', import.meta.url));
const dist = join(root, 'dist');
const at = (...parts) => join(root, ...parts);

// A message is called by its name in the source and by its number in what is served: the names would be an eighth of it. Each language
// becomes a list in the order of English, and a name that stands anywhere in quotes becomes its place in that list. No place is 0, so that
// a message is never taken for none.
//
// JSX becomes calls of Preact's `h`, whose children need no name of their own: that is 2 % less on the wire than its automatic form, which is
// what the types are checked with.
const messagesOf = (name) => new Map([...readFileSync(at(`src/${name}.ts`), 'utf8').matchAll(/^ {2}('[^']+'): ('(?:[^'\\]|\\.)*'),$/gm)].map(([, key, text]) => [key, text]));
const keys = [...messagesOf('en').keys()];
if (!keys.every((key) => /^'\w+\.\w+'$/.test(key))) throw new Error('The name of a message is two words with a dot between them.');
const numbers = new Map(keys.map((key, index) => [key, index + 1]));
const numbered = {
  name: 'numbered messages',
  setup(build) {
    build.onLoad({ filter: /src\/.*\.tsx?$/ }, ({ path }) => {
      const loader = path.endsWith('x') ? 'tsx' : 'ts';
      const language = /src\/(\w\w)\.ts$/.exec(path)?.[1];
      if (!language) return { loader, contents: (loader === 'tsx' ? "import { h as h_, Fragment as F_ } from 'preact';" : '') + readFileSync(path, 'utf8').replace(/'\w+\.\w+'/g, (one) => numbers.get(one) ?? one) };
      const messages = messagesOf(language);
      if (messages.size !== keys.length) throw new Error(`src/${language}.ts has ${messages.size} messages, English ${keys.length}.`);
      return { loader, contents: `export const ${language === 'en' ? 'en' : 'messages'} = [0,\n${keys.map((key) => messages.get(key)).join(',\n')}];` };
    });
  },
};

rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);
await esbuild.build({
  plugins: [numbered],
  absWorkingDir: root,
  entryPoints: ['src/main.tsx', 'src/style.css'],
  outdir: 'dist',
  bundle: true,
  minify: true,
  charset: 'utf8',
  format: 'esm',
  splitting: true,
  // Browsers since 2020. What the styles use is younger, and for browsers before it every `?.` was four times as long.
  target: 'es2020',
  tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } },
  jsx: 'transform',
  jsxFactory: 'h_',
  jsxFragment: 'F_',
  legalComments: 'none',
  loader: { '.svg': 'file' },
  entryNames: '[name]-[hash]',
  chunkNames: '[name]-[hash]',
  assetNames: '[name]-[hash]',
  define: { 'process.env.NODE_ENV': '"production"' },
});

// What both the entry and the screens that come later need stands in a chunk, and the entry is nothing but its import: the chunk itself is
// what the page loads, under the entry's name, which spares a request.
const all = readdirSync(dist).filter((name) => name.endsWith('.js'));
const entry = all.find((name) => name.startsWith('main-'));
const [, chunk] = /^import(?:\{[^}]*\}from)?"\.\/(chunk-\w+)\.js";(?:export\{[^}]*\};)?\s*$/.exec(readFileSync(join(dist, entry), 'utf8')) ?? [];
if (!chunk || all.filter((name) => name.startsWith('chunk-')).length !== 1) throw new Error('The entry is more than the import of one chunk.');
rmSync(join(dist, entry));
for (const name of all.filter((one) => one !== entry)) {
  const text = readFileSync(join(dist, name), 'utf8').replaceAll(chunk, chunk.replace('chunk', 'main'));
  rmSync(join(dist, name));
  writeFileSync(join(dist, name.replace(chunk, chunk.replace('chunk', 'main'))), text);
}

const icon = readFileSync(at('src/icon.svg'));
writeFileSync(join(dist, `icon-${createHash('sha256').update(icon).digest('hex').slice(0, 8)}.svg`), icon);
const made = readdirSync(dist).sort();
const named = (start, end) => made.find((name) => name.startsWith(start) && name.endsWith(end));
const html = readFileSync(at('src/index.html'), 'utf8')
  .replace('STYLE', named('style-', '.css')).replace('ICON', named('icon-', '.svg')).replace('MAIN', named('main-', '.js'))
  .replace(/\n\s*/g, '');
writeFileSync(join(dist, 'index.html'), html);

// The names and bytes of every source, in the order of their names. tests/it/page.rs computes the same.
function sources(directory) {
  return readdirSync(at(directory), { withFileTypes: true }).flatMap((entry) => {
    const path = `${directory}/${entry.name}`;
    return entry.isDirectory() ? sources(path) : [path];
  });
}
const everything = ['build.mjs', 'package-lock.json', 'types.mjs', ...sources('src').filter((path) => path !== 'src/api.ts')];
const hash = createHash('sha256');
for (const path of everything.sort()) hash.update(`${path}\0`).update(readFileSync(at(path))).update('\0');
writeFileSync(join(dist, 'manifest'), `${hash.digest('hex')}\n`);

let sum = 0;
for (const name of readdirSync(dist).sort()) {
  if (name === 'manifest') continue;
  const size = gzipSync(readFileSync(join(dist, name)), { level: 9 }).length;
  sum += size;
  console.log(`${(size / 1000).toFixed(1).padStart(6)} kB  ${name}`);
}
console.log(`${(sum / 1000).toFixed(1).padStart(6)} kB  everything`);
