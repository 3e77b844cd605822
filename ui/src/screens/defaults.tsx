// What holds for every jail that says nothing else: [DEFAULT]. Which jails have something of their own stands below.
import { useEffect, useState } from 'preact/hooks';
import type { JailDefaultsResponse } from '../api';
import { Area, Choice, Form, Text } from '../form';
import { Jail } from '../format';
import { t } from '../messages';
import { call, useGet } from '../request';
import { link } from '../router';
import { may } from '../session';
import { Show } from '../status';
import { Table } from '../table';
import { BACKENDS, cannot, changesOf, RuleFields, valuesOf, type Put } from '../values';
import { dryRun, fieldName, Review, valueOf } from './review';

export function Defaults() {
  const all = useGet('GET /config/default', {});
  return (
    <>
      <p class="crumb"><a href={link(['jails'])}>{t('jails.title')}</a></p>
      <h1 tabIndex={-1}>{t('bans.allJails')}</h1>
      <p class="sentence">{t('defaults.sentence')}</p>
      <Show of={all}>
        {(data) => (
          <>
            {may('config') && <Editor of={data} reload={all.reload} />}
            <h2>{t('defaults.own')}</h2>
            <Table label={t('defaults.own')} rows={data.overrides.slice(0, 200)} id={(one) => `${one.jail} ${one.field}`} empty={<p>{t('defaults.none')}</p>} columns={[
              { title: t('col.jail'), phone: 'main', cell: (one) => <Jail name={one.jail} /> },
              { title: t('defaults.field'), phone: 'sub', cell: (one) => fieldName(one.field) },
              { title: t('defaults.value'), phone: 'side', cell: (one) => valueOf(one.field, one.value) },
              { title: t('defaults.file'), phone: 'subside', cell: (one) => <span class="mono small">{one.file ?? '–'}</span> },
            ]} />
          </>
        )}
      </Show>
    </>
  );
}

function Editor({ of, reload }: { of: JailDefaultsResponse; reload: () => Promise<void> }) {
  const before = valuesOf(of.default);
  const [now, set] = useState(before);
  const [review, setReview] = useState(false);
  useEffect(() => set(valuesOf(of.default)), [of]);
  const put: Put = (name) => (value) => set((old) => ({ ...old, [name]: value }));
  // Which log and which filter is no matter of all jails.
  const { filter: _, log_paths: __, journalmatch: ___, fail_regex: ____, ignore_regex: _____, ...body } = changesOf(before, now);
  const isChanged = Object.keys(body).length > 0;
  return (
    <Form send={() => setReview(true)}>
      <div class="columns">
        <section><h2>{t('edit.usual')}</h2><RuleFields now={now} put={put} /></section>
        <section>
          <h2>{t('defaults.more')}</h2>
          <Area label={t('defaults.ignore')} value={now.ignore_ips} set={put('ignore_ips')} rows={3} hint={t('edit.ignoreHint')} />
          <Choice label={t('jail.backend')} value={now.backend} set={put('backend')} options={[...new Set([...BACKENDS, now.backend])].map((one) => [one, one])} />
          <Choice label={t('edit.dns')} value={now.use_dns} set={put('use_dns')} options={['yes', 'warn', 'no', 'raw'].map((one) => [one, one])} />
          {may('actions') && <Text label={t('edit.banaction')} value={now.banaction} set={put('banaction')} />}
          {may('actions') && <Area label={t('edit.actions')} value={now.actions} set={put('actions')} rows={2} />}
        </section>
      </div>
      <div class="buttons">
        <button class="primary" disabled={!isChanged || cannot(now)}>{t('edit.review')}</button>
        <button type="button" disabled={!isChanged} onClick={() => set(before)}>{t('edit.reset')}</button>
      </div>
      {review && <Review close={() => setReview(false)} done={reload}
        preview={() => dryRun(call('PUT /config/default', { query: { dry_run: true }, body }))}
        apply={() => call('PUT /config/default', { body })} />}
    </Form>
  );
}
