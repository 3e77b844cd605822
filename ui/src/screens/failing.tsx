// Who is trying, and how many more times until a ban?
import { useState } from 'preact/hooks';
import type { FailingAddress, FailingSort } from '../api';
import { Address, country, Jail, Time } from '../format';
import { Icon } from '../icons';
import { number, t } from '../messages';
import { call, useGet } from '../request';
import { filter, link, route } from '../router';
import { said } from '../said';
import { may } from '../session';
import { attempt, Show, Verdict } from '../status';
import { saveCsv, Search, Table } from '../table';
import { BanDialog } from './bandialog';

const PAGE = 50;
/** As many as one request gives. */
const MOST = 500;

/** Who is out now, and who is trying. */
export function BanTabs({ failing }: { failing?: boolean }) {
  return (
    <nav class="tabs" aria-label={t('bans.tabs')}>
      <a href={link(['bans'])} aria-current={failing ? undefined : 'page'}>{t('bans.now')}</a>
      <a href={link(['bans'], { tab: 'failing' })} aria-current={failing ? 'page' : undefined}>{t('col.failing')}</a>
    </nav>
  );
}

export function FailingTab() {
  const { query } = route.use();
  const [banning, setBanning] = useState<string>();
  const wanted = { page: query.page ?? 1, page_size: PAGE, sort: query.sort as FailingSort | undefined, q: query.q, jail: query.jail };
  const list = useGet('GET /bans/failing', { query: wanted }, 15);
  const total = list.data?.total;
  const isIn = may('bans');
  return (
    <>
      <h1 tabIndex={-1}>{t('bans.title')}</h1>
      <BanTabs failing />
      <p class="sentence">{total === undefined || list.data?.source.reason ? ' ' : t('failing.sentence', { n: total })}</p>
      <Search label={t('failing.search')}>
        {query.jail && <button type="button" onClick={() => filter({ jail: undefined })}>{query.jail}<Icon name="close" /></button>}
      </Search>
      <Show of={list}>
        {(data) => data.source.reason ? <Verdict level="warn"><p><strong>{t('failing.unknown')}</strong></p><p>{said(data.source.reason)}</p></Verdict> : (
          <>
            {!data.is_complete && <p class="muted">{t('failing.cut')}</p>}
            <Table label={t('col.failing')} rows={data.items} id={(row) => `${row.ip} ${row.jail}`} pagination={data.pagination} dim={list.loading}
              open={(row) => { location.hash = link(['address', row.ip]); }}
              empty={<p>{query.q || query.jail ? t('failing.nobodyFound') : t('failing.nobody')}</p>}
              columns={[
                { title: t('col.address'), sort: 'ip', cell: (row) => <Address ip={row.ip} />, phone: 'main' },
                { title: t('col.jail'), sort: 'jail', cell: (row) => <Jail name={row.jail} />, phone: 'sub' },
                { title: t('col.failures'), sort: 'failures', cell: (row) => t('failing.of', { n: number(row.failures), of: number(row.of) }), phone: 'side' },
                { title: t('failing.users'), sort: 'user', cell: (row) => (row.users.length > 0 ? <span class="note">{[...row.users].reverse().join(', ')}</span> : <span class="muted">–</span>), phone: 'subside' },
                { title: t('col.country'), sort: 'country', cell: (row) => (row.country ? country(row.country) : <span class="muted">–</span>), phone: 'none' },
                { title: t('failing.last'), sort: 'last_at', cell: (row) => <Time at={row.last_at} />, phone: 'none' },
                { title: t('failing.forgotten'), sort: 'forgotten_at', cell: (row) => <Time at={row.forgotten_at} />, phone: 'none' },
                ...(isIn ? [{
                  title: t('col.do'), right: true, phone: 'none' as const,
                  cell: (row: FailingAddress) => <button type="button" aria-label={t('failing.ban', { ip: row.ip })} onClick={() => setBanning(row.ip)}>{t('ban.go')}</button>,
                }] : []),
              ]} />
            {data.items.length > 0 && (
              <p><button type="button" class="plain" onClick={() => attempt(async () => {
                const all = await call('GET /bans/failing', { query: { ...wanted, page: undefined, page_size: MOST } });
                saveCsv('failing', ['address', 'jail', 'failures', 'of', 'users', 'last_at', 'forgotten_at', 'country'],
                  all.items.map((row) => [row.ip, row.jail, row.failures, row.of, row.users.join(' '), row.last_at, row.forgotten_at, row.country]));
              })}><Icon name="download" />{t('action.csv')}</button></p>
            )}
          </>
        )}
      </Show>
      {banning && <BanDialog ip={banning} close={() => setBanning(undefined)} done={list.reload} />}
    </>
  );
}
