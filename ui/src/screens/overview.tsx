// Am I protected right now, and what happened?
import { DaemonProblem } from '../daemon';
import { Shares, Trend } from '../chart';
import { Address, country, Jail, Time } from '../format';
import { t, parts, number } from '../messages';
import { useGet } from '../request';
import { filter, link, route } from '../router';
import { Show, Verdict, Waiting } from '../status';
import { Table } from '../table';
import type { JailSummary, Range, ServiceStatusResponse } from '../api';
import { Ranges } from '../ranges';

const OFTEN = 15;

export function Overview() {
  const range = (route.use().query.range ?? '24h') as Range;
  const service = useGet('GET /config/service-status', {}, OFTEN);
  const jails = useGet('GET /jails', {}, OFTEN);
  return (
    <>
      <h1 tabIndex={-1}>{t('overview.title')}</h1>
      <Show of={service}>
        {(now) => now.online ? <Sentence service={now} jails={jails.data?.items} /> : <DaemonProblem service={now} reload={service.reload} />}
      </Show>
      <Numbers {...(service.data?.online ? { jails: jails.data?.items, banned: service.data.total_bans, failing: service.data.total_failures } : {})} />
      <div class="bar"><h2>{t('overview.happened')}</h2><Ranges value={range} set={(chosen) => filter({ range: chosen })} /></div>
      <Happened range={range} />
      <Latest range={range} />
    </>
  );
}

/** Says only what was looked at: whether bans reach the packet filter is not. */
function Sentence({ service, jails }: { service: ServiceStatusResponse; jails?: JailSummary[] }) {
  if (!jails) return <Waiting />;
  const wanted = jails.filter((jail) => jail.enabled || jail.running);
  const watching = wanted.filter((jail) => jail.running && !jail.idle);
  const wrong = wanted.filter((jail) => !jail.running || jail.problem);
  const idle = wanted.filter((jail) => jail.running && jail.idle);
  const level = wanted.length === 0 || watching.length === 0 ? 'bad' : wrong.length + idle.length + service.not_in_force.length > 0 ? 'warn' : 'unknown';
  return (
    <Verdict level={level}>
      <p><strong>{wanted.length === 0 || watching.length === 0 ? t('verdict.none')
        : t(level === 'unknown' ? 'verdict.probably' : 'verdict.watching', { n: watching.length, of: wanted.length })}</strong></p>
      {wrong.length > 0 && <ul>{wrong.map((jail) => <li key={jail.name}><Jail name={jail.name} />: {jail.problem ?? t('verdict.stopped')}</li>)}</ul>}
      {idle.length > 0 && <ul>{idle.map((jail) => <li key={jail.name}><Jail name={jail.name} />: {t('verdict.idle')}</li>)}</ul>}
      {service.not_in_force.length > 0 && <ul>{service.not_in_force.map((one) => <li key={one}>{one}</li>)}</ul>}
    </Verdict>
  );
}

function Numbers({ jails, banned, failing }: { jails?: JailSummary[]; banned?: number; failing?: number }) {
  const shown = (value: number | undefined) => (value === undefined ? '–' : number(value));
  return (
    <dl class="numbers">
      <div><dt><a href={link(['bans'])}>{t('overview.banned')}</a></dt><dd>{shown(banned)}</dd></div>
      <div><dt>{t('overview.failing')}</dt><dd>{shown(failing)}</dd></div>
      <div><dt><a href={link(['jails'])}>{t('overview.jails')}</a></dt><dd>{shown(jails?.filter((jail) => jail.running).length)}</dd></div>
    </dl>
  );
}

function Happened({ range }: { range: Range }) {
  const trend = useGet('GET /dashboard/bans/trend', { query: { range } }, 60);
  const countries = useGet('GET /dashboard/bans/by-country', { query: { range } }, 60);
  const jails = useGet('GET /dashboard/bans/by-jail', { query: { range } }, 60);
  return (
    <div class="cards">
      <section class="card wide">
        <h3>{t('overview.trend')}{jails.data && <span class="muted"> {t('overview.sum', { n: jails.data.total })}</span>}</h3>
        <Show of={trend}>{(data) => <Trend buckets={data.buckets} label={t('overview.trend')} />}</Show>
      </section>
      <section class="card">
        <h3>{t('overview.countries')}</h3>
        <Show of={countries}>
          {(data) => (
            <Shares label={t('overview.countries')} empty={t('overview.noCountries')}
              items={Object.entries(data.countries).sort((a, b) => b[1] - a[1]).slice(0, 5)
                .map(([code, count]) => ({ name: country(code), count, href: link(['history'], { range, country: code }) }))} />
          )}
        </Show>
      </section>
      <section class="card">
        <h3>{t('overview.byJail')}</h3>
        <Show of={jails}>
          {(data) => (
            <Shares label={t('overview.byJail')} empty={t('overview.noBans')}
              items={data.jails.slice(0, 5).map(({ jail, count }) => ({ name: jail, count, href: link(['history'], { range, jail }) }))} />
          )}
        </Show>
      </section>
    </div>
  );
}

function Latest({ range }: { range: Range }) {
  const bans = useGet('GET /dashboard/bans', { query: { range, page_size: 10 } }, 20);
  return (
    <section>
      <h2>{t('overview.latest')}</h2>
      <Show of={bans}>
        {(data) => (
          <>
            <Table label={t('overview.latest')} rows={data.items} id={(row) => `${row.ip} ${row.jail} ${row.banned_at}`}
              open={(row) => { location.hash = link(['address', row.ip]); }} empty={t('overview.noBans')}
              columns={[
                { title: t('col.address'), cell: (row) => <Address ip={row.ip} />, phone: 'main' },
                { title: t('col.jail'), cell: (row) => <Jail name={row.jail} />, phone: 'sub' },
                { title: t('col.country'), cell: (row) => (row.country_code ? country(row.country_code) : <span class="muted">–</span>), phone: 'subside' },
                { title: t('col.network'), cell: (row) => row.org ?? <span class="muted">–</span>, phone: 'none' },
                { title: t('col.when'), cell: (row) => <Time at={row.banned_at} />, phone: 'side', right: true },
              ]} />
            {data.pagination.total > data.items.length && (
              <p><a href={link(['history'], { range })}>{parts('overview.all', { n: data.pagination.total })}</a></p>
            )}
          </>
        )}
      </Show>
    </section>
  );
}
