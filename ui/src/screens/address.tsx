// Is this address banned, where, why, until when? Let it out, and never again.
import { useState } from 'preact/hooks';
import type { AddressInfo } from '../api';
import { banAgain, releaseMany } from '../bans';
import { clock, country, duration, Jail, relative, Time } from '../format';
import { Icon } from '../icons';
import { t } from '../messages';
import { addNeverBan } from '../never';
import { useGet } from '../request';
import { link, route } from '../router';
import { may } from '../session';
import { attempt, say, Show, Verdict } from '../status';
import { Table } from '../table';
import { BanDialog } from './bandialog';

export function AddressScreen() {
  const ip = route.use().path[1]!;
  const [banning, setBanning] = useState(false);
  const known = useGet('GET /addresses/{ip}', { path: { ip } }, 15);
  return (
    <>
      <h1 tabIndex={-1} class="address">{known.data?.ip ?? ip}</h1>
      <Show of={known}>{(data) => <Known of={data} reload={known.reload} ban={() => setBanning(true)} />}</Show>
      {banning && <BanDialog ip={known.data?.ip ?? ip} close={() => setBanning(false)} done={known.reload} />}
    </>
  );
}

/** The one sentence, in the words of whoever reads it. */
function sentence(of: AddressInfo): { level: 'ok' | 'warn' | 'bad'; text: string } {
  const { ip, banned, covered_by: covers, failing, ignored_by: ignored, history } = of;
  if (banned.length > 0) {
    const first = banned[0]!;
    const jails = banned.length > 2 ? t('address.andMore', { jail: first.jail, n: banned.length - 1 }) : banned.map((ban) => ban.jail).join(', ');
    const cause = history.recent.find((past) => past.jail === first.jail && past.failures > 0);
    const why = cause ? t('address.after', { n: cause.failures }) + (cause.user ? t('address.as', { user: cause.user }) : '') : '';
    const until = first.until ? Date.parse(first.until) : undefined;
    return { level: 'bad', text: until ? t('address.banned', { ip, jails, time: clock(until), when: relative(until), why }) : t('address.bannedEver', { ip, jails, why }) };
  }
  const cover = covers[0];
  if (cover) return { level: 'bad', text: cover.list ? t('address.coveredList', { network: cover.network, list: cover.list }) : t('address.covered', { network: cover.network, jail: cover.jail ?? '–' }) };
  const never = ignored[0];
  if (never) return { level: 'ok', text: never.until ? t('address.ignoredUntil', { entry: never.entry, time: clock(Date.parse(never.until)) }) : t('address.ignored', { entry: never.entry }) };
  const fails = failing[0];
  if (fails) return { level: 'warn', text: t('address.failing', { n: fails.failures, of: fails.of, jail: fails.jail, left: Math.max(1, fails.of - fails.failures) }) };
  if (history.bans > 0) {
    const last = history.recent[0];
    const by = last?.lifted_by ? t('address.liftedBy', { who: last.lifted_by }) : '';
    return { level: 'ok', text: t('address.before', { n: history.bans, when: history.last ? relative(Date.parse(history.last)) : '–', jail: last?.jail ?? '–', by }) };
  }
  return { level: 'ok', text: t('address.never') };
}

