// Every line of the page's budgets, measured and printed beside what is allowed: `npm run budgets`. Times are those of a phone's width, at
// the speed of this machine and at a processor slowed four times. Bytes, memory and the layout are held; times are printed.
import { readdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { launch, open, PHONE, shifted } from './browser.mjs';
import { PASSWORD, until, World } from './world.mjs';
import { serve } from '../dev.mjs';

const SLOW = 4;
const rows = [];
let wrong = 0;
/** One figure; `held` ones make the command fail where they are too large. */
function row(what, figures, most, unit, held = false) {
  const isOver = figures.some((one) => one > most);
  if (held && isOver) wrong += 1;
  rows.push([what, ...figures.map((one) => `${Number(one.toFixed(unit === 'ms' ? 0 : unit === '' ? 3 : 1))} ${unit}`.trim()), `${most} ${unit}`.trim(), held ? (isOver ? 'TOO MUCH' : 'held') : isOver ? 'over' : '']);
}

const dist = new URL('../dist/', import.meta.url);
const weight = (start) => readdirSync(dist).filter((name) => name.startsWith(start) && name !== 'manifest')
  .reduce((sum, name) => sum + gzipSync(readFileSync(new URL(name, dist)), { level: 9 }).length, 0) / 1000;
const PARTS = [['main-', 'program, with Preact and English', 42], ['rest-', 'screens that come later', 18], ['style-', 'styles', 5], ['world-', 'map', 10], ['icons-', 'icons', 1.5], ['german-', 'German, with what the server says', 13], ['', 'everything', 75]];
for (const [start, what, most] of PARTS) row(what, [weight(start)], most, 'kB', true);

/** What is noticed from the first byte on: paints, long tasks. */
function watch() {
  window.long = [];
  new PerformanceObserver((list) => { for (const one of list.getEntries()) window.long.push([one.startTime, one.duration]); }).observe({ type: 'longtask', buffered: true });
}
const blocked = (page) => page.evaluate(() => window.long.reduce((sum, [, took]) => sum + Math.max(0, took - 50), 0));
const lastLong = (page) => page.evaluate(() => Math.max(0, ...window.long.map(([start, took]) => start + took)));
const painted = (page) => page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN);

async function slowed(page, rate) {
  const session = await page.context().newCDPSession(page);
  await session.send('Emulation.setCPUThrottlingRate', { rate });
  return session;
}

