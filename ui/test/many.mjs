// 100 000 bans in the daemon: is every list usable, does the memory stay flat, is no answer above 100 kB? By hand: node test/many.mjs [COUNT]
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { launch, open } from './browser.mjs';
import { PASSWORD, until, World } from './world.mjs';
import { serve } from '../dev.mjs';

const COUNT = Number(process.argv[2] ?? 100_000);
/** The largest answer that a screen may ask for, in bytes before they are packed. */
const MOST = 100_000;

class Many extends World {
  /** A jail without actions, so that nothing but the daemon itself takes time. */
  configure() {
    super.configure();
    appendFileSync(this.at('jail.conf'), `[many]\nenabled = true\nfilter = lab\naction =\nlogpath = ${this.at('nginx.log')}\nbantime = 4w\n`);
    writeFileSync(this.at('auth.log'), readFileSync(this.at('auth.log')));
  }
}

const world = await new Many().start();
const browser = await launch();
// The page as it is on the disk: its bytes on the wire are not those of the program then.
const dev = process.env.UI_FROM_DISK ? await serve(world.url) : undefined;
const url = dev ? `http://127.0.0.1:${dev.address().port}/` : world.url;
let failed = false;
try {
  const address = (index) => `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`;
  const start = Date.now();
  for (let first = 0; first < COUNT; first += 1000) {
    world.client('set', 'many', 'banip', ...Array.from({ length: Math.min(1000, COUNT - first) }, (_, index) => address(first + index)));
  }
  await until('all bans', () => Number(/Currently banned:\s+(\d+)/.exec(world.client('status', 'many'))?.[1]) >= COUNT, 900);
  console.log(`${COUNT} bans after ${((Date.now() - start) / 1000).toFixed(0)} s`);
  await world.api('POST', 'setup', { master_password: PASSWORD });
  let page = await open(browser, url);
  await page.goto(url);
  await page.fill('input[type=password]', PASSWORD);
  await page.press('input[type=password]', 'Enter');
  await page.waitForSelector('.frame');
  await until('the archive', async () => (await world.api('GET', 'history?page_size=1')).pagination.total >= COUNT, 600);

  let largest = [0, ''];
  page.on('response', async (answer) => {
    if (!answer.url().includes('/api/')) return;
    const size = (await answer.body().catch(() => Buffer.alloc(0))).length;
    if (size > largest[0]) largest = [size, answer.url().replace(url, '')];
    if (size > MOST) { failed = true; console.log(`TOO MUCH  ${size} bytes: ${answer.url().replace(url, '')}`); }
  });
  for (const hash of ['overview', 'bans', 'bans?sort=-ip', 'bans?q=10.1.2', 'bans?page=1900', 'jails', 'jails/many', 'history', 'history?by=address', 'history?by=network', 'history?page=1500', 'history?q=10.1.2', `address/${address(4242)}`, 'never-ban', 'log', 'activity', 'filters']) {
    const begin = Date.now();
    await page.goto('about:blank');
    await page.goto(`${url}#/${hash}`);
    await page.waitForSelector('h1');
    // A daemon that is busy with another long list is asked again by the page itself.
    await page.waitForFunction(() => !document.querySelector('.waiting, .dim, .box.bad'), undefined, { timeout: 60_000 }).catch(() => undefined);
    const [failures, nodes] = await page.evaluate(() => [[...document.querySelectorAll('.box.bad')].map((one) => one.textContent), document.querySelectorAll('*').length]);
    if (failures.length > 0) { failed = true; console.log(`FAIL      ${hash}: ${failures}`); }
    console.log(`${String(Date.now() - begin).padStart(6)} ms  ${String(nodes).padStart(5)} elements  ${hash}`);
  }
  await page.context().close();

  page = await open(browser, url, { storage: undefined });
  await page.goto(url);
  await page.fill('input[type=password]', PASSWORD);
  await page.press('input[type=password]', 'Enter');
  await page.waitForSelector('.frame');
  await page.goto(`${url}#/bans`);
  const session = await page.context().newCDPSession(page);
  const used = async () => {
    await session.send('HeapProfiler.collectGarbage');
    return (await session.send('Runtime.getHeapUsage')).usedSize / 1e6;
  };
  const turn = async (to) => { await page.keyboard.press('n'); await page.waitForSelector(`text=/^${(to * 50 + 1).toLocaleString('en')} to/`); };
  await page.waitForSelector('text=/^1 to/');
  for (let count = 1; count <= 10; count += 1) await turn(count);
  const before = await used();
  const begin = Date.now();
  for (let count = 11; count <= 210; count += 1) await turn(count);
  const each = (Date.now() - begin) / 200;
  const after = await used();
  console.log(`200 pages turned, ${each.toFixed(0)} ms each; memory ${before.toFixed(2)} MB before, ${after.toFixed(2)} MB after`);
  console.log(`the largest answer: ${largest[0]} bytes, ${largest[1]}`);
  assert.ok(after < 8 && after - before < 0.5, 'the memory grows');
  assert.deepEqual(page.problems, []);
  await page.context().close();
} finally {
  await browser.close();
  dev?.close();
  await world.stop();
}
process.exitCode = failed ? 1 : 0;
