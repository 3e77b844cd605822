// Pictures of every screen, for people to look at: node test/look.mjs [DIRECTORY]
import { mkdirSync } from 'node:fs';
import { serve } from '../dev.mjs';
import { axe, launch, open, overflow, PHONE, WIDE } from './browser.mjs';
import { PASSWORD, World } from './world.mjs';

const text = (words) => `main button:has-text("${words}"), dialog button:has-text("${words}")`;
const aria = (words) => `[aria-label="${words}"]`;
/** Dialogs: the screen, and what is pressed there. */
const DIALOGS = {
  ban: ['#/bans', 'button.primary'], letall: ['#/bans', text('Let everybody out')], pause: ['#/jails/sshd', text('Pause')], stop: ['#/jails/sshd', text('Stop')], prove: ['#/jails/sshd', text('Prove it')],
  newlist: ['#/blocklists', text('Add a list')], schedule: ['#/blocklists', text('Change when')], newchannel: ['#/notifications', text('Add a channel')],
  channel: ['#/notifications', aria('Change mail')], nochannel: ['#/notifications', aria('Remove mail')], restart: ['#/settings', text('Restart fail2ban')],
  password: ['#/access', text('Change your password')], person: ['#/access', text('Add a person')], change: ['#/access', aria('Change eve')], remove: ['#/access', aria('Remove eve')],
  newkey: ['#/access', text('Make a key')], key: ['#/access', aria('Change homepage')], renew: ['#/access', aria('Renew homepage')], renewed: ['#/access', aria('Renew homepage'), 'dialog button.danger'],
  end: ['#/access', text('End all others')],
};
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
  await world.api('POST', 'users', { name: 'eve', role: 'operator', new_password: PASSWORD });
  await world.api('POST', 'tokens', { name: 'homepage', scopes: ['read', 'metrics'], jails: ['sshd', 'sshd-stubborn'], allowed_ips: ['192.0.2.0/24', '2001:db8::/32'] });
  await world.api('POST', 'tokens', { name: 'grafana-of-the-office', scopes: ['metrics'], expires_at: '2035-01-31T12:00:00Z' });
  const mail = { kind: 'email', name: 'mail', host: '127.0.0.1', port: 9, allow_private: true, security: 'tls', from: 'bangui@example.org', to: ['anna@example.org'], events: ['ban', 'daemon_down'], jails: ['sshd'] };
  await world.api('POST', 'notifications', mail);
  await world.api('POST', 'notifications', { kind: 'webhook', name: 'phone', preset: 'ntfy', url: 'https://ntfy.sh/example', enabled: false, events: ['daemon_down', 'protection_bad', 'digest'] });
  await world.api('POST', 'bans', { ip: '203.0.113.77', jail: 'sshd' });
  await page.waitForTimeout(1500);
  const ip = await page.evaluate(() => document.querySelector('td .address')?.textContent ?? '203.0.113.9');
  const screens = { overview: '#/overview', bans: '#/bans', jails: '#/jails', jail: '#/jails/sshd', edit: '#/jails/sshd/edit', address: `#/address/${ip}`, history: '#/history', never: '#/never-ban',
    lists: '#/blocklists', tell: '#/notifications', filters: '#/filters', filter: '#/filters/sshd', log: '#/log', activity: '#/activity', settings: '#/settings', access: '#/access', failing: '#/bans?tab=failing', more: '#/more' };
  for (const [dress, size, dark] of [['wide', WIDE, false], ['wide-dark', WIDE, true], ['phone', PHONE, false], ['phone-dark', PHONE, true]]) {
    page = await open(browser, url, { size, dark, storage });
    for (const [name, hash] of Object.entries(screens)) {
      if (only && !only.split(',').includes(name)) continue;
      await page.goto(url + hash);
      await page.waitForSelector('h1');
      await page.waitForTimeout(500);
      await shot(page, `${name}-${dress}`);
    }
    for (const [name, [hash, ...buttons]] of Object.entries(DIALOGS)) {
      if (only && !only.split(',').includes(name)) continue;
      await page.goto('about:blank');
      await page.goto(url + hash);
      await page.waitForSelector('h1');
      for (const pressed of buttons) await page.click(pressed);
      await page.waitForSelector('dialog');
      await page.waitForFunction(() => !document.querySelector('dialog .waiting'));
      await shot(page, `${name}-${dress}`);
      await page.evaluate(() => { document.querySelector('dialog').scrollTop = 9999; });
      if (await page.evaluate(() => document.querySelector('dialog').scrollTop > 0)) await shot(page, `${name}-end-${dress}`);
    }
    await page.context().close();
  }
} finally {
  await browser.close();
  dev.close();
  await world.stop();
}
