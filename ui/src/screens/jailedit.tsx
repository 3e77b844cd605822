// The usual values of a jail, in people's units. One way only: edit, review, apply; and a way back.
import { useEffect, useState } from 'preact/hooks';
import type { JailConfig, JailConfigUpdate, UseDns } from '../api';
import { duration, parseDuration } from '../format';
import { Area, Check, Choice, Form, Span, Text, useSend } from '../form';
import { t } from '../messages';
import { call, Failure, useGet } from '../request';
import { link, route } from '../router';
import { Show } from '../status';
import { Review } from './review';

interface Values {
  enabled: boolean; filter: string; ban_time: string; find_time: string; max_retry: string; log_paths: string; ignore_ips: string; backend: string; use_dns: string;
  fail_regex: string; ignore_regex: string; date_pattern: string; actions: string; increment: boolean; max_time: string; factor: string;
}
const lines = (list: string[]) => list.join('\n');
const listOf = (text: string) => text.split('\n').map((line) => line.trim()).filter(Boolean);

function valuesOf(jail: JailConfig): Values {
  const longer = jail.bantime_escalation;
  return {
    enabled: jail.enabled, filter: jail.filter ?? '', ban_time: duration(jail.ban_time), find_time: duration(jail.find_time), max_retry: String(jail.max_retry),
    log_paths: lines(jail.log_paths), ignore_ips: lines(jail.ignore_ips), backend: jail.backend, use_dns: jail.use_dns, fail_regex: lines(jail.fail_regex),
    ignore_regex: lines(jail.ignore_regex), date_pattern: jail.date_pattern ?? '', actions: lines(jail.actions),
    increment: longer?.increment ?? false, max_time: longer?.max_time ? duration(longer.max_time) : '', factor: longer?.factor ? String(longer.factor) : '',
  };
}

/** Only what was changed is sent. */
function changesOf(jail: JailConfig, now: Values): JailConfigUpdate {
  const before = valuesOf(jail);
  const changed = (name: keyof Values) => before[name] !== now[name];
  const update: JailConfigUpdate = {};
  if (changed('enabled')) update.enabled = now.enabled;
  if (changed('filter')) update.filter = now.filter;
  if (changed('ban_time')) update.ban_time = parseDuration(now.ban_time);
  if (changed('find_time')) update.find_time = parseDuration(now.find_time);
  if (changed('max_retry')) update.max_retry = Number(now.max_retry);
  if (changed('log_paths')) update.log_paths = listOf(now.log_paths);
  if (changed('ignore_ips')) update.ignore_ips = listOf(now.ignore_ips);
  if (changed('backend')) update.backend = now.backend;
  if (changed('use_dns')) update.use_dns = now.use_dns as UseDns;
  if (changed('fail_regex')) update.fail_regex = listOf(now.fail_regex);
  if (changed('ignore_regex')) update.ignore_regex = listOf(now.ignore_regex);
  if (changed('date_pattern')) update.date_pattern = now.date_pattern || null;
  if (changed('increment') || changed('max_time') || changed('factor')) {
    const old = jail.bantime_escalation;
    update.bantime_escalation = {
      increment: now.increment,
      factor: now.factor ? Number(now.factor) : null,
      max_time: now.max_time ? parseDuration(now.max_time) ?? null : null,
      formula: old?.formula ?? null, multipliers: old?.multipliers ?? null, rnd_time: old?.rnd_time ?? null, overall_jails: old?.overall_jails ?? false,
    };
  }
  return update;
}

/** What somebody who comes back would be banned for: the first five times. */
function preview(ban: string, factor: string, most: string): string {
  const first = parseDuration(ban);
  if (!first || first < 0) return '';
  const limit = most ? parseDuration(most) ?? Infinity : Infinity;
  return [0, 1, 2, 3, 4].map((count) => duration(Math.min(first * 2 ** count * (Number(factor) || 1), limit))).join(', ');
}

export function JailEdit() {
  const name = route.use().path[1]!;
  const jail = useGet('GET /config/jails/{name}', { path: { name } });
  return (
    <>
      <p class="crumb"><a href={link(['jails'])}>{t('jails.title')}</a> / <a href={link(['jails', name])}>{name}</a></p>
      <h1 tabIndex={-1}>{t('edit.title', { name })}</h1>
      <Show of={jail}>{(data) => <Editor jail={data.jail} reload={jail.reload} />}</Show>
    </>
  );
}

