// Where the person is: `#/bans?jail=sshd` is the screen `bans` with a filter. Every filter is in the address, so that Back works and a
// link can be sent.
import { store } from './store';

export interface Route {
  path: string[];
  query: Record<string, string>;
}

function read(): Route {
  const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  return { path: path.split('/').filter(Boolean).map(decode), query: Object.fromEntries(new URLSearchParams(query)) };
}

function decode(part: string): string {
  try { return decodeURIComponent(part); } catch { return part; }
}

export const route = store(read());
addEventListener('hashchange', () => route.set(read()));

type Query = Record<string, string | number | undefined>;

export function link(path: string[], query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== '') search.set(name, String(value));
  const text = search.toString();
  return `#/${path.map(encodeURIComponent).join('/')}${text ? `?${text}` : ''}`;
}

export function go(path: string[], query: Query = {}): void {
  location.hash = link(path, query);
}

/** Changes filters of the screen that is shown. Another filter begins at the first page. */
export function filter(query: Query, replace = false): void {
  const now = route.get();
  const first: Query = 'page' in query ? {} : { page: undefined };
  const next = link(now.path, { ...now.query, ...first, ...query });
  if (!replace) {
    location.hash = next;
  } else if (next !== location.hash) {
    history.replaceState(null, '', next);
    route.set(read());
  }
}
