// A jail of one's own: what it reads, tried at once; how many failures; what it does. Or one that was shipped and is only to be switched on.
import { useEffect, useState } from 'preact/hooks';
import type { FilterTestResponse, JailConfigCreate } from '../api';
import { Area, Choice, Form, Text, useSend } from '../form';
import { t } from '../messages';
import { call, useGet } from '../request';
import { go, link } from '../router';
import { may } from '../session';
import { FailureBox, Show } from '../status';
import { cannot, changesOf, listOf, RuleFields, valuesOf, type Put, type Values } from '../values';
import { dryRun, Review } from './review';

const EMPTY = valuesOf({ enabled: true });

export function JailNew() {
  const shipped = useGet('GET /config/jails', { query: { page: 1, page_size: 100, sort: 'name' } });
  const off = shipped.data?.items.filter((jail) => !jail.enabled && !jail.active) ?? [];
  return (
    <>
      <p class="crumb"><a href={link(['jails'])}>{t('jails.title')}</a></p>
      <h1 tabIndex={-1}>{t('new.title')}</h1>
      <p class="sentence">{t('new.sentence')}</p>
      <Show of={shipped}>
        {() => (off.length > 0 && (
          <form class="inline shipped" onSubmit={(event) => { event.preventDefault(); go(['jails', new FormData(event.currentTarget).get('jail') as string, 'edit']); }}>
            <div class="field">
              <label for="shipped">{t('new.shipped')}</label>
              <select id="shipped" name="jail">{off.map(({ name }) => <option key={name} value={name}>{name}</option>)}</select>
            </div>
            <button>{t('new.look')}</button>
          </form>
        ))}
      </Show>
      <h2>{t('new.own')}</h2>
      <Own />
    </>
  );
}

function Own() {
  const filters = useGet('GET /config/filters', { query: { sort: 'name', page: 1, page_size: 100 } });
  const all = useGet('GET /config/default', {});
  const [name, setName] = useState('');
  const [now, set] = useState(EMPTY);
  const [journal, setJournal] = useState(false);
  const [review, setReview] = useState(false);
  const put: Put = (field) => (value) => set((old) => ({ ...old, [field]: value }));
  const chosen = filters.data?.items.find((one) => one.name === now.filter);
  useEffect(() => { if (chosen?.journalmatch && now.journalmatch === '') put('journalmatch')(chosen.journalmatch); }, [chosen]);
  const common = all.data && valuesOf(all.data.default);
  const note = (field: keyof Values) => (common?.[field] && now[field] === '' ? t('new.asAll', { value: common[field] as string }) : undefined);
  const { log_paths: paths, journalmatch: match, backend: _, ...rest } = changesOf(EMPTY, now);
  const wanted = { ...rest, name: name.trim(), enabled: true, ...(journal ? { backend: 'systemd', journalmatch: match ?? undefined } : { log_paths: paths }) } as JailConfigCreate;
  const isWhole = /^[\w.-]+$/.test(wanted.name) && (now.filter || now.fail_regex.trim()) && (journal || (paths?.length ?? 0) > 0);
  return (
    <Form send={() => setReview(true)}>
      <div class="columns">
        <section>
          <h3>{t('edit.reads')}</h3>
          <Text label={t('lists.name')} value={name} set={setName} hint={t('new.nameHint')} />
          <Choice label={t('col.filter')} value={now.filter} set={put('filter')}
            options={[['', t('new.noFilter')], ...(filters.data?.items ?? []).map((one): [string, string] => [one.name, one.name])]} />
          {now.filter === '' && <Area label={t('edit.failregex')} value={now.fail_regex} set={put('fail_regex')} rows={3} hint={t('filters.host')} />}
          <div class="field segments" role="group" aria-label={t('edit.reads')}>
            <button type="button" aria-pressed={!journal} onClick={() => setJournal(false)}>{t('new.files')}</button>
            <button type="button" aria-pressed={journal} onClick={() => setJournal(true)}>{t('jail.journal')}</button>
          </div>
          {journal
            ? <Text label={t('edit.journal')} value={now.journalmatch} set={put('journalmatch')} placeholder="_SYSTEMD_UNIT=sshd.service" />
            : <Area label={t('edit.logs')} value={now.log_paths} set={put('log_paths')} rows={2} />}
          {!journal && <Tried filter={now.filter} expressions={listOf(now.fail_regex)} log={listOf(now.log_paths)[0] ?? ''} />}
        </section>
        <section>
          <h3>{t('edit.usual')}</h3>
          <RuleFields now={now} put={put} note={note} />
          {may('actions') && (
            <details>
              <summary>{t('new.does')}</summary>
              <Text label={t('edit.port')} value={now.port} set={put('port')} hint={t('new.portHint')} />
              <Text label={t('edit.banaction')} value={now.banaction} set={put('banaction')} hint={note('banaction')} />
              <Area label={t('edit.actions')} value={now.actions} set={put('actions')} rows={2} hint={note('actions')} />
            </details>
          )}
        </section>
      </div>
      <div class="buttons sticky"><button class="primary" disabled={!isWhole || cannot(now)}>{t('new.review')}</button></div>
      {review && <Review close={() => setReview(false)} done={async () => go(['jails', wanted.name])}
        preview={() => dryRun(call('POST /config/jails', { query: { dry_run: true }, body: wanted }))}
        apply={() => call('POST /config/jails', { body: wanted })} />}
    </Form>
  );
}

/** Whether the end of the log has what the filter looks for, before the jail is there. */
function Tried({ filter, expressions, log }: { filter: string; expressions: string[]; log: string }) {
  const [found, setFound] = useState<FilterTestResponse | { matched_count: number; total_lines: number; hint?: undefined }>();
  const { busy, failure, send } = useSend();
  useEffect(() => setFound(undefined), [filter, log, expressions.join('\n')]);
  return (
    <>
      <button type="button" disabled={busy || !log || (!filter && expressions.length === 0)} onClick={() => send(async () => {
        setFound(filter
          ? await call('POST /config/filters/{name}/test', { path: { name: filter }, body: { log_path: log, num_lines: 200 } })
          : await call('POST /config/preview-log', { body: { log_path: log, fail_regex: expressions[0]!, num_lines: 200 } }));
      })}>{t('new.try')}</button>
      <div role="status">
        {found && <p><strong>{t('filters.matched', { n: found.matched_count, of: found.total_lines })}</strong> {found.hint}</p>}
      </div>
      {failure && <FailureBox failure={failure} />}
    </>
  );
}
