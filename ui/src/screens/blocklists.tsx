// What is imported, from where, and how the last time went.
import { useEffect, useState } from 'preact/hooks';
import type { BlocklistSource, ImportFrequency, PreviewResponse, ScheduleConfig } from '../api';
import { Answers, ask, Dialog } from '../dialog';
import { bytes, Time } from '../format';
import { Check, Choice, Form, Text, useSend } from '../form';
import { Icon } from '../icons';
import { t, number, type Message } from '../messages';
import { call, useGet } from '../request';
import { may } from '../session';
import { attempt, say, Show } from '../status';
import { Table } from '../table';

export function Blocklists() {
  const sources = useGet('GET /blocklists', {});
  const [often, setOften] = useState(5);
  const progress = useGet('GET /blocklists/import', {}, often);
  const schedule = useGet('GET /blocklists/schedule', {}, 30);
  const log = useGet('GET /blocklists/log', { query: { page_size: 20 } }, 30);
  const [editing, setEditing] = useState<BlocklistSource | 'new'>();
  const [tried, setTried] = useState<BlocklistSource>();
  const [timing, setTiming] = useState(false);
  const isRunning = progress.data?.running ?? false;
  useEffect(() => setOften(isRunning ? 1 : 5), [isRunning]);
  const all = async () => { await Promise.all([sources.reload(), progress.reload(), schedule.reload(), log.reload()]); };
  const last = (source: BlocklistSource) => log.data?.items.find((one) => one.source_id === source.id);
  const remove = (source: BlocklistSource) => attempt(async () => {
    if (!await ask(t('lists.removeTitle', { name: source.name }), t('lists.removeText'), t('action.remove'))) return;
    await call('DELETE /blocklists/{source_id}', { path: { source_id: source.id } });
    await all();
  });
  return (
    <>
      <div class="bar">
        <h1 tabIndex={-1}>{t('lists.title')}</h1>
        {may('config') && <span class="pair">
          <button type="button" disabled={isRunning || !sources.data?.items.some((one) => one.enabled)} onClick={() => attempt(async () => {
            const run = call('POST /blocklists/import');
            setTimeout(() => void progress.reload(), 300);
            const result = await run;
            say(t('lists.imported', { n: result.total_imported }), undefined, result.errors_count > 0);
            await all();
          })}>{t('lists.import')}</button>
          <button type="button" class="primary" onClick={() => setEditing('new')}><Icon name="plus" />{t('lists.add')}</button>
        </span>}
      </div>
      <p class="sentence">{sources.data?.items.length ? t('lists.sentence', { n: sources.data.items.filter((one) => one.enabled).length }) : ' '}</p>
      {progress.data?.running && (
        <div class="line" role="status"><progress aria-label={t('lists.running', { url: progress.data.source_url ?? '' })} /><span>{t('lists.running', { url: progress.data.source_url ?? '' })} {t('lists.so', { size: bytes(progress.data.bytes), lines: progress.data.lines, n: progress.data.banned })}</span></div>
      )}
      {progress.data?.problem && <div class="line bad">{progress.data.problem}</div>}
      <Show of={sources}>
        {(data) => (
          <Table label={t('lists.title')} rows={data.items} id={(one) => String(one.id)} empty={<p>{t('lists.none')}</p>} columns={[
            { title: t('lists.name'), cell: (one) => <><strong>{one.name}</strong> {!one.enabled && <span class="tag">{t('lists.off')}</span>}<div class="muted small break">{one.url}</div></>, phone: 'main' },
            { title: t('lists.last'), phone: 'sub', cell: (one) => {
              const entry = last(one);
              if (!entry) return <span class="muted">{t('lists.notYet')}</span>;
              return entry.errors ? <span class="wrong">{entry.errors}</span> : <>{t('lists.result', { n: entry.ips_imported, skipped: entry.ips_skipped })} <Time at={entry.timestamp} /></>;
            } },
            { title: t('col.do'), right: true, phone: 'below', cell: (one) => may('config') && (
              <span class="pair">
                <button type="button" onClick={() => setTried(one)}>{t('lists.try')}</button>
                <button type="button" onClick={() => setEditing(one)} aria-label={t('lists.change', { name: one.name })}>{t('action.change')}</button>
                <button type="button" class="plain" aria-label={t('lists.removeTitle', { name: one.name })} onClick={() => remove(one)}><Icon name="close" /></button>
              </span>) },
          ]} />
        )}
      </Show>
      <h2>{t('col.when')}</h2>
      <Show of={schedule}>
        {(data) => (
          <>
            <p>{data.config.enabled && data.next_run_at ? <>{t(FREQUENCY[data.config.frequency])}. {t('lists.next')} <Time at={data.next_run_at} />.</> : t('lists.byHand')}
              {data.last_run_at && <> {t('lists.lastRun')} <Time at={data.last_run_at} />.</>}</p>
            {may('config') && <div class="buttons"><button type="button" onClick={() => setTiming(true)}>{t('lists.scheduleChange')}</button></div>}
            {timing && <Schedule config={data.config} close={() => setTiming(false)} done={schedule.reload} />}
          </>
        )}
      </Show>
      <p class="muted small">{t('lists.licence')}</p>
      {editing && <Source source={editing === 'new' ? undefined : editing} close={() => setEditing(undefined)} done={sources.reload} />}
      {tried && <Tried source={tried} close={() => setTried(undefined)} />}
    </>
  );
}