function Known({ of, reload, ban }: { of: AddressInfo; reload: () => Promise<void>; ban: () => void }) {
  const { ip, banned, firewall, history, operator } = of;
  const own = banned.map((one) => ({ ip, jail: one.jail, expires_at: one.until, note: one.note, own_end: one.until === null }));
  const letOut = (never: boolean) => attempt(async () => {
    if (never) await addNeverBan({ entry: ip });
    await releaseMany(own);
    await reload();
    say(t(never ? 'address.outForGood' : 'bans.letOut', { ip }), never ? undefined : async () => { await banAgain(own); await reload(); });
  });
  const { level, text } = sentence(of);
  const noted = banned.find((one) => one.note);
  const safe = of.ignored_by;
  return (
    <>
      <Verdict level={level}>
        <p><strong>{text}</strong></p>
        {noted && <p>{t('address.note', { note: noted.note!, who: noted.actor?.name ?? '–' })}</p>}
        {banned.length > 0 && firewall.state === 'missing' && <p><strong>{t('address.through')}</strong></p>}
      </Verdict>
      {may('bans') && (
        <div class="buttons">
          {banned.length > 0 && <button type="button" class="primary" onClick={() => letOut(false)}>{t('address.letOut')}</button>}
          {banned.length > 0 && <button type="button" onClick={() => letOut(true)}>{t('address.letOutNever')}</button>}
          <button type="button" onClick={ban}>{t('ban.go')}</button>
        </div>
      )}
      {banned.length > 0 && (
        <Table label={t('address.now')} rows={banned} id={(row) => row.jail} empty="" columns={[
          { title: t('col.jail'), cell: (row) => <Jail name={row.jail} />, phone: 'main' },
          { title: t('col.since'), cell: (row) => <Time at={row.since} />, phone: 'sub' },
          { title: t('col.until'), cell: (row) => (row.until ? <Time at={row.until} /> : t('time.ever')), phone: 'side' },
          { title: t('col.times'), cell: (row) => row.times, right: true, phone: 'none' },
        ]} />
      )}
      <div class="cards">
        <section class="card">
          <h2>{t('address.where')}</h2>
          <dl class="facts">
            <div><dt>{t('col.country')}</dt><dd>{country(of.country)}</dd></div>
            <div><dt>{t('col.network')}</dt><dd>{[operator?.org, operator?.asn].filter(Boolean).join(', ') || '–'}</dd></div>
            <div><dt>{t('address.firewall')}</dt><dd>{firewall.state === 'present' ? t('address.inFirewall') : firewall.state === 'missing' ? t('address.notInFirewall') : firewall.reason ?? '–'}</dd></div>
            {of.lists.length > 0 && <div><dt>{t('lists.title')}</dt><dd>{of.lists.map((one) => one.name).join(', ')}</dd></div>}
            {safe.length > 0 && <div><dt>{t('address.safe')}</dt><dd>{safe.slice(0, 8).map((one) => <div key={`${one.entry} ${one.jail}`}><span class="address">{one.entry}</span> <span class="muted">{one.jail}{one.note && `, ${one.note}`}</span></div>)}</dd></div>}
          </dl>
        </section>
        <section class="card">
          <h2>{t('address.elsewhere')}</h2>
          <p class="muted small">{t('address.tells')}</p>
          <ul class="plainlist">
            {[['AbuseIPDB', `https://www.abuseipdb.com/check/${encodeURIComponent(ip)}`], ['RIPEstat', `https://stat.ripe.net/${encodeURIComponent(ip)}`]].map(([name, url]) => (
              <li key={name}><a href={url} target="_blank" rel="noreferrer noopener">{name} <Icon name="out" /></a></li>
            ))}
          </ul>
        </section>
      </div>
      <h2>{t('address.past')}</h2>
      {history.recent.length === 0 ? <p class="muted">{t('address.noPast')}</p> : (
        <ol class="timeline">
          {history.recent.map((past) => (
            <li key={`${past.jail} ${past.at}`}>
              <p><Time at={past.at} /> · <Jail name={past.jail} /> · {t('address.event', { n: past.failures, span: past.until ? duration((Date.parse(past.until) - Date.parse(past.at)) / 1000) : t('time.ever') })}
                {past.lifted_at && <span class="muted"> · {t('address.lifted', { when: relative(Date.parse(past.lifted_at)), who: past.lifted_by ?? '–' })}</span>}</p>
              {past.lines.length > 0 && <pre class="log" tabIndex={0} aria-label={t('address.lines')}>{past.lines.slice(0, 5).join('\n')}</pre>}
            </li>
          ))}
        </ol>
      )}
      {history.bans > history.recent.length && <p><a href={link(['history'], { ip, range: '365d' })}>{t('overview.all', { n: history.bans })}</a></p>}
    </>
  );
}
