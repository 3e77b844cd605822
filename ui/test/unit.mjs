// What can be seen without a browser: the messages, the source's own rules, and the weight of what is served.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import * as esbuild from 'esbuild';

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

/** What a source file of the page exports. */
async function load(code) {
  const { outputFiles } = await esbuild.build({ stdin: { contents: code, resolveDir: join(ui, 'src'), loader: 'ts' }, bundle: true, format: 'esm', write: false });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);
}

test('the map is packed and read back', async () => {
  const { paths, places, shapes, dots } = await load("export * from './map/unpack'; export * from './map/world';");
  assert.deepEqual(paths("AE-)&,C!HT|-2,;%a1E"), [['AE', 'M652,169l-1 -1 -5 7 z'], ['-2', 'M589,139l-3 -1 -1 1 z']]);
  const all = new Map(paths(shapes));
  assert.equal(all.size, 180);
  for (const [code, path] of all) assert.match(path, /^(M\d+,\d+l(-?\d+ -?\d+ ){2,}z)+$/, code);
  const known = new Set([...all.keys(), ...new Map(places(dots)).keys()].filter((code) => !code.startsWith('-')));
  // Every code of ISO 3166, and Kosovo.
  assert.equal(known.size, 250);
});

/** What its checks are made of, and what else of it is said here. */
const CHECKS = ['protection/checks', 'protection/watching', 'protection/in_force', 'protection/reached', 'protection/report', 'protection/prove', 'protection/words'];
const OTHERS = ['apply/run', 'apply/steps', 'apply/preview', 'services/changes', 'fail2ban/client/wire', 'app/failing_look'];

/** The sentences of the server's sources, with an X for what differs. */
function sentencesOfTheServer(names) {
  return names.flatMap((name) => {
    const [code] = readFileSync(join(ui, '../src', `${name}.rs`), 'utf8').split('#[cfg(test)]');
    const texts = code.replace(/^\s*\/\/.*$/gm, '').replace(/\\\n\s*/g, '').matchAll(/"((?:[^"\\]|\\.)*)"/g);
    const put = [['X X a failure', 'X is a failure'], ['X banned by', 'X is banned by'], ['watchingX.', 'watching.']];
    const whole = (text) => put.reduce((now, [part, words]) => now.replace(part, words), text.replace(/\{\w*\}/g, 'X'));
    return [...texts].map(([, text]) => whole(text)).filter((text) => / .*[.:]$/.test(text));
  });
}

test('what the server finds is said in every language, and what it names stays in the sentence', async () => {
  const { hear, said, german } = await load("export { hear, said } from './said'; export * as german from './said-de';");
  assert.equal(said('sshd runs.'), 'sshd runs.');
  hear(german);
  const all = sentencesOfTheServer(CHECKS);
  assert.ok(all.length > 60, `${all.length}`);
  assert.deepEqual(all.filter((text) => said(text) === text), []);
  for (const [theirs, ours] of [
    ['sshd watches /a.log and /b.log, but there is no such file.', 'sshd überwacht /a.log und /b.log, aber diese Datei gibt es nicht.'],
    ['sshd has seen no new log line for 9 days.', 'sshd wartet schon 9 Tage auf eine neue Logzeile.'],
    ['1 of the last 478 lines is a failure.', 'Fehlversuche in den letzten 478 Zeilen: 1.'],
    ['Its actions are loaded: a, b and 3 more.', 'Seine Aktionen sind geladen: a, b und 3 weitere.'],
    ['The packet filter keeps out the 10 banned addresses of 40 that were looked for.', 'Der Paketfilter hält ab, wonach gesucht wurde: 10 gesperrte Adressen von 40.'],
    ['Not protected: sshd and 2 other jails.', 'Nicht geschützt: sshd und 2 weitere Jails.'],
    ['Protected. 2 of 2 jails are watching, and nobody is banned.', 'Geschützt. 2 von 2 Jails wachen, und niemand ist gesperrt.'],
    ['What nobody knows yet.', 'What nobody knows yet.'],
  ]) assert.equal(said(theirs), ours);
  const known = [...all, ...sentencesOfTheServer(OTHERS)];
  const unused = german.sentences.trim().split('\n').map((line) => line.split(' | ')[0]).filter((start) => {
    const pattern = new RegExp(`^${start.replace(/[.()?]/g, '\\$&').replace(/\*/g, '.+')}$`);
    return !known.some((text) => pattern.test(text)) && !/^(Protected|Probably|Not protected|fail2ban cannot be reached|\* of the last|\* (is|are) banned by|The packet filter keeps)/.test(start);
  });
  assert.deepEqual(unused, [], 'the server does not say these any more');
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
  const budget = [['main-', 42_000], ['rest-', 18_000], ['style-', 5_000], ['world-', 10_000], ['icons-', 1_500], ['german-', 13_000]];
  for (const [start, most] of budget) {
    console.log(`${start.padEnd(8)} ${of(start)} of ${most} bytes`);
    assert.ok(of(start) > 0 && of(start) <= most, `${start} ${of(start)} > ${most}`);
  }
  console.log(`all      ${all} of 75000 bytes`);
  assert.ok(all <= 75_000, String(all));
});
