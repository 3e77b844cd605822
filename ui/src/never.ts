// Who is never banned: the one place that writes it.
import { call } from './request';

export interface NeverBanBody { entry: string; note?: string }

export async function addNeverBan({ entry }: NeverBanBody): Promise<void> {
  const { items } = await call('GET /jails');
  for (const jail of items.filter((one) => one.running)) await call('POST /jails/{name}/ignoreip', { path: { name: jail.name }, body: { ip: entry } });
}
