// The values of a jail as a form holds them: text, in people's units. The same fields serve one jail, a new one, and what holds for all.
import type { ComponentChildren } from 'preact';
import type { JailConfig, JailConfigUpdate, JailDefaults, UseDns } from './api';
import { duration, parseDuration } from './format';
import { Check, Span, Text } from './form';
import { t } from './messages';
import type { Failure } from './request';

export interface Values {
  enabled: boolean; filter: string; ban_time: string; find_time: string; max_retry: string; log_paths: string; ignore_ips: string; backend: string; use_dns: string;
  fail_regex: string; ignore_regex: string; date_pattern: string; actions: string; banaction: string; port: string; journalmatch: string;
  increment: boolean; max_time: string; factor: string;
}

export const BACKENDS = ['auto', 'polling', 'pyinotify', 'systemd'];
const lines = (list: string[] | undefined) => (list ?? []).join('\n');
export const listOf = (text: string) => text.split('\n').map((line) => line.trim()).filter(Boolean);

export function valuesOf(jail: Partial<JailConfig> | JailDefaults): Values {
  const one = jail as Partial<JailConfig>;
  const longer = one.bantime_escalation;
  const span = (seconds: number | undefined) => (seconds === undefined ? '' : duration(seconds));
  return {
    enabled: one.enabled ?? false, filter: one.filter ?? '', ban_time: span(one.ban_time), find_time: span(one.find_time), max_retry: String(one.max_retry ?? ''),
    log_paths: lines(one.log_paths), ignore_ips: lines(one.ignore_ips), backend: one.backend ?? '', use_dns: one.use_dns ?? '', fail_regex: lines(one.fail_regex),
    ignore_regex: lines(one.ignore_regex), date_pattern: one.date_pattern ?? '', actions: lines(one.actions), banaction: one.banaction ?? '', port: one.port ?? '',
    journalmatch: one.journalmatch ?? '', increment: longer?.increment ?? false, max_time: longer?.max_time ? duration(longer.max_time) : '', factor: longer?.factor ? String(longer.factor) : '',
  };
}

type Update = Pick<JailConfigUpdate, 'enabled' | 'filter' | 'ban_time' | 'find_time' | 'max_retry' | 'log_paths' | 'ignore_ips' | 'backend' | 'use_dns' | 'fail_regex' | 'ignore_regex'
  | 'date_pattern' | 'actions' | 'banaction' | 'port' | 'journalmatch' | 'bantime_escalation'>;

/** As it is to stand in a file: `3h` where that says it all. */
function spanOf(text: string): number | string | undefined {
  const seconds = parseDuration(text);
  if (seconds === undefined || seconds <= 0) return seconds;
  const short = duration(seconds);
  return parseDuration(short) === seconds ? short.replace(' ', '') : seconds;
}

/** Only what was changed is sent. */
export function changesOf(before: Values, now: Values): Update {
  const changed = (name: keyof Values) => before[name] !== now[name];
  const update: Update = {};
  for (const name of ['ban_time', 'find_time'] as const) if (changed(name)) update[name] = spanOf(now[name]);
  for (const name of ['log_paths', 'ignore_ips', 'fail_regex', 'ignore_regex', 'actions'] as const) if (changed(name)) update[name] = listOf(now[name]);
  for (const name of ['filter', 'backend'] as const) if (changed(name)) update[name] = now[name];
  for (const name of ['date_pattern', 'banaction', 'port', 'journalmatch'] as const) if (changed(name)) update[name] = now[name] || null;
  if (changed('enabled')) update.enabled = now.enabled;
  if (changed('max_retry')) update.max_retry = Number(now.max_retry);
  if (changed('use_dns')) update.use_dns = now.use_dns as UseDns;
  const longer: NonNullable<Update['bantime_escalation']> = {};
  if (changed('increment')) longer.increment = now.increment;
  if (changed('factor')) longer.factor = now.factor ? Number(now.factor) : null;
  if (changed('max_time')) longer.max_time = now.max_time ? spanOf(now.max_time) ?? null : null;
  if (Object.keys(longer).length > 0) update.bantime_escalation = longer;
  return update;
}

const isWrong = (text: string) => text !== '' && parseDuration(text) === undefined;

/** Whether something cannot be sent as it stands; what it is is said at the field. */
export function cannot(now: Values): boolean {
  return [now.ban_time, now.find_time, now.max_time].some(isWrong) || !/^\d*$/.test(now.max_retry);
}

/** What somebody who comes back would be banned for: the first five times. */
function preview(ban: string, factor: string, most: string): string {
  const first = parseDuration(ban);
  if (!first || first < 0) return '';
  const limit = most ? parseDuration(most) ?? Infinity : Infinity;
  return [0, 1, 2, 3, 4].map((count) => duration(Math.min(first * 2 ** count * (Number(factor) || 1), limit))).join(', ');
}

export type Put = <K extends keyof Values>(name: K) => (value: Values[K]) => void;
interface RuleProps {
  now: Values;
  put: Put;
  failure?: Failure;
  /** What is said below a field: where its value comes from. */
  note?: (field: keyof Values) => ComponentChildren;
}

/** How many failures within which time lead to a ban of which length. */
export function RuleFields({ now, put, failure, note }: RuleProps) {
  return (
    <>
      <Text label={t('edit.maxRetry')} value={now.max_retry} set={put('max_retry')} inputMode="numeric" hint={note?.('max_retry')}
        error={/^\d*$/.test(now.max_retry) ? failure?.of('max_retry') : t('edit.number')} />
      <Span label={t('edit.findTime')} value={now.find_time} set={put('find_time')} error={failure?.of('find_time')} hint={note?.('find_time')} />
      <Span label={t('edit.banTime')} value={now.ban_time} set={put('ban_time')} error={failure?.of('ban_time')} hint={note?.('ban_time')} />
      <Check label={t('edit.increment')} on={now.increment} set={put('increment')} hint={now.increment ? preview(now.ban_time, now.factor, now.max_time) : undefined} />
      {now.increment && <Span label={t('edit.maxTime')} value={now.max_time} set={put('max_time')} />}
    </>
  );
}