const world = await new World().start();
const browser = await launch();
// The page as it is on the disk: its bytes on the wire are not those of the program then.
const dev = process.env.UI_FROM_DISK ? await serve(world.url) : undefined;
const url = dev ? `http://127.0.0.1:${dev.address().port}/` : world.url;
try {
  await until('bans', () => /\d/.test(world.client('banned')));
  await world.api('POST', 'setup', { master_password: PASSWORD });

  const login = { paint: [], blocked: [] };
  const overview = { drawn: [], long: [] };
  const turned = [];
  let storage;
  for (const rate of [1, SLOW]) {
    let page = await open(browser, url, { size: PHONE });
    await page.addInitScript(watch);
    await slowed(page, rate);
    const wire = { bytes: 0, count: 0 };
    const session = await page.context().newCDPSession(page);
    await session.send('Network.enable');
    session.on('Network.loadingFinished', ({ encodedDataLength }) => { wire.bytes += encodedDataLength; wire.count += 1; });
    await page.goto(url);
    await page.waitForSelector('input[type=password]');
    await page.waitForTimeout(700);
    login.paint.push(await painted(page));
    login.blocked.push(await blocked(page));
    if (rate === 1) {
      row('first visit to the login, on the wire', [wire.bytes / 1000], 48, 'kB', true);
      row('first visit to the login, requests', [wire.count], 6, '', true);
      wire.bytes = 0;
      const second = await page.context().newPage();
      const later = await page.context().newCDPSession(second);
      await later.send('Network.enable');
      let assets = 0;
      const cached = new Set();
      later.on('Network.requestServedFromCache', ({ requestId }) => cached.add(requestId));
      const kind = new Map();
      later.on('Network.responseReceived', ({ requestId, response }) => kind.set(requestId, response.url));
      later.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => { if (/\.(js|css|svg)$/.test(kind.get(requestId) ?? '') && !cached.has(requestId)) assets += encodedDataLength; });
      await second.goto(url);
      await second.waitForSelector('input[type=password]');
      row('second visit, assets on the wire', [assets / 1000], 0, 'kB', true);
      await second.close();
    }
    await page.fill('input[type=password]', PASSWORD);
    await page.press('input[type=password]', 'Enter');
    await page.waitForSelector('.frame');
    storage = await page.context().storageState();
    await page.context().close();

    page = await open(browser, url, { size: PHONE, storage });
    await page.addInitScript(watch);
    await slowed(page, rate);
    await page.goto(`${url}#/overview`);
    await page.waitForSelector('.numbers dd');
    await page.waitForFunction(() => document.querySelector('tbody tr') && !document.querySelector('.waiting'));
    overview.drawn.push(await page.evaluate(() => performance.now()));
    await page.waitForTimeout(700);
    overview.long.push(await lastLong(page));
    await page.goto(`${url}#/bans`);
    await page.waitForSelector('text=/^1 to/');
    const took = [];
    for (let count = 0; count < 5; count += 1) {
      for (const [key, first] of [['n', 51], ['p', 1]]) {
        took.push(await page.evaluate(([pressed, wanted]) => new Promise((go) => {
          const start = performance.now();
          const look = () => (document.querySelector('.pages .muted')?.textContent.startsWith(`${wanted} to`) || performance.now() - start > 10_000 ? go(performance.now() - start) : requestAnimationFrame(look));
          dispatchEvent(new KeyboardEvent('keydown', { key: pressed }));
          look();
        }), [key, first]));
      }
    }
    turned.push(took.sort((a, b) => a - b)[5]);
    await page.context().close();
  }
  row('login: first paint', login.paint, 1000, 'ms');
  row('login: blocked', login.blocked, 100, 'ms');
  row('overview: all drawn', overview.drawn, 2000, 'ms');
  row('overview: end of the last long task', overview.long, 1500, 'ms');
  row('page turn of a list', turned, 150, 'ms');

  const page = await open(browser, url, { size: PHONE, storage });
  let worst = 0;
  for (const name of ['overview', 'bans', 'jails', 'jails/sshd', 'jails/sshd/edit', 'new-jail', 'defaults', 'address/198.18.0.66', 'history', 'never-ban', 'blocklists', 'notifications', 'filters', 'filters/sshd', 'actions', 'log', 'activity', 'settings', 'access', 'more']) {
    await page.goto('about:blank');
    await page.goto(`${url}#/${name}`);
    await page.waitForSelector('h1');
    await page.waitForFunction(() => !document.querySelector('.waiting'));
    await page.waitForTimeout(400);
    worst = Math.max(worst, await shifted(page));
  }
  row('layout shift, the worst screen', [worst], 0.05, '', true);

  await page.goto(`${url}#/bans`);
  await page.waitForSelector('text=/^1 to/');
  const session = await slowed(page, 1);
  const used = async () => {
    await session.send('HeapProfiler.collectGarbage');
    return (await session.send('Runtime.getHeapUsage')).usedSize / 1e6;
  };
  const turn = async (key, first) => { await page.keyboard.press(key); await page.waitForSelector(`text=/^${first} to/`); };
  for (let count = 0; count < 5; count += 1) { await turn('n', 51); await turn('p', 1); }
  const before = await used();
  for (let count = 0; count < 100; count += 1) { await turn('n', 51); await turn('p', 1); }
  const after = await used();
  row('memory of the page, before', [before], 8, 'MB', true);
  row('memory after 200 page turns', [after], 8, 'MB', true);
  row('growth over 200 page turns', [Math.max(0, after - before)], 0.5, 'MB', true);
} finally {
  await browser.close();
  dev?.close();
  await world.stop();
}
console.log(`${'what'.padEnd(40)} ${'figure'.padStart(9)}  ${`/${SLOW} speed`.padStart(9)}  ${'at most'.padStart(9)}`);
for (const [what, ...cells] of rows) {
  const [first, second, most, state] = cells.length === 4 ? cells : [cells[0], '', cells[1], cells[2]];
  console.log(`${what.padEnd(40)} ${first.padStart(9)}  ${second.padStart(9)}  ${most.padStart(9)}  ${state}`);
}
process.exitCode = wrong ? 1 : 0;
