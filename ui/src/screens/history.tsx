// What happened last night? And who comes back?
import { useState } from 'preact/hooks';
import type { HistoryBanItem, Repeater, RepeaterKind } from '../api';
import { Shares, Trend } from '../chart';
import { Address, country, Jail, JailNames, Time } from '../format';
import { Icon } from '../icons';
import { WorldMap } from '../map/map';
import { t, number, type Message } from '../messages';
import { Ranges, spanOf } from '../ranges';
import { call, useGet } from '../request';
import { filter, link, route } from '../router';
import { may } from '../session';
import { attempt, say, Show, Waiting } from '../status';
import { saveCsv, Search, Table } from '../table';
import { BanDialog } from './bandialog';

const PAGE = 50;
/** What is kept here, and not what fail2ban has not yet forgotten: the overview counts the same. */
const source = 'archive' as const;
/** How many rows a file for a spreadsheet has at most. */
const MOST = 10_000;

export function History() {
  const { query } = route.use();
  const span = spanOf(query);
  const wanted = { ...span, source, jail: query.jail, ip: query.ip, country: query.country, q: query.q };
  const list = useGet('GET /history', { query: { ...wanted, page: query.page ?? 1, page_size: PAGE } }, 60);
  const countries = useGet('GET /dashboard/bans/by-country', { query: { ...span, source } });
  const trend = useGet('GET /dashboard/bans/trend', { query: { ...span, source } });
  const total = list.data?.pagination.total;
  const { by, ...rest } = query;
  return (
    <>
      <div class="bar"><h1 tabIndex={-1}>{t('history.title')}</h1><Ranges more /></div>
      <p class="sentence">{total === undefined ? ' ' : t('history.sentence', { n: total })}{query.jail && ` ${t('history.inJail', { name: query.jail })}`}{query.country && ` ${t('history.from', { name: country(query.country) })}`}</p>
      {/* All of it is drawn at once: what comes later would push the rest away. */}
      {![list, countries, trend].every((one) => one.data || one.failure) ? <Waiting /> : <>
      <div class="cards map">
        <section class="card">
          <h2>{t('history.map')}</h2>
          <Show of={countries}>{(data) => <WorldMap counts={data.countries} chosen={query.country} choose={(code) => filter({ country: code })} />}</Show>
        </section>
        <section class="card">
          <h2>{t('overview.countries')}</h2>
          <Show of={countries}>
            {(data) => <Shares label={t('overview.countries')} empty={t('overview.noCountries')}
              items={Object.entries(data.countries).sort((a, b) => b[1] - a[1]).slice(0, 8).map(([code, count]) => ({ name: country(code), count, href: link(['history'], { ...rest, page: undefined, country: code }) }))} />}
          </Show>
        </section>
        <section class="card wide">
          <h2>{t('overview.trend')}</h2>
          <Show of={trend}>{(data) => <Trend buckets={data.buckets} label={t('overview.trend')} />}</Show>
        </section>
      </div>
      <nav class="tabs" aria-label={t('history.tabs')}>
        <a href={link(['history'], { ...rest, page: undefined })} aria-current={by ? undefined : 'page'}>{t('bans.title')}</a>
        <a href={link(['history'], { ...rest, page: undefined, by: 'network' })} aria-current={by ? 'page' : undefined}>{t('history.back')}</a>
      </nav>
      {by ? <Back by={by as RepeaterKind} /> : (
        <>
          <Search label={t('history.search')}>
            {(['ip', 'jail', 'country'] as const).map((name) => query[name] && (
              <button type="button" key={name} aria-label={t('history.without', { name: name === 'country' ? country(query[name]) : query[name]! })} onClick={() => filter({ [name]: undefined })}>{name === 'country' ? country(query[name]) : query[name]}<Icon name="close" /></button>
            ))}
          </Search>
          <Show of={list}>
            {(data) => <Table label={t('bans.title')} rows={data.items} id={(row) => `${row.ip} ${row.jail} ${row.banned_at}`} pagination={data.pagination} dim={list.loading}
              open={(row) => { location.hash = link(['address', row.ip]); }} empty={<p>{t('overview.noBans')}</p>}
              columns={[
                { title: t('col.address'), cell: (row) => <Address ip={row.ip} />, phone: 'main' },
                { title: t('col.jail'), cell: (row) => <Jail name={row.jail} />, phone: 'sub' },
                { title: t('col.country'), cell: (row) => (row.country_code ? country(row.country_code) : '–'), phone: 'subside' },
                { title: t('col.failures'), cell: (row) => number(row.failures), right: true, phone: 'none' },
                { title: t('col.times'), cell: (row) => number(row.ban_count), right: true, phone: 'none' },
                { title: t('col.when'), cell: (row) => <Time at={row.banned_at} />, phone: 'side', right: true },
              ]} />}
          </Show>
          {(total ?? 0) > 0 && <p><button type="button" class="plain" onClick={() => attempt(() => save(wanted))}><Icon name="download" />{t('action.csv')}</button></p>}
        </>
      )}
      </>}
    </>
  );
}

