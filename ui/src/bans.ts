// Letting out and banning again, one address or many.
import type { ActiveBan } from './api';
import { call } from './request';

type Held = Pick<ActiveBan, 'ip' | 'jail'> & Partial<ActiveBan>;

export async function releaseMany(bans: Held[]): Promise<void> {
  if (bans.length === 1) {
    const { ip, jail } = bans[0]!;
    await call('DELETE /bans', { body: { ip, jail } });
    return;
  }
  for (const jail of new Set(bans.map((ban) => ban.jail))) {
    await call('POST /bans/bulk/remove', { body: { jail, ips: bans.filter((ban) => ban.jail === jail).map((ban) => ban.ip) } });
  }
}

/** Takes a release back: the same jail, to the same end. */
export async function banAgain(bans: Held[]): Promise<void> {
  for (const { ip, jail, expires_at: until, note, own_end: own } of bans) {
    const left = until ? Math.round((Date.parse(until) - Date.now()) / 1000) : own ? -1 : undefined;
    if (left !== undefined && left === 0) continue;
    await call('POST /bans', { body: { ip, jail, force: true, note: note ?? undefined, duration: left } });
  }
}
