// Is this address banned, where, why, until when? Let it out, and never again.
import { useState } from 'preact/hooks';
import { banAgain, releaseMany } from '../bans';
import { country, duration, Jail, relative, Time } from '../format';
import { t } from '../messages';
import { addNeverBan } from '../never';
import { useGet } from '../request';
import { route } from '../router';
import { may } from '../session';
import { attempt, FailureBox, say, Show, Verdict } from '../status';
import { Table } from '../table';
import { BanDialog } from './bandialog';
import { Icon } from '../icons';

export function AddressScreen() {
  const ip = route.use().path[1]!;
  const [banning, setBanning] = useState(false);
  const bans = useGet('GET /bans/active', { query: { q: ip, page_size: 100 } }, 15);
  const past = useGet('GET /history/{ip}', { path: { ip } });
  const place = useGet('GET /geo/lookup/{ip}', { path: { ip } });
  const own = bans.data?.items.filter((ban) => ban.ip === ip);
  const reload = async () => { await Promise.all([bans.reload(), past.reload()]); };
  const letOut = (never: boolean) => attempt(async () => {
    if (never) await addNeverBan({ entry: ip });
    await releaseMany(own!);
    await reload();
    say(t(never ? 'address.outForGood' : 'bans.letOut', { ip }), never ? undefined : async () => { await banAgain(own!); await reload(); });
  });
  const first = own?.[0];
  const times = past.data?.total_bans ?? 0;
  const unknown = past.failure && past.failure.status !== 404 ? past.failure : undefined;
  return (
    <>
      <h1 tabIndex={-1} class="address">{ip}</h1>
      {bans.failure && <FailureBox failure={bans.failure} retry={bans.reload} />}
      {own && (
        <Verdict level={first ? 'bad' : 'ok'}>
          <p><strong>{first
            ? (first.expires_at
              ? t('address.banned', { ip, jails: own.map((ban) => ban.jail).join(', '), when: relative(Date.parse(first.expires_at)) })
              : t('address.bannedEver', { ip, jails: own.map((ban) => ban.jail).join(', ') }))
            : times > 0 ? t('address.before', { n: times }) : t('address.never')}</strong></p>
          {first?.note && <p>{t('address.note', { note: first.note, who: first.actor?.name ?? '–' })}</p>}
        </Verdict>
      )}
      {may('bans') && own && (
        <div class="buttons">
          {own.length > 0 && <button type="button" class="primary" onClick={() => letOut(false)}>{t('address.letOut')}</button>}
          {own.length > 0 && <button type="button" onClick={() => letOut(true)}>{t('address.letOutNever')}</button>}
          <button type="button" onClick={() => setBanning(true)}>{t('ban.open')}</button>
        </div>
      )}
      {own && own.length > 0 && (
        <Table label={t('address.now')} rows={own} id={(row) => row.jail} empty="" columns={[
          { title: t('col.jail'), cell: (row) => <Jail name={row.jail} />, phone: 'main' },
          { title: t('col.since'), cell: (row) => <Time at={row.banned_at} />, phone: 'sub' },
          { title: t('col.until'), cell: (row) => (row.expires_at ? <Time at={row.expires_at} /> : t('time.ever')), phone: 'side' },
          { title: t('col.times'), cell: (row) => row.ban_count, right: true, phone: 'none' },
        ]} />
      )}
      <div class="cards">
        <section class="card">
          <h2>{t('address.where')}</h2>
          <Show of={place}>
            {(data) => (data.geo && (data.geo.country_code || data.geo.org)
              ? <dl class="facts">
                <div><dt>{t('col.country')}</dt><dd>{country(data.geo.country_code)}</dd></div>
                <div><dt>{t('col.network')}</dt><dd>{[data.geo.org, data.geo.asn].filter(Boolean).join(', ') || '–'}</dd></div>
              </dl>
              : <p class="muted">{t('address.nowhere')}</p>)}
          </Show>
        </section>
        <section class="card">
          <h2>{t('address.elsewhere')}</h2>
          <p class="muted small">{t('address.tells')}</p>
          <ul class="plainlist">
            {[['AbuseIPDB', `https://www.abuseipdb.com/check/${encodeURIComponent(ip)}`], ['RIPEstat', `https://stat.ripe.net/${encodeURIComponent(ip)}`]].map(([name, url]) => (
              <li key={name}><a href={url} target="_blank" rel="noreferrer noopener">{name}<Icon name="out" /></a></li>
            ))}
          </ul>
        </section>
      </div>
      <h2>{t('address.past')}</h2>
      {unknown && <FailureBox failure={unknown} retry={past.reload} />}
      {past.failure?.status === 404 && <p class="muted">{t('address.noPast')}</p>}
      {past.data && (past.data.timeline.length === 0 ? <p class="muted">{t('address.noPast')}</p> : (
        <ol class="timeline">
          {past.data.timeline.slice(0, 30).map((event) => (
            <li key={`${event.jail} ${event.banned_at}`}>
              <p><Time at={event.banned_at} /> · <Jail name={event.jail} /> · {t('address.event', { n: event.failures, span: duration(event.ban_time) })}</p>
              {event.matches.length > 0 && <pre class="log" tabIndex={0} aria-label={t('address.lines')}>{event.matches.slice(0, 5).join('\n')}</pre>}
            </li>
          ))}
        </ol>
      ))}
      {banning && <BanDialog ip={ip} close={() => setBanning(false)} done={reload} />}
    </>
  );
}