const KINDS: Array<[RepeaterKind, Message]> = [['address', 'col.address'], ['network', 'col.network'], ['operator', 'history.byOperator']];

/** Who was banned more than once, with a ban of the whole network in reach. */
function Back({ by }: { by: RepeaterKind }) {
  const { query } = route.use();
  const [banning, setBanning] = useState<string>();
  const list = useGet('GET /history/repeaters', { query: { ...spanOf(query), by, page: query.page ?? 1, page_size: PAGE } });
  return (
    <>
      <div class="filters">
        <div class="segments" role="group" aria-label={t('history.by')}>
          {KINDS.map(([kind, title]) => <button type="button" key={kind} aria-pressed={kind === by} onClick={() => filter({ by: kind })}>{t(title)}</button>)}
        </div>
      </div>
      <Show of={list}>
        {(data) => <Table label={t('history.back')} rows={data.items} id={(row) => row.name} pagination={data.pagination} dim={list.loading} empty={<p>{t(by === 'operator' ? 'history.noOperator' : 'history.nobody')}</p>} columns={[
          { title: t(by === 'operator' ? 'history.byOperator' : 'col.address'), phone: 'main', cell: (row) => (by === 'operator' ? row.org ?? row.name : <Address ip={row.name} />) },
          { title: t('history.howOften'), phone: 'sub', cell: (row) => t(by === 'address' ? 'history.bansOf' : 'history.addressesOf', { n: row.addresses, bans: row.bans }) },
          { title: t('col.jail'), phone: 'none', cell: (row) => <JailNames of={row.jails} /> },
          { title: t('col.country'), phone: 'none', cell: (row) => (row.country_code ? country(row.country_code) : '–') },
          { title: t('history.last'), phone: by === 'operator' || !may('bans') ? 'side' : 'subside', cell: (row) => <Time at={row.last_ban_at} /> },
          ...(may('bans') && by !== 'operator' ? [{ title: t('col.do'), phone: 'side' as const, right: true, cell: (row: Repeater) => (
            <button type="button" aria-label={t('history.banOne', { name: row.name })} onClick={() => setBanning(row.name)}>{t('ban.go')}</button>) }] : []),
        ]} />}
      </Show>
      {banning && <BanDialog ip={banning} close={() => setBanning(undefined)} done={list.reload} />}
    </>
  );
}

type Wanted = ReturnType<typeof spanOf> & { source: typeof source; jail?: string; ip?: string; country?: string; q?: string };

/** The list as a file, page by page. */
async function save(wanted: Wanted): Promise<void> {
  const rows: HistoryBanItem[] = [];
  let cursor: string | undefined;
  do {
    const part = await call('GET /history', { query: { ...wanted, page_size: 100, cursor } });
    rows.push(...part.items);
    cursor = part.pagination.next_cursor ?? undefined;
  } while (cursor && rows.length < MOST);
  saveCsv('history', ['address', 'jail', 'banned_at', 'country', 'network', 'failures', 'times'],
    rows.map((one) => [one.ip, one.jail, one.banned_at, one.country_code, one.org, one.failures, one.ban_count]));
  if (cursor) say(t('history.cut', { n: MOST }));
}
