// Who is here and what may be done: `GET /meta`, asked at the start and every now and then.
import type { MetaResponse, Scope } from './api';
import { serverZone } from './format';
import { call } from './request';
import { kept, store } from './store';

export const meta = store<MetaResponse | null>(null);

export async function look(): Promise<void> {
  const answer = await call('GET /meta');
  serverZone.set(answer.timezone);
  meta.set(answer);
}

const ROLES = ['viewer', 'operator', 'admin'];
const NEEDED: Partial<Record<Scope, string>> = { bans: 'operator', jails: 'admin', config: 'admin', actions: 'admin' };

/** Who may look at everything: at users and keys, at actions and the settings of jails, which may hold secrets. */
export const isAdmin = (): boolean => meta.get()?.user?.role === 'admin';

/** Whether this person may change what the scope names. What may not be done is not offered. */
export function may(scope: Scope): boolean {
  const now = meta.get();
  if (!now?.user || now.read_only || (scope === 'actions' && !now.action_edit_allowed)) return false;
  return now.user.scopes.includes(scope) && ROLES.indexOf(now.user.role) >= ROLES.indexOf(NEEDED[scope] ?? 'viewer');
}

/** `?embed=1`: another page shows this one inside and has a navigation of its own. */
export const embedded = new URLSearchParams(location.search).get('embed') === '1';

/** When this device looked last, before now; undefined where that was a moment ago, or never. */
export const lastVisit = ((): string | undefined => {
  const seen = kept('seen', '');
  const before = seen.get();
  const note = () => seen.set(new Date().toISOString());
  addEventListener('pagehide', note);
  document.addEventListener('visibilitychange', () => { if (document.hidden) note(); });
  return Date.now() - Date.parse(before) > 600_000 ? before : undefined;
})();
