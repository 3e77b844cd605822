// Times, ages, durations, countries and addresses as people read them.
import { locale, t } from './messages';
import { link } from './router';
import { kept, store } from './store';

/** In which zone exact times are shown: of this browser, of the server, or UTC. */
export const zone = kept('zone', 'browser');
export const serverZone = store('UTC');

const STEPS: Array<[number, Intl.RelativeTimeFormatUnit, number]> = [
  [60, 'second', 1], [3600, 'minute', 60], [86_400, 'hour', 3600], [604_800 * 2, 'day', 86_400],
  [86_400 * 60, 'week', 604_800], [86_400 * 730, 'month', 2_629_800], [Infinity, 'year', 31_557_600],
];

/** `2 minutes ago`, `in 3 hours`. */
export function relative(at: number, now = Date.now()): string {
  const seconds = (at - now) / 1000;
  const [, unit, length] = STEPS.find(([most]) => Math.abs(seconds) < most)!;
  const count = Math.trunc(seconds / length);
  if (unit === 'second' && Math.abs(count) < 10) return t(seconds > 0 ? 'time.soon' : 'time.now');
  return new Intl.RelativeTimeFormat(locale(), { numeric: 'always' }).format(count, unit);
}

function zoneName(): string | undefined {
  const chosen = zone.get();
  return chosen === 'browser' ? undefined : chosen === 'server' ? serverZone.get() : 'UTC';
}

export function exact(at: number): string {
  const options: Intl.DateTimeFormatOptions = { dateStyle: 'medium', timeStyle: 'medium', timeZone: zoneName() };
  return new Date(at).toLocaleString(locale(), options);
}

export function clock(at: number): string {
  const today = new Date(at).toDateString() === new Date().toDateString();
  const options: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit', timeZone: zoneName() };
  if (!today) Object.assign(options, { day: 'numeric', month: 'short' });
  return new Date(at).toLocaleString(locale(), options);
}

/** A time, relative; exact where the pointer or the focus is. */
export function Time({ at }: { at: string | null | undefined }) {
  if (!at) return <span class="muted">–</span>;
  const time = Date.parse(at);
  return <time dateTime={at} title={exact(time)}>{relative(time)}<span class="exact" aria-hidden="true">{exact(time)}</span></time>;
}

const UNITS: Array<[string, number]> = [['w', 604_800], ['d', 86_400], ['h', 3600], ['m', 60], ['s', 1]];

/** As fail2ban writes it: `10m`, `1d 12h`. What is below zero is for good. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return '–';
  if (seconds < 0) return t('time.ever');
  if (seconds === 0) return '0s';
  let rest = Math.round(seconds);
  const said: string[] = [];
  for (const [unit, length] of UNITS) {
    const count = Math.floor(rest / length);
    if (unit === 'w' && rest % length !== 0) continue;
    if (count) said.push(`${count}${unit}`);
    rest -= count * length;
    if (said.length === 2) break;
  }
  return said.join(' ');
}

const WORDS: Record<string, Intl.NumberFormatOptions['unit']> = { w: 'week', d: 'day', h: 'hour', m: 'minute', s: 'second' };

/** In words for a sentence: `2 hours`. */
export function durationWords(seconds: number): string {
  if (seconds < 0) return t('time.ever');
  return duration(seconds).split(' ')
    .map((part) => new Intl.NumberFormat(locale(), { style: 'unit', unit: WORDS[part.slice(-1)], unitDisplay: 'long' }).format(parseInt(part, 10)))
    .join(' ');
}

/** `10m`, `2 h`, `1d12h` or seconds, in seconds; undefined where it is none. `-1` and words for it are for good. */
export function parseDuration(text: string): number | undefined {
  const plain = text.trim().toLowerCase();
  if (plain === '-1' || plain === t('time.ever').toLowerCase()) return -1;
  if (/^\d+$/.test(plain)) return Number(plain);
  const SECONDS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800, mo: 2_629_800, y: 31_557_600 };
  let sum = 0;
  const rest = plain.replace(/(\d+(?:\.\d+)?)\s*(mo|[smhdwy])[a-z]*\s*/g, (_, count: string, unit: string) => {
    sum += Number(count) * SECONDS[unit]!;
    return '';
  });
  return rest === '' && plain !== '' ? Math.round(sum) : undefined;
}

const names = new Map<string, Intl.DisplayNames>();
export function country(code: string | null | undefined): string {
  if (!code || !/^[A-Z]{2}$/.test(code)) return t('country.unknown');
  try {
    if (!names.has(locale())) names.set(locale(), new Intl.DisplayNames([locale()], { type: 'region' }));
    return names.get(locale())!.of(code) ?? code;
  } catch {
    return code;
  }
}

export function Address({ ip }: { ip: string }) {
  return <a class="address" href={link(['address', ip])}>{ip}</a>;
}

export function Jail({ name }: { name: string }) {
  return <a href={link(['jails', name])}>{name}</a>;
}

export function JailNames({ of }: { of: string[] }) {
  return <>{of.map((name, index) => <>{index > 0 && ', '}<Jail name={name} /></>)}</>;
}

export function bytes(count: number): string {
  return count < 1e5 ? `${(count / 1000).toFixed(1)} kB` : `${(count / 1e6).toFixed(1)} MB`;
}