const FREQUENCY: Record<ImportFrequency, Message> = { hourly: 'lists.hourly', daily: 'lists.daily', weekly: 'lists.weekly' };

/** Lists that many use. Their makers give them away, under terms of their own. */
const KNOWN: Array<[string, string]> = [
  ['Spamhaus DROP', 'https://www.spamhaus.org/drop/drop.txt'], ['blocklist.de SSH', 'https://lists.blocklist.de/lists/ssh.txt'], ['FireHOL level 1', 'https://iplists.firehol.org/files/firehol_level1.netset'],
];

function Source({ source, close, done }: { source?: BlocklistSource; close: () => void; done: () => Promise<void> }) {
  const [name, setName] = useState(source?.name ?? '');
  const [url, setUrl] = useState(source?.url ?? '');
  const [enabled, setEnabled] = useState(source?.enabled ?? true);
  const [unban, setUnban] = useState(source?.unban_removed ?? true);
  const [would, setWould] = useState<PreviewResponse>();
  const { busy, failure, send } = useSend();
  const body = { name: name.trim(), url: url.trim(), enabled, unban_removed: unban };
  return (
    <Dialog title={source ? t('lists.change', { name: source.name }) : t('lists.add')} close={close}>
      <Form failure={failure} fields={['name', 'url']} send={() => send(async () => {
        if (source) await call('PUT /blocklists/{source_id}', { path: { source_id: source.id }, body });
        else await call('POST /blocklists', { body });
        await done();
        close();
      })}>
        {!source && (
          <div class="field" role="group" aria-label={t('lists.known')}>
            <p class="hint">{t('lists.known')}</p>
            <span class="ranges">{KNOWN.map(([title, where]) => <button type="button" key={title} onClick={() => { setName(title); setUrl(where); setWould(undefined); }}>{title}</button>)}</span>
          </div>
        )}
        <Text label={t('lists.name')} value={name} set={setName} error={failure?.of('name')} maxLength={100} />
        <Text label={t('lists.url')} value={url} set={(value) => { setUrl(value); setWould(undefined); }} error={failure?.of('url')} type="url" inputMode="url" />
        <p><button type="button" disabled={busy || !url.trim()} onClick={() => send(async () => setWould(await call('POST /blocklists/preview', { body: { url: url.trim() } })))}>{t(busy ? 'lists.trying' : 'lists.tryFirst')}</button></p>
        {would && <Would of={would} />}
        <Check label={t('lists.enabled')} on={enabled} set={setEnabled} />
        <Check label={t('lists.unban')} hint={t('lists.unbanHint')} on={unban} set={setUnban} />
        <Answers close={close} yes={t('action.save')} off={busy || !name.trim() || !url.trim()} />
      </Form>
    </Dialog>
  );
}

function Tried({ source, close }: { source: BlocklistSource; close: () => void }) {
  const seen = useGet('GET /blocklists/{source_id}/preview', { path: { source_id: source.id } });
  return (
    <Dialog title={t('lists.tryTitle', { name: source.name })} close={close}>
      <Show of={seen}>{(data) => <Would of={data} />}</Show>
    </Dialog>
  );
}

/** What a list would bring. */
function Would({ of }: { of: PreviewResponse }) {
  const skipped = Object.entries(of.skipped).filter(([, count]) => count);
  return (
    <div role="status">
      <p><strong>{t('lists.would', { n: of.valid_count, lines: of.total_lines, skipped: of.skipped_count })}</strong></p>
      {skipped.length > 0 && <ul>{skipped.map(([why, count]) => <li key={why}>{why.replace(/_/g, ' ')}: {number(count as number)}</li>)}</ul>}
      {of.entries.length > 0 && <pre class="log" tabIndex={0} aria-label={t('lists.first')}>{of.entries.slice(0, 10).join('\n')}</pre>}
    </div>
  );
}

function Schedule({ config, close, done }: { config: ScheduleConfig; close: () => void; done: () => Promise<void> }) {
  const [enabled, setEnabled] = useState(config.enabled);
  const [frequency, setFrequency] = useState(config.frequency);
  const [hour, setHour] = useState(String(config.hour));
  const [every, setEvery] = useState(String(config.interval_hours));
  const { busy, failure, send } = useSend();
  return (
    <Dialog title={t('col.when')} close={close}>
      <Form failure={failure} fields={['hour', 'interval_hours']} send={() => send(async () => {
        await call('PUT /blocklists/schedule', { body: { ...config, enabled, frequency, hour: Number(hour), interval_hours: Number(every) } });
        await done();
        close();
      })}>
        <Check label={t('lists.auto')} on={enabled} set={setEnabled} />
        <Choice label={t('history.howOften')} value={frequency} set={(value) => setFrequency(value as ImportFrequency)}
          options={(Object.entries(FREQUENCY) as Array<[ImportFrequency, Message]>).map(([one, title]) => [one, t(title)])} />
        {frequency === 'hourly'
          ? <Text label={t('lists.every')} value={every} set={setEvery} inputMode="numeric" error={failure?.of('interval_hours')} />
          : <Text label={t('lists.hour')} value={hour} set={setHour} inputMode="numeric" error={failure?.of('hour')} />}
        <Answers close={close} yes={t('action.save')} off={busy} />
      </Form>
    </Dialog>
  );
}