function Editor({ jail, reload }: { jail: JailConfig; reload: () => Promise<void> }) {
  const [now, set] = useState(() => valuesOf(jail));
  const [review, setReview] = useState(false);
  const { busy, failure, send } = useSend();
  useEffect(() => set(valuesOf(jail)), [jail]);
  const put = <K extends keyof Values>(name: K) => (value: Values[K]) => set({ ...now, [name]: value });
  const update = changesOf(jail, now);
  const isChanged = Object.keys(update).length > 0;
  const path = { name: jail.name };
  const isWrong = (text: string) => parseDuration(text) === undefined;
  const cannot = isWrong(now.ban_time) || isWrong(now.find_time) || !/^\d+$/.test(now.max_retry) || (now.max_time !== '' && isWrong(now.max_time));
  return (
    <>
      <p class="sentence">{t(jail.has_local_override ? 'edit.local' : 'edit.stock', { file: jail.source_file ?? '–' })}</p>
      {jail.pending_changes.length > 0 && (
        <div class="line">
          <span>{t('edit.pending', { list: jail.pending_changes.join(', ') })}</span>
          <button type="button" onClick={() => send(async () => { await call('POST /config/jails/{name}/commit', { path }); await reload(); })}>{t('edit.keep')}</button>
          <button type="button" onClick={() => send(async () => { await call('POST /config/jails/{name}/rollback', { path }); await reload(); })}>{t('edit.drop')}</button>
        </div>
      )}
      <Form failure={failure} send={() => send(async () => { setReview(true); })}>
        <div class="columns">
          <section>
            <h2>{t('edit.usual')}</h2>
            <Check label={t('edit.enabled')} on={now.enabled} set={put('enabled')} />
            <Text label={t('edit.maxRetry')} value={now.max_retry} set={put('max_retry')} inputMode="numeric" error={/^\d+$/.test(now.max_retry) ? failure?.of('max_retry') : t('edit.number')} />
            <Span label={t('edit.findTime')} value={now.find_time} set={put('find_time')} error={failure?.of('find_time')} />
            <Span label={t('edit.banTime')} value={now.ban_time} set={put('ban_time')} error={failure?.of('ban_time')} />
            <Check label={t('edit.increment')} on={now.increment} set={put('increment')}
              hint={now.increment ? preview(now.ban_time, now.factor, now.max_time) : undefined} />
            {now.increment && <Span label={t('edit.maxTime')} value={now.max_time} set={put('max_time')} />}
          </section>
          <section>
            <h2>{t('edit.reads')}</h2>
            <Text label={t('edit.filter')} value={now.filter} set={put('filter')} error={failure?.of('filter')} />
            <Area label={t('edit.logs')} value={now.log_paths} set={put('log_paths')} rows={2} error={failure?.of('log_paths')} />
            <Choice label={t('jail.backend')} value={now.backend} set={put('backend')}
              options={[...new Set(['auto', 'polling', 'pyinotify', 'systemd', now.backend])].map((one) => [one, one])} />
            <Area label={t('edit.ignore')} value={now.ignore_ips} set={put('ignore_ips')} rows={3} error={failure?.of('ignore_ips')} hint={t('edit.ignoreHint')} />
          </section>
        </div>
        <details>
          <summary>{t('edit.all')}</summary>
          <Area label={t('edit.failregex')} value={now.fail_regex} set={put('fail_regex')} rows={4} error={failure?.of('fail_regex')} />
          <Area label={t('edit.ignoreregex')} value={now.ignore_regex} set={put('ignore_regex')} rows={2} error={failure?.of('ignore_regex')} />
          <Text label={t('edit.datepattern')} value={now.date_pattern} set={put('date_pattern')} error={failure?.of('date_pattern')} />
          <Choice label={t('edit.dns')} value={now.use_dns} set={put('use_dns')} options={['yes', 'warn', 'no', 'raw'].map((one) => [one, one])} />
        </details>
        <div class="buttons sticky">
          <button class="primary" disabled={busy || !isChanged || cannot}>{t('edit.review')}</button>
          <button type="button" disabled={!isChanged} onClick={() => set(valuesOf(jail))}>{t('edit.reset')}</button>
        </div>
      </Form>
      {review && (
        <Review file={`jail.d/zz-bangui-${jail.name}.local`} close={() => setReview(false)} done={reload}
          preview={async () => {
            const answer = await call('PUT /config/jails/{name}', { path, query: { dry_run: true }, body: update });
            if (!('effect' in answer)) throw new Failure(0, '', '');
            return answer;
          }}
          apply={async () => {
            await call('PUT /config/jails/{name}', { path, body: update });
            try {
              await call('POST /config/jails/{name}/commit', { path });
            } catch (error) {
              await call('POST /config/jails/{name}/rollback', { path }).catch(() => undefined);
              throw error;
            }
          }} />
      )}
    </>
  );
}
