// What happened last night?
import { useEffect, useState } from 'preact/hooks';
import type { DashboardBanItem, HistoryBanItem, Range } from '../api';
import { Shares, Trend } from '../chart';
import { Address, country, Jail, Time } from '../format';
import { Icon } from '../icons';
import { WorldMap } from '../map/map';
import { t, number } from '../messages';
import { Ranges } from '../ranges';
import { call, useGet } from '../request';
import { filter, link, route } from '../router';
import { attempt, say, Show } from '../status';
import { saveCsv, Table } from '../table';

const PAGE = 50;
/** How many rows a file for a spreadsheet has at most. */
const MOST = 10_000;

export function History() {
  const { query } = route.use();
  const range = (query.range ?? '24h') as Range;
  const wanted = { range, jail: query.jail, ip: query.ip, page: query.page ?? 1, page_size: PAGE };
  const list = useGet('GET /history', query.country ? null : { query: wanted }, 60);
  const ofCountry = useGet('GET /dashboard/bans/by-country', query.country ? { query: { range, country_code: query.country } } : null);
  const countries = useGet('GET /dashboard/bans/by-country', { query: { range } });
  const trend = useGet('GET /dashboard/bans/trend', { query: { range } });
  const total = query.country ? countries.data?.countries[query.country] ?? 0 : list.data?.pagination.total;
  return (
    <>
      <div class="bar"><h1 tabIndex={-1}>{t('history.title')}</h1><Ranges value={range} set={(chosen) => filter({ range: chosen })} /></div>
      <p class="sentence">{total === undefined ? ' ' : t('history.sentence', { n: total })}{query.jail && ` ${t('history.inJail', { name: query.jail })}`}{query.country && ` ${t('history.from', { name: country(query.country) })}`}</p>
      <Chips />
      <div class="cards map">
        <section class="card">
          <h2>{t('history.map')}</h2>
          <Show of={countries}>{(data) => <WorldMap counts={data.countries} chosen={query.country} choose={(code) => filter({ country: code })} />}</Show>
        </section>
        <section class="card">
          <h2>{t('overview.countries')}</h2>
          <Show of={countries}>
            {(data) => <Shares label={t('overview.countries')} empty={t('overview.noCountries')}
              items={Object.entries(data.countries).sort((a, b) => b[1] - a[1]).slice(0, 8).map(([code, count]) => ({ name: country(code), count, href: link(['history'], { ...query, page: undefined, country: code }) }))} />}
          </Show>
        </section>
        <section class="card wide">
          <h2>{t('overview.trend')}</h2>
          <Show of={trend}>{(data) => <Trend buckets={data.buckets} label={t('overview.trend')} />}</Show>
        </section>
      </div>
      <h2>{t('history.bans')}</h2>
      {query.country
        ? <Show of={ofCountry}>
          {(data) => <Table label={t('history.bans')} rows={data.bans} id={(row) => `${row.ip} ${row.jail} ${row.banned_at}`} empty={<p>{t('overview.noBans')}</p>}
            open={(row) => { location.hash = link(['address', row.ip]); }}
            columns={[
              { title: t('col.address'), cell: (row) => <Address ip={row.ip} />, phone: 'main' },
              { title: t('col.jail'), cell: (row) => <Jail name={row.jail} />, phone: 'sub' },
              { title: t('col.network'), cell: (row) => row.org ?? '–', phone: 'subside' },
              { title: t('col.when'), cell: (row) => <Time at={row.banned_at} />, phone: 'side', right: true },
            ]} />}
        </Show>
        : <Show of={list}>
          {(data) => <Table label={t('history.bans')} rows={data.items} id={(row) => `${row.ip} ${row.jail} ${row.banned_at}`} pagination={data.pagination} dim={list.loading}
            open={(row) => { location.hash = link(['address', row.ip]); }} empty={<p>{t('overview.noBans')}</p>}
            columns={[
              { title: t('col.address'), cell: (row) => <Address ip={row.ip} />, phone: 'main' },
              { title: t('col.jail'), cell: (row) => <Jail name={row.jail} />, phone: 'sub' },
              { title: t('col.country'), cell: (row) => (row.country_code ? country(row.country_code) : '–'), phone: 'subside' },
              { title: t('col.failures'), cell: (row) => number(row.failures), right: true, phone: 'none' },
              { title: t('col.times'), cell: (row) => number(row.ban_count), right: true, phone: 'none' },
              { title: t('col.when'), cell: (row) => <Time at={row.banned_at} />, phone: 'side', right: true },
            ]} />}
        </Show>}
      {(total ?? 0) > 0 && (
        <p><button type="button" class="plain" onClick={() => attempt(async () => (query.country ? saveRows(ofCountry.data?.bans ?? []) : save(wanted)))}><Icon name="download" />{t('action.csv')}</button></p>
      )}
    </>
  );
}

/** The list as a file, page by page. */
async function save(wanted: { range: Range; jail?: string; ip?: string }): Promise<void> {
  const rows: HistoryBanItem[] = [];
  let cursor: string | undefined;
  do {
    const part = await call('GET /history', { query: { range: wanted.range, jail: wanted.jail, ip: wanted.ip, page_size: 100, cursor } });
    rows.push(...part.items);
    cursor = part.pagination.next_cursor ?? undefined;
  } while (cursor && rows.length < MOST);
  saveRows(rows);
  if (cursor) say(t('history.cut', { n: MOST }));
}

function saveRows(rows: Array<Omit<DashboardBanItem, 'service'> & { failures?: number }>): void {
  saveCsv('history', ['address', 'jail', 'banned_at', 'country', 'network', 'failures', 'times'],
    rows.map((one) => [one.ip, one.jail, one.banned_at, one.country_code, one.org, one.failures, one.ban_count]));
}

function Chips() {
  const { query } = route.use();
  const [ip, setIp] = useState(query.ip ?? '');
  useEffect(() => setIp(query.ip ?? ''), [query.ip]);
  return (
    <form class="filters" onSubmit={(event) => { event.preventDefault(); filter({ ip: ip.trim() }); }}>
      <input type="search" value={ip} aria-label={t('history.search')} placeholder={t('history.search')} onInput={(event) => {
        setIp(event.currentTarget.value);
        if (event.currentTarget.value === '') filter({ ip: undefined }, true);
      }} />
      {query.jail && <button type="button" aria-label={t('history.without', { name: query.jail })} onClick={() => filter({ jail: undefined })}>{query.jail}<Icon name="close" /></button>}
      {query.country && <button type="button" aria-label={t('history.without', { name: country(query.country) })} onClick={() => filter({ country: undefined })}>{country(query.country)}<Icon name="close" /></button>}
    </form>
  );
}
