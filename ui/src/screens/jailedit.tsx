// The values of a jail, in people's units. One way only: edit, review, apply; and a way back.
import { useEffect, useState } from 'preact/hooks';
import type { JailConfig, JailConfigUpdate, JailDefaults, JailOverride } from '../api';
import { Area, Check, Choice, Form, Text, useSend } from '../form';
import { t } from '../messages';
import { call, useGet } from '../request';
import { link, route } from '../router';
import { may } from '../session';
import { Show, Waiting } from '../status';
import { BACKENDS, cannot, changesOf, RuleFields, valuesOf, type Put, type Values } from '../values';
import { dryRun, Review } from './review';

export function JailEdit() {
  const name = route.use().path[1]!;
  const jail = useGet('GET /config/jails/{name}', { path: { name } });
  const all = useGet('GET /config/default', {});
  return (
    <>
      <p class="crumb"><a href={link(['jails'])}>{t('jails.title')}</a> / <a href={link(['jails', name])}>{name}</a></p>
      <h1 tabIndex={-1}>{t('edit.title', { name })}</h1>
      {jail.data && !all.data && !all.failure ? <Waiting /> : <Show of={jail}>{(data) => <Editor jail={data.jail} all={all.data?.default} own={all.data?.overrides.filter((one) => one.jail === name) ?? []} reload={async () => { await Promise.all([jail.reload(), all.reload()]); }} />}</Show>}
    </>
  );
}

interface EditorProps {
  jail: JailConfig;
  /** What holds for all jails, and what this one has instead. */
  all?: JailDefaults;
  own: JailOverride[];
  reload: () => Promise<void>;
}

function Editor({ jail, all, own, reload }: EditorProps) {
  const before = valuesOf(jail);
  const [now, set] = useState(before);
  const [review, setReview] = useState<JailConfigUpdate>();
  const { busy, failure, send } = useSend();
  useEffect(() => set(valuesOf(jail)), [jail]);
  const put: Put = (name) => (value) => set((old) => ({ ...old, [name]: value }));
  const update = changesOf(before, now);
  const isChanged = Object.keys(update).length > 0;
  const path = { name: jail.name };
  const file = `jail.d/zz-bangui-${jail.name}.local`;
  /** Where a value comes from; what was written from here can be put back, one value at a time. */
  const note = (field: keyof Values) => {
    const mine = own.find((one) => one.field === field);
    const common = all && (valuesOf(all)[field] as string).replace(/\n/g, ', ');
    if (!mine) return common ? t('edit.asAll') : undefined;
    return (
      <>{t('edit.ownValue', { file: mine.file ?? '–', all: common || t('review.nothing') })}
        {mine.file === file && <> <button type="button" class="linklike" onClick={() => setReview({ [field]: null })}>{t('edit.putBack')}</button></>}</>
    );
  };
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
      <Form failure={failure} send={() => setReview(update)}>
        <div class="columns">
          <section>
            <h2>{t('edit.usual')}</h2>
            <Check label={t('edit.enabled')} on={now.enabled} set={put('enabled')} />
            <RuleFields now={now} put={put} failure={failure} note={note} />
          </section>
          <section>
            <h2>{t('edit.reads')}</h2>
            <Text label={t('col.filter')} value={now.filter} set={put('filter')} error={failure?.of('filter')} />
            <Area label={t('edit.logs')} value={now.log_paths} set={put('log_paths')} rows={2} error={failure?.of('log_paths')} />
            <Choice label={t('jail.backend')} value={now.backend} set={put('backend')} options={[...new Set([...BACKENDS, now.backend])].map((one) => [one, one])} hint={note('backend')} />
            {/^(systemd|auto)/.test(now.backend) && <Text label={t('edit.journal')} value={now.journalmatch} set={put('journalmatch')} />}
            <Area label={t('edit.ignore')} value={now.ignore_ips} set={put('ignore_ips')} rows={3} error={failure?.of('ignore_ips')} hint={note('ignore_ips') ?? t('edit.ignoreHint')} />
          </section>
        </div>
        <details>
          <summary>{t('edit.all')}</summary>
          <Area label={t('edit.failregex')} value={now.fail_regex} set={put('fail_regex')} rows={4} error={failure?.of('fail_regex')} />
          <Area label={t('edit.ignoreregex')} value={now.ignore_regex} set={put('ignore_regex')} rows={2} error={failure?.of('ignore_regex')} />
          <Text label={t('edit.datepattern')} value={now.date_pattern} set={put('date_pattern')} error={failure?.of('date_pattern')} />
          <Choice label={t('edit.dns')} value={now.use_dns} set={put('use_dns')} options={['yes', 'warn', 'no', 'raw'].map((one) => [one, one])} hint={note('use_dns')} />
          {may('actions') && <>
            <Text label={t('edit.port')} value={now.port} set={put('port')} hint={note('port')} />
            <Text label={t('edit.banaction')} value={now.banaction} set={put('banaction')} hint={note('banaction')} />
            <Area label={t('edit.actions')} value={now.actions} set={put('actions')} rows={2} hint={note('actions')} />
          </>}
        </details>
        <div class="buttons sticky">
          <button class="primary" disabled={busy || !isChanged || cannot(now)}>{t('edit.review')}</button>
          <button type="button" disabled={!isChanged} onClick={() => set(before)}>{t('edit.reset')}</button>
        </div>
      </Form>
      {review && (
        <Review close={() => setReview(undefined)} done={reload}
          preview={() => dryRun(call('PUT /config/jails/{name}', { path, query: { dry_run: true }, body: review }))}
          apply={async () => {
            await call('PUT /config/jails/{name}', { path, body: review });
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
