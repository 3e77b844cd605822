// Who is out now?
import { useEffect, useState } from 'preact/hooks';
import type { ActiveBan, BanSort } from '../api';
import { BanDialog } from './bandialog';
import { BanTabs, FailingTab } from './failing';
import { ask } from '../dialog';
import { Address, country, exact, Jail, Time } from '../format';
import { Icon } from '../icons';
import { t } from '../messages';
import { call, useGet } from '../request';
import { filter, link, route } from '../router';
import { may } from '../session';
import { attempt, say, Show } from '../status';
import { saveCsv, Table } from '../table';
import { releaseMany, banAgain } from '../bans';

export const PAGE = 50;
const idOf = (ban: ActiveBan) => `${ban.ip} ${ban.jail}`;

export function Bans() {
  return route.use().query.tab === 'failing' ? <FailingTab /> : <BannedNow />;
}

function BannedNow() {
  const { query } = route.use();
  const [banning, setBanning] = useState(false);
  const [chosen, setChosen] = useState(new Set<string>());
  const wanted = {
    page: query.page ?? 1, page_size: PAGE, sort: (query.sort ?? '-banned_at') as BanSort, q: query.q, jail: query.jail, country: query.country,
  };
  const bans = useGet('GET /bans/active', { query: wanted }, 15);
  const jails = useGet('GET /jails', {});
  useEffect(() => setChosen(new Set()), [JSON.stringify(wanted)]);

  const letOut = (rows: ActiveBan[]) => attempt(async () => {
    await releaseMany(rows);
    setChosen(new Set());
    await bans.reload();
    say(rows.length === 1 ? t('bans.letOut', { ip: rows[0]!.ip }) : t('bans.letOutMany', { n: rows.length }), async () => {
      await banAgain(rows);
      await bans.reload();
      say(t('bans.bannedAgain', { n: rows.length }));
    });
  });
  const total = bans.data?.pagination?.total ?? bans.data?.total;
  const isFiltered = !!(query.q || query.jail || query.country);
  const isIn = may('bans');
  return (
    <>
      <div class="bar">
        <h1 tabIndex={-1}>{t('bans.title')}</h1>
        {isIn && <button type="button" class="primary" onClick={() => setBanning(true)}><Icon name="plus" />{t('ban.go')}</button>}
      </div>
      <BanTabs />
      <p class="sentence">{total === undefined ? ' ' : isFiltered ? t('bans.sentenceFound', { n: total }) : t('bans.sentence', { n: total })}</p>
      <Filters jails={jails.data?.items.filter((jail) => jail.running).map((jail) => jail.name) ?? []} />
      {chosen.size > 0 && bans.data && (
        <div class="line chosen" role="region" aria-label={t('table.chosen', { n: chosen.size })}>
          <span>{t('table.chosen', { n: chosen.size })}</span>
          <button type="button" onClick={() => letOut(bans.data!.items.filter((ban) => chosen.has(idOf(ban))))}>{t('bans.letOutChosen')}</button>
          <button type="button" class="plain" onClick={() => setChosen(new Set())}>{t('action.none')}</button>
        </div>
      )}
      <Show of={bans}>
        {(data) => (
          <Table label={t('bans.title')} rows={data.items} id={idOf} pagination={data.pagination} dim={bans.loading}
            chosen={isIn ? { all: chosen, set: setChosen } : undefined} open={(row) => { location.hash = link(['address', row.ip]); }}
            empty={<p>{isFiltered ? t('bans.nobodyFound') : t('bans.nobody')}</p>}
            columns={[
              { title: t('col.address'), sort: 'ip', cell: (row) => <Address ip={row.ip} />, phone: 'main' },
              { title: t('col.jail'), sort: 'jail', cell: (row) => <Jail name={row.jail} />, phone: 'sub' },
              { title: t('col.country'), sort: 'country', cell: (row) => (row.country ? country(row.country) : <span class="muted">–</span>), phone: 'none' },
              { title: t('col.since'), sort: 'banned_at', cell: (row) => <Time at={row.banned_at} />, phone: 'none' },
              { title: t('col.until'), sort: 'expires_at', cell: (row) => (row.expires_at ? <Time at={row.expires_at} /> : t('time.ever')), phone: 'subside' },
              { title: t('col.note'), cell: (row) => (row.note ? <span class="note">{row.note}</span> : <span class="muted">–</span>), phone: 'none' },
              ...(isIn ? [{
                title: t('col.do'), right: true, phone: 'side' as const,
                cell: (row: ActiveBan) => <button type="button" aria-label={t('bans.letOutOne', { ip: row.ip })} onClick={() => letOut([row])}>{t('bans.letOutShort')}</button>,
              }] : []),
            ]} />
        )}
      </Show>
      {bans.data && bans.data.items.length > 0 && (
        <p class="buttons">
          <button type="button" class="plain" onClick={() => attempt(async () => {
            const all = await call('GET /bans/active', { query: { ...wanted, page: undefined, page_size: undefined } });
            saveCsv('bans', ['address', 'jail', 'banned_at', 'expires_at', 'country', 'note'],
              all.items.map((ban) => [ban.ip, ban.jail, ban.banned_at, ban.expires_at, ban.country, ban.note]));
          })}><Icon name="download" />{t('action.csv')}</button>
          {isIn && !isFiltered && <button type="button" class="plain danger" onClick={async () => {
            if (!await ask(t('bans.all'), t('bans.allText', { n: total ?? 0 }), t('bans.all'))) return;
            await attempt(async () => {
              const { count } = await call('DELETE /bans/all');
              say(t('bans.letOutMany', { n: count }));
              await bans.reload();
            });
          }}>{t('bans.all')}</button>}
          <span class="muted small">{t('bans.asOf', { time: exact(Date.parse(bans.data.as_of)) })}</span>
        </p>
      )}
      {banning && <BanDialog close={() => setBanning(false)} done={bans.reload} />}
    </>
  );
}

function Filters({ jails }: { jails: string[] }) {
  const { query } = route.use();
  const [text, setText] = useState(query.q ?? '');
  useEffect(() => setText(query.q ?? ''), [query.q]);
  return (
    <form class="filters" onSubmit={(event) => { event.preventDefault(); filter({ q: text.trim() }); }}>
      <input type="search" value={text} aria-label={t('bans.search')} placeholder={t('bans.search')} onInput={(event) => {
        setText(event.currentTarget.value);
        if (event.currentTarget.value === '') filter({ q: undefined }, true);
      }} />
      <select aria-label={t('col.jail')} value={query.jail ?? ''} onChange={(event) => filter({ jail: event.currentTarget.value })}>
        <option value="">{t('bans.allJails')}</option>
        {[...new Set([...jails, ...(query.jail ? [query.jail] : [])])].map((name) => <option key={name} value={name}>{name}</option>)}
      </select>
      {query.country && <button type="button" onClick={() => filter({ country: undefined })}>{country(query.country)}<Icon name="close" /></button>}
    </form>
  );
}
