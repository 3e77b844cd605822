// What can be seen without a browser: the messages, the source's own rules, and the weight of what is served.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const ui = fileURLToPath(new URL('..', import.meta.url));
function files(directory) {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? files(join(directory, entry.name)) : [join(directory, entry.name)]));
}
const source = files(join(ui, 'src')).filter((path) => /\.tsx?$/.test(path) && !/\/(api|world)\.ts$/.test(path));
const messagesOf = (name) => Object.fromEntries([...readFileSync(join(ui, 'src', `${name}.ts`), 'utf8').matchAll(/^ {2}'([^']+)': '((?:[^'\\]|\\.)*)',$/gm)].map(([, key, text]) => [key, text]));

test('every message exists in every language, with the same places, and none is unused', () => {
  const [en, de] = [messagesOf('en'), messagesOf('de')];
  assert.ok(Object.keys(en).length > 200);
  assert.deepEqual(Object.keys(de).sort(), Object.keys(en).sort());
  const places = (text) => [...new Set([...text.matchAll(/\{(\w+)/g)].map(([, name]) => name))].sort();
  for (const key of Object.keys(en)) assert.deepEqual(places(de[key]), places(en[key]), key);
  const code = source.filter((path) => !/\/(en|de)\.ts$/.test(path)).map((path) => readFileSync(path, 'utf8')).join('\n');
  const unused = Object.keys(en).filter((key) => !code.includes(`'${key}'`));
  assert.deepEqual(unused, []);
  const same = Object.keys(en).filter((key) => en[key] === de[key] && /[a-z]{4}/.test(en[key].replace(/\{[^}]*\}/g, '')));
  assert.ok(same.length < 20, `not translated: ${same.join(', ')}`);
});

test('text from outside never becomes markup, and no way to that is there', () => {
  for (const path of source) {
    const text = readFileSync(path, 'utf8');
    for (const word of ['innerHTML', 'outerHTML', 'insertAdjacentHTML', 'document.write', 'eval(', 'new Function', 'confirm(', 'alert(']) {
      assert.ok(!text.includes(word), `${path}: ${word}`);
    }
  }
});

test('every source file says first what it is for', () => {
  for (const path of source) assert.match(readFileSync(path, 'utf8'), /^(\/\/ |declare )/, path);
});

test('what is served weighs no more than it may', () => {
  const dist = join(ui, 'dist');
  const weight = Object.fromEntries(readdirSync(dist).filter((name) => name !== 'manifest').map((name) => [name, gzipSync(readFileSync(join(dist, name)), { level: 9 }).length]));
  const of = (start) => Object.entries(weight).filter(([name]) => name.startsWith(start)).reduce((sum, [, size]) => sum + size, 0);
  const all = Object.values(weight).reduce((sum, size) => sum + size, 0);
  const budget = [['main-', 42_000], ['rest-', 18_000], ['style-', 5_000], ['world-', 10_000], ['icons-', 1_500], ['de-', 8_000]];
  for (const [start, most] of budget) {
    console.log(`${start.padEnd(8)} ${of(start)} of ${most} bytes`);
    assert.ok(of(start) > 0 && of(start) <= most, `${start} ${of(start)} > ${most}`);
  }
  console.log(`all      ${all} of 75000 bytes`);
  assert.ok(all <= 75_000, String(all));
});
