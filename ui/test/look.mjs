// Pictures of every screen, for people to look at: node test/look.mjs [DIRECTORY]
import { mkdirSync } from 'node:fs';
import { serve } from '../dev.mjs';
import { axe, launch, open, overflow, PHONE, WIDE } from './browser.mjs';
import { PASSWORD, World } from './world.mjs';

const to = process.argv[2] ?? 'test/shots';
const only = process.argv[3];
mkdirSync(to, { recursive: true });
const world = await new World().start();
const browser = await launch();
const dev = await serve(world.url);
const url = `http://127.0.0.1:${dev.address().port}/`;
try {
  const shot = async (page, name) => {
    await page.waitForTimeout(400);
    await page.screenshot({ path: `${to}/${name}.png`, fullPage: false });
    const wide = await overflow(page);
    const found = await axe(page);
    for (const one of found) console.log(`${name}: axe ${one}`);
    if (wide > 0) console.log(`${name}: ${wide} px too wide`);
    for (const one of page.problems.splice(0)) console.log(`${name}: ${one}`);
  };
  let page = await open(browser, url, {});
  await page.goto(url);
  await page.waitForSelector('h1');
  await shot(page, 'setup-wide');
  await world.api('POST', 'setup', { master_password: PASSWORD });
  await page.goto(url);
  await page.reload();
  await page.waitForSelector('input[type=password]');
  await shot(page, 'login-wide');
  await page.fill('input[type=password]', PASSWORD);
  await page.press('input[type=password]', 'Enter');
  await page.waitForSelector('.frame');
  const storage = await page.context().storageState();
  await page.waitForTimeout(1500);
  const ip = await page.evaluate(() => document.querySelector('td .address')?.textContent ?? '203.0.113.9');
  const screens = { overview: '#/overview', bans: '#/bans', jails: '#/jails', jail: '#/jails/sshd', edit: '#/jails/sshd/edit', address: `#/address/${ip}`, history: '#/history', never: '#/never-ban',
    lists: '#/blocklists', tell: '#/notifications', filters: '#/filters', filter: '#/filters/sshd', log: '#/log', activity: '#/activity', settings: '#/settings', more: '#/more' };
  for (const [size, dark] of [[WIDE, false], [PHONE, true]]) {
    page = await open(browser, url, { size, dark, storage });
    for (const [name, hash] of Object.entries(screens)) {
      if (only && !only.split(',').includes(name)) continue;
      await page.goto(url + hash);
      await page.waitForSelector('h1');
      await page.waitForTimeout(500);
      await shot(page, `${name}-${size === WIDE ? 'wide' : 'phone'}`);
    }
    if (!only || only.includes('ban')) {
      await page.goto(`${url}#/bans`);
      await page.click('button.primary');
      await page.waitForSelector('dialog');
      await shot(page, `bandialog-${size === WIDE ? 'wide' : 'phone'}`);
    }
  }
} finally {
  await browser.close();
  dev.close();
  await world.stop();
}
