// The one way to the API: calls with the types of openapi.json, failures as one class, and the hook that a screen reads with.
//
// A session that has ended does not fail a call: the login comes over the page, and the call is made again after it.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { ErrorMetadata, JobInfo, JobStarted, Operations } from './api';
import { store } from './store';

export type Operation = keyof Operations;
type Wanted<T> = Record<string, never> extends T ? T | undefined : T;
export interface Args<K extends Operation> {
  path?: Operations[K]['path'];
  query?: Partial<Record<keyof Operations[K]['query'], string | number | boolean | undefined>>;
  body?: Wanted<Operations[K]['body']>;
  /** Only for the login itself: an answer 401 is told, not mended. */
  plain?: boolean;
  signal?: AbortSignal;
}

/** An answer that is no success, or none at all (status 0). */
export class Failure extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    readonly metadata: ErrorMetadata = {},
    /** Seconds after which it is worth another try. */
    readonly wait: number = 0,
  ) {
    super(detail);
  }

  /** It may pass by itself: fail2ban is busy, away or starts, or the server does. */
  get passes(): boolean {
    return [0, 429, 502, 503].includes(this.status);
  }

  /** What the server says of one field of a form. */
  of(field: string): string | undefined {
    return this.metadata.errors?.find((one) => one.source_field === field || one.source_field.startsWith(`${field}.`))?.detail;
  }
}

/** Whether the login lies over the page, and how many calls wait for it. */
export const locked = store(false);
let waiting: Array<() => void> = [];

/** The login has succeeded: what waited goes on. */
export function unlock(): void {
  const all = waiting;
  waiting = [];
  locked.set(false);
  for (const go of all) go();
}

function url(what: string, args: { path?: object; query?: object }): string {
  let path = what.slice(what.indexOf(' ') + 2);
  for (const [name, value] of Object.entries(args.path ?? {})) path = path.replace(`{${name}}`, encodeURIComponent(String(value)));
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(args.query ?? {})) if (value !== undefined && value !== '') query.set(name, String(value));
  const text = query.toString();
  return `api/v1/${path}${text ? `?${text}` : ''}`;
}

export function call<K extends Operation>(what: K, args: Args<K> = {}): Promise<Operations[K]['answer']> {
  return ask(what.slice(0, what.indexOf(' ')), url(what, args), args) as Promise<Operations[K]['answer']>;
}

/** Sends a request that the server itself has proposed. */
export function mend({ method, path, body }: { method: string; path: string; body: object | null }): Promise<unknown> {
  if (!path.startsWith('/api/v1/')) throw new Failure(0, '', path);
  return ask(method, path.slice(1), { body: body ?? undefined });
}

async function ask(method: string, to: string, args: { body?: unknown; plain?: boolean; signal?: AbortSignal }): Promise<unknown> {
  const headers: Record<string, string> = {};
  if (method !== 'GET') headers['X-BanGUI-Request'] = '1';
  if (args.body !== undefined) headers['Content-Type'] = 'application/json';
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(to, {
      method,
      headers,
      body: args.body === undefined ? undefined : JSON.stringify(args.body),
      credentials: 'same-origin',
      signal: args.signal,
    });
    text = await answer.text();
  } catch (error) {
    if ((error as Error).name === 'AbortError') throw error;
    throw new Failure(0, 'no_answer', '');
  }
  if (answer.ok) {
    const said = text && (answer.headers.get('content-type') ?? '').includes('json') ? JSON.parse(text) : undefined;
    return answer.status === 202 ? endOf((said as JobStarted).job, args.signal) : said;
  }
  const failure = failed(answer, text);
  if (failure.status === 401 && !args.plain) {
    // A password that was sent along may be what is wrong: the session is a good one then.
    if (args.body !== undefined && await ask('GET', 'api/v1/auth/session', { plain: true }).then(() => true, () => false)) throw failure;
    locked.set(true);
    await new Promise<void>((go) => waiting.push(go));
    return ask(method, to, args);
  }
  throw failure;
}

/** What work that takes longer than a request is allowed to ends with: asked for twice a second until it has ended. */
async function endOf(job: string, signal?: AbortSignal): Promise<never> {
  for (;;) {
    await new Promise((go) => setTimeout(go, 500));
    const now: JobInfo = await call('GET /jobs/{id}', { path: { id: job }, signal });
    if (now.ended_at === null) continue;
    if (now.error) throw new Failure(now.status ?? 0, now.error.code, now.error.detail, now.error.metadata);
    return now.result as never;
  }
}

function failed(answer: Response, text: string): Failure {
  let said: { code?: string; detail?: string; metadata?: ErrorMetadata } = {};
  try { said = JSON.parse(text); } catch { /* A proxy has answered in the server's place. */ }
  const metadata = said.metadata ?? {};
  const wait = metadata.retry_after_seconds ?? Number(answer.headers.get('retry-after') ?? 0);
  return new Failure(answer.status, said.code ?? 'unknown', said.detail ?? `${answer.status} ${answer.statusText}`, metadata, wait);
}

export interface Loaded<T> {
  data: T | undefined;
  failure: Failure | undefined;
  /** When `data` came. */
  at: number;
  loading: boolean;
  reload: () => Promise<void>;
  /** Shows what a change will make of it before the server is asked again. */
  put: (data: T) => void;
}

/**
 * What an operation answers, asked again every `every` seconds while the page is looked at. Without `args` nothing is asked yet.
 * What was there stays when a later try fails.
 */
export function useGet<K extends Operation>(what: K, args: Args<K> | null, every = 0): Loaded<Operations[K]['answer']> {
  type Answer = Operations[K]['answer'];
  const key = args === null ? '' : url(what, args);
  const [state, set] = useState<{ key: string; data?: Answer; text: string; failure?: Failure; at: number; loading: boolean }>(
    { key, text: '', at: 0, loading: true });
  const latest = useRef({ key, args, alive: true });
  latest.current.key = key;
  latest.current.args = args;

  const reload = async () => {
    const { args: now, key: asked } = latest.current;
    if (now === null) return;
    const isCurrent = () => latest.current.alive && latest.current.key === asked;
    try {
      const data = await call(what, now);
      const text = JSON.stringify(data);
      if (isCurrent()) set((old) => ({ key: asked, data: old.text === text && old.data !== undefined ? old.data : data, text, at: Date.now(), loading: false }));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (isCurrent()) set((old) => ({ ...old, key: asked, failure: error, loading: false }));
    }
  };

  useEffect(() => {
    latest.current.alive = true;
    set((old) => ({ ...old, loading: true, failure: undefined }));
    void reload();
    return () => { latest.current.alive = false; };
  }, [key]);

  // What may pass is tried again by itself, as soon as the server says or after five seconds.
  const { failure } = state;
  useEffect(() => {
    const seconds = failure ? (failure.passes ? Math.max(failure.wait, 5) : 0) : every;
    if (!seconds) return undefined;
    let late = false;
    const timer = setInterval(() => {
      if (document.hidden) late = true;
      else void reload();
    }, seconds * 1000);
    const back = () => {
      if (!document.hidden && late) { late = false; void reload(); }
    };
    document.addEventListener('visibilitychange', back);
    return () => { clearInterval(timer); document.removeEventListener('visibilitychange', back); };
  }, [key, failure, every]);

  return {
    data: state.data,
    failure: state.failure,
    at: state.at,
    loading: state.loading || state.key !== key,
    reload,
    put: (data) => set((old) => ({ ...old, data, text: '' })),
  };
}
