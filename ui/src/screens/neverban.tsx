// Who is safe, and why?
import { useState } from 'preact/hooks';
import type { NeverBan as Entry } from '../api';
import { JailNames, parseDuration, Time } from '../format';
import { Form, Span, Text, useSend } from '../form';
import { Icon } from '../icons';
import { t } from '../messages';
import { addNeverBan } from '../never';
import { call, useGet } from '../request';
import { route } from '../router';
import { may, meta } from '../session';
import { attempt, say, Show, Verdict } from '../status';
import { Table } from '../table';

export function NeverBan() {
  const { query } = route.use();
  const list = useGet('GET /never-ban', { query: { page: query.page ?? 1, page_size: 50, q: query.q } }, 30);
  const own = meta.use()!.client;
  const ownEntries = useGet('GET /never-ban', own.address ? { query: { q: own.address } } : null);
  const reload = async () => { await Promise.all([list.reload(), ownEntries.reload()]); };
  const remove = (row: Entry) => attempt(async () => {
    await call('DELETE /never-ban/{id}', { path: { id: String(row.id) } });
    await reload();
    say(t('jail.ignoreGone', { ip: row.entry }), async () => {
      await addNeverBan({ entry: row.entry, note: row.note, jails: row.jails, until: row.until });
      await reload();
    });
  });
  const isElsewhere = own.address && !own.is_proxy && own.address !== '127.0.0.1' && own.address !== '::1';
  const ownMissing = isElsewhere && ownEntries.data && !ownEntries.data.items.some((one) => one.entry === own.address);
  return (
    <>
      <h1 tabIndex={-1}>{t('never.title')}</h1>
      <p class="sentence">{list.data ? t('never.sentence', { n: list.data.pagination.total }) : ' '}</p>
      {ownMissing && may('bans') && (
        <div class="line"><span>{t('never.ownMissing', { ip: own.address! })}</span>
          <button type="button" onClick={() => attempt(async () => { await addNeverBan({ entry: own.address! }); await reload(); })}>{t('never.addOwn')}</button></div>
      )}
      {may('bans') && <Add reload={reload} />}
      <Show of={list}>
        {(data) => (
          <>
            {data.problem && <Verdict level="warn"><p>{data.problem}</p></Verdict>}
            <Table label={t('never.title')} rows={data.items} id={(row) => `${row.id} ${row.entry} ${row.source?.file} ${row.source?.line}`} pagination={data.pagination} empty={<p>{t('never.none')}</p>} columns={[
              { title: t('never.entry'), phone: 'main', cell: (row) => <><span class="address">{row.entry}</span>{!row.in_force && <span class="tag">{t('never.waits')}</span>}</> },
              { title: t('jails.title'), phone: 'sub', cell: (row) => (row.jails.length === 0 ? t('never.everywhere') : <JailNames of={row.jails} />) },
              { title: t('col.note'), phone: 'none', cell: (row) => row.note || (row.source ? <span class="mono small">{row.source.file}:{row.source.line}</span> : <span class="muted">–</span>) },
              { title: t('col.until'), phone: 'subside', cell: (row) => (row.until ? <Time at={row.until} /> : t('time.ever')) },
              { title: t('activity.who'), phone: 'none', cell: (row) => row.actor?.name ?? <span class="muted">–</span> },
              ...(may('bans') ? [{ title: t('col.do'), right: true, phone: 'side' as const, cell: (row: Entry) => row.id !== null
                && <button type="button" class="plain" aria-label={t('jail.ignoreRemove', { ip: row.entry })} onClick={() => remove(row)}><Icon name="close" /></button> }] : []),
            ]} />
          </>
        )}
      </Show>
    </>
  );
}

function Add({ reload }: { reload: () => Promise<void> }) {
  const [entry, setEntry] = useState('');
  const [note, setNote] = useState('');
  const [span, setSpan] = useState('');
  const { busy, failure, send } = useSend();
  return (
    <Form failure={failure} fields={['entry', 'note', 'duration']} send={() => send(async () => {
      await addNeverBan({ entry: entry.trim(), ...(note ? { note } : {}), ...(span ? { duration: parseDuration(span) } : {}) });
      setEntry('');
      setNote('');
      setSpan('');
      await reload();
    })}>
      <div class="inline three">
        <Text label={t('jail.ignoreAdd')} value={entry} set={setEntry} error={failure?.of('entry')} />
        <Text label={t('col.note')} value={note} set={setNote} error={failure?.of('note')} maxLength={200} />
        <Span label={t('never.for')} value={span} set={setSpan} error={failure?.of('duration')} />
        <button class="primary" disabled={busy || !entry.trim() || (span !== '' && parseDuration(span) === undefined)}>{t('action.add')}</button>
      </div>
    </Form>
  );
}
