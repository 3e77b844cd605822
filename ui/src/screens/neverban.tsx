// Who is safe?
import { useEffect, useState } from 'preact/hooks';
import { Jail } from '../format';
import { Form, Text, useSend } from '../form';
import { Icon } from '../icons';
import { t } from '../messages';
import { addNeverBan } from '../never';
import { call, Failure } from '../request';
import { may, meta } from '../session';
import { attempt, FailureBox, say, Waiting } from '../status';
import { Table } from '../table';

interface Entry { entry: string; jails: string[] }

export function NeverBan() {
  const [entries, setEntries] = useState<Entry[]>();
  const [total, setTotal] = useState(0);
  const [failed, setFailed] = useState<Failure>();
  const [text, setText] = useState('');
  const { busy, failure, send } = useSend();
  const own = meta.use()?.client;
  const load = async () => {
    try {
      const { items } = await call('GET /jails');
      const running = items.filter((jail) => jail.running);
      const lists = await Promise.all(running.map(async ({ name }) => ({ name, list: await call('GET /jails/{name}/ignoreip', { path: { name } }) })));
      const found = new Map<string, string[]>();
      for (const { name, list } of lists) for (const entry of list.items) found.set(entry, [...(found.get(entry) ?? []), name]);
      setTotal(running.length);
      setEntries([...found].map(([entry, jails]) => ({ entry, jails })));
      setFailed(undefined);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      setFailed(error);
    }
  };
  useEffect(() => { void load(); }, []);
  const remove = (row: Entry) => attempt(async () => {
    for (const name of row.jails) await call('DELETE /jails/{name}/ignoreip', { path: { name }, body: { ip: row.entry } });
    await load();
    say(t('jail.ignoreGone', { ip: row.entry }), async () => {
      for (const name of row.jails) await call('POST /jails/{name}/ignoreip', { path: { name }, body: { ip: row.entry } });
      await load();
    });
  });
  const ownMissing = own?.address && !own.is_proxy && entries && own.address !== '127.0.0.1' && own.address !== '::1' && !entries.some((one) => one.entry === own.address);
  return (
    <>
      <h1 tabIndex={-1}>{t('never.title')}</h1>
      <p class="sentence">{entries ? t('never.sentence', { n: entries.length }) : ' '}</p>
      {failed && <FailureBox failure={failed} retry={load} />}
      {ownMissing && may('jails') && (
        <div class="line"><span>{t('never.ownMissing', { ip: own.address! })}</span>
          <button type="button" onClick={() => attempt(async () => { await addNeverBan({ entry: own.address! }); await load(); })}>{t('never.addOwn')}</button></div>
      )}
      {may('jails') && (
        <Form failure={failure} fields={['ip']} send={() => send(async () => { await addNeverBan({ entry: text.trim() }); setText(''); await load(); })}>
          <div class="inline"><Text label={t('jail.ignoreAdd')} value={text} set={setText} error={failure?.of('ip')} hint={t('never.hint')} /><button disabled={busy || !text.trim()}>{t('action.add')}</button></div>
        </Form>
      )}
      {!entries && !failed && <Waiting />}
      {entries && (
        <Table label={t('never.title')} rows={entries} id={(row) => row.entry} empty={<p>{t('never.none')}</p>} columns={[
          { title: t('never.entry'), cell: (row) => <span class="address">{row.entry}</span>, phone: 'main' },
          { title: t('jails.title'), phone: 'sub', cell: (row) => (row.jails.length === total ? t('never.everywhere') : row.jails.map((name, index) => <>{index > 0 && ', '}<Jail name={name} /></>)) },
          ...(may('jails') ? [{ title: t('col.do'), right: true, phone: 'side' as const, cell: (row: Entry) => <button type="button" class="plain" aria-label={t('jail.ignoreRemove', { ip: row.entry })} onClick={() => remove(row)}><Icon name="close" /></button> }] : []),
        ]} />
      )}
    </>
  );
}
