// The browser of the suite, and what is noticed in every page it opens: errors, requests to elsewhere, shifts of the layout.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
export const WIDE = { width: 1280, height: 800 };
export const PHONE = { width: 360, height: 740 };

export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] });
}

/** A page of its own, in light or dark, wide or as on a phone. What it must never do is collected in `problems`. */
export async function open(browser, url, { size = WIDE, dark = false, locale = 'en', storage } = {}) {
  const context = await browser.newContext({ viewport: size, colorScheme: dark ? 'dark' : 'light', locale, storageState: storage, hasTouch: size === PHONE, reducedMotion: 'reduce' });
  await context.addInitScript(() => {
    window.shifted = 0;
    new PerformanceObserver((list) => { for (const one of list.getEntries()) if (!one.hadRecentInput) window.shifted += one.value; }).observe({ type: 'layout-shift', buffered: true });
  });
  const page = await context.newPage();
  page.problems = [];
  const origin = new URL(url).origin;
  page.on('console', (message) => {
    // A status that is no success is logged by the browser itself; the page says it in its own way.
    if (message.type() === 'error' && !/Failed to load resource: the server responded/.test(message.text())) page.problems.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => page.problems.push(`error: ${error.message}`));
  page.on('request', (request) => { if (!request.url().startsWith(origin) && !/^(blob|data):/.test(request.url())) page.problems.push(`request to ${request.url()}`); });
  /** What is being loaded. */
  page.asked = new Set();
  page.on('request', (request) => page.asked.add(request));
  for (const end of ['requestfinished', 'requestfailed']) page.on(end, (request) => page.asked.delete(request));
  page.on('dialog', (dialog) => { page.problems.push(`dialog: ${dialog.message()}`); void dialog.dismiss(); });
  return page;
}

const ALL_RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
/** What a theme can change: the document is the same in each. */
const OF_COLOURS = { type: 'rule', values: ['color-contrast', 'link-in-text-block'] };

/** What axe finds against WCAG 2.2 AA. It comes by the debugger, which the page's policy does not hold back. */
export async function axe(page, onlyColours = false) {
  const session = await page.context().newCDPSession(page);
  const { result: { value: isThere } } = await session.send('Runtime.evaluate', { expression: "typeof axe === 'object'" });
  if (!isThere) await session.send('Runtime.evaluate', { expression: axeSource });
  const { result } = await session.send('Runtime.evaluate', {
    expression: `axe.run(document, { runOnly: ${JSON.stringify(onlyColours ? OF_COLOURS : ALL_RULES)} }).then((found) => JSON.stringify(found.violations.map((one) => one.id + ': ' + one.nodes.map((node) => node.target.join(' ') + ' ' + (node.any[0]?.message ?? node.failureSummary)).slice(0, 4).join(' | '))))`,
    awaitPromise: true, returnByValue: true,
  });
  await session.detach();
  return JSON.parse(result.value);
}

/** Whether something is wider than the screen. */
export function overflow(page) {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}

/** How far the layout has moved under the eyes of who looks, since it was asked last. */
export function shifted(page) {
  return page.evaluate(() => { const sum = window.shifted; window.shifted = 0; return sum; });
}

/** Everything that the keys reach by Tab, and what of the screen they do not reach. */
export async function unreached(page) {
  await page.evaluate(() => { window.reached = new Set(); document.querySelector('.search input').focus(); });
  const count = await page.evaluate(() => document.querySelectorAll('main a[href], main button, main input, main select, main textarea, main summary').length);
  for (let pressed = 0; pressed < count + 3; pressed += 1) {
    await page.keyboard.press('Tab');
    await page.evaluate(() => window.reached.add(document.activeElement));
  }
  return page.evaluate(() => [...document.querySelectorAll('main a[href], main button, main input, main select, main textarea, main summary')]
    .filter((one) => one.checkVisibility() && !one.disabled && one.tabIndex >= 0 && !window.reached.has(one)).map((one) => one.outerHTML.slice(0, 80)));
}
