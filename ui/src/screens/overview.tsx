// Am I protected right now, and what happened?
import { DaemonProblem } from '../daemon';
import { Shares, Trend } from '../chart';
import { Address, country, Jail, relative, Time } from '../format';
import { t, number } from '../messages';
import { useGet } from '../request';
import { link, route } from '../router';
import { Protection } from '../protection';
import { Show, Waiting } from '../status';
import { Table } from '../table';
import type { DashboardSummary } from '../api';
import { Ranges, spanOf, type Span } from '../ranges';
import { lastVisit } from '../session';

const OFTEN = 15;

export function Overview() {
  const { query } = route.use();
  const span = spanOf(query);
  const summary = useGet('GET /dashboard/summary', { query: span }, OFTEN);
  const verdict = useGet('GET /protection', {}, OFTEN);
  const isAway = summary.data && !summary.data.status?.online;
  const service = useGet('GET /config/service-status', isAway ? {} : null, OFTEN);
  const reload = async () => { await Promise.all([service.reload(), summary.reload(), verdict.reload()]); };
  // All of it is drawn at once: what comes later would push the rest away.
  const isThere = (summary.data || summary.failure) && (verdict.data || verdict.failure) && (!isAway || service.data || service.failure);
  return (
    <>
      <h1 tabIndex={-1}>{t('overview.title')}</h1>
      {!isThere ? <Waiting /> : (
        <>
          {isAway ? <Show of={service}>{(now) => !now.online && <DaemonProblem service={now} reload={reload} />}</Show> : <Protection now={verdict} />}
          <Numbers of={summary.data} />
          <div class="bar"><h2>{t('overview.happened')}</h2><Ranges /></div>
          {lastVisit && <p class="sentence"><a href={link(['history'], { from: lastVisit })}>{t('overview.since', { when: relative(Date.parse(lastVisit)) })}</a></p>}
          <Show of={summary}>{(data) => <Happened of={data} span={span} />}</Show>
        </>
      )}
    </>
  );
}

function Numbers({ of }: { of?: DashboardSummary }) {
  const shown = (value: number | undefined) => (value === undefined ? '–' : number(value));
  const status = of?.status ?? undefined;
  return (
    <dl class="numbers">
      <div><dt><a href={link(['bans'])}>{t('bans.now')}</a></dt><dd>{shown(status?.total_bans)}</dd></div>
      <div><dt><a href={link(['bans'], { tab: 'failing' })}>{t('overview.failing')}</a></dt><dd>{shown(status?.total_failures)}</dd></div>
      <div><dt><a href={link(['jails'])}>{t('overview.jails')}</a></dt><dd>{shown(status?.active_jails)}</dd></div>
      <div><dt><a href={link(['history'], of ? { from: of.from, to: of.to } : {})}>{t('overview.inRange')}</a>{of && <span class="before">{t('overview.before', { n: of.sums.bans_before })}</span>}</dt><dd>{shown(of?.sums.bans)}</dd></div>
    </dl>
  );
}

function Happened({ of, span }: { of: DashboardSummary; span: Span }) {
  return (
    <>
      <div class="cards">
        <section class="card wide">
          <h3>{t('overview.trend')}</h3>
          <Trend buckets={of.trend.buckets} label={t('overview.trend')} />
        </section>
        <section class="card">
          <h3>{t('overview.countries')}</h3>
          <Shares label={t('overview.countries')} empty={t('overview.noCountries')}
            items={of.by_country.slice(0, 5).map((one) => ({ name: country(one.country_code), count: one.count, href: link(['history'], { ...span, country: one.country_code }) }))} />
        </section>
        <section class="card">
          <h3>{t('overview.byJail')}</h3>
          <Shares label={t('overview.byJail')} empty={t('overview.noBans')}
            items={of.by_jail.slice(0, 5).map(({ jail, count }) => ({ name: jail, count, href: link(['history'], { ...span, jail }) }))} />
        </section>
      </div>
      <h2>{t('overview.latest')}</h2>
      <Table label={t('overview.latest')} rows={of.latest} id={(row) => `${row.ip} ${row.jail} ${row.banned_at}`}
        open={(row) => { location.hash = link(['address', row.ip]); }} empty={t('overview.noBans')}
        columns={[
          { title: t('col.address'), cell: (row) => <Address ip={row.ip} />, phone: 'main' },
          { title: t('col.jail'), cell: (row) => <Jail name={row.jail} />, phone: 'sub' },
          { title: t('col.country'), cell: (row) => (row.country_code ? country(row.country_code) : <span class="muted">–</span>), phone: 'subside' },
          { title: t('col.network'), cell: (row) => row.org ?? <span class="muted">–</span>, phone: 'none' },
          { title: t('col.when'), cell: (row) => <Time at={row.banned_at} />, phone: 'side', right: true },
        ]} />
      {of.sums.bans > of.latest.length && <p><a href={link(['history'], { ...span })}>{t('overview.all', { n: of.sums.bans })}</a></p>}
    </>
  );
}
